//! Answers before the answer.

use std::io::Write;
use std::sync::mpsc;

use super::server::{ok, read};
use super::*;

const HINTS: &str =
    "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n";

/// A server that gives hints before each answer, and the answer once it is told to.
fn hinting(hints: String) -> (Server, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel();
    let gate = std::sync::Mutex::new(gate);
    let server = Server::raw(move |mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        while read(&mut lines).is_some() {
            stream.write_all(hints.as_bytes()).unwrap();
            if gate.lock().unwrap().recv().is_err() {
                return;
            }
            stream.write_all(&ok("answer")).unwrap();
        }
    });
    (server, go)
}

#[test]
fn hints_reach_the_client_before_the_answer_is_there() {
    let (server, go) = hinting(HINTS.repeat(2));
    // No deadline that passes is to be what they go on with.
    let (mut frontend, mut pool) = (frontend(), pool("p", &[server.address]));
    (frontend.timeouts.idle, frontend.timeouts.header) = (100 * SOON, 100 * SOON);
    pool.timeouts.response = 100 * SOON;
    let (_proxy, address) = start(frontend, vec![pool]);
    let mut client = Client::connect(address);
    for _ in 0..2 {
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        for _ in 0..2 {
            let hint = client.hear().unwrap();
            assert_eq!(hint.head, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
        }
        go.send(()).unwrap();
        assert_eq!(client.hear().unwrap().text(), "answer");
    }
}

#[test]
fn hints_and_their_answer_may_come_at_once() {
    let server = Server::new(|_| {
        let mut all = HINTS.as_bytes().to_vec();
        // It is ours to ask for a body.
        all.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
        all.extend(ok("a"));
        Some(all)
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 103);
        let answer = client.hear().unwrap();
        assert_eq!((answer.status, answer.text()), (200, "a".to_owned()));
    }
}

#[test]
fn who_speaks_http_1_0_gets_no_hints() {
    let (server, go) = hinting(HINTS.to_owned());
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    go.send(()).unwrap();
    assert_eq!(Client::connect(address).ask("GET / HTTP/1.0\r\n\r\n").text(), "answer");
}

#[test]
fn hints_by_the_thousand_do_no_harm() {
    let (server, go) = hinting(HINTS.repeat(10_000));
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    go.send(()).unwrap();
    let mut client = Client::connect(address);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = loop {
        let next = client.hear().unwrap();
        if next.status != 103 {
            break next;
        }
    };
    assert_eq!(answer.text(), "answer");
}

#[test]
fn hints_never_stand_within_an_answer_that_a_client_is_still_reading() {
    const LARGE: usize = 16 << 20;
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read(&mut lines) {
            let answer = match request.head.contains("/large") {
                true => ok(&"x".repeat(LARGE)),
                false => [HINTS.as_bytes(), &ok("small")].concat(),
            };
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for _ in 0..5 {
        client.say("GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let large = client.hear().unwrap();
        assert!(large.body.len() == LARGE && large.body.iter().all(|byte| *byte == b'x'));
        // With their answer so close they may come too late, but nowhere else.
        let mut next = client.hear().unwrap();
        if next.status == 103 {
            next = client.hear().unwrap();
        }
        assert_eq!(next.text(), "small");
    }
}
