//! Peers that are too slow, and those that only seem to be.

use std::io::{Read, Write};
use std::thread;
use std::time::Instant;

use super::server::ok;
use super::*;

/// More than all buffers on the way have room for.
const MUCH: usize = 64 << 20;

#[test]
fn a_client_that_stops_reading_is_let_go() {
    let server = Server::new(|_| Some(ok(&"x".repeat(MUCH))));
    let mut frontend = frontend();
    frontend.timeouts.body = 300 * MS;
    let (proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read(1000);
    wait_until("nobody waits for it", || proxy.open() == 0);
}

#[test]
fn a_client_that_reads_little_by_little_is_served() {
    let server = Server::new(|_| Some(ok(&"x".repeat(MUCH))));
    let mut frontend = frontend();
    frontend.timeouts.body = 1000 * MS;
    let mut pool = pool("p", &[server.address]);
    // The server is not waited for while nobody reads.
    pool.timeouts.body = 100 * MS;
    let (_proxy, address) = start(frontend, vec![pool]);
    let mut client = Client::connect(address);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut left = MUCH;
    while left > 0 {
        let piece = left.min(MUCH / 8);
        client.read(piece);
        left -= piece;
        thread::sleep(300 * MS);
    }
}

/// A server that says half of its answer, and the other half so much later, or never.
fn halting(pause: Option<Duration>) -> Server {
    Server::raw(move |mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        while super::server::read(&mut lines).is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf");
            match pause {
                Some(pause) => thread::sleep(pause),
                None => return drop(lines.read_to_end(&mut Vec::new())),
            }
            let _ = stream.write_all(b"half");
        }
    })
}

#[test]
fn a_server_that_stops_within_its_answer_is_given_up() {
    let server = halting(None);
    let mut pool = pool("p", &[server.address]);
    pool.timeouts.body = 300 * MS;
    let (proxy, address) = start(frontend(), vec![pool]);
    let mut client = Client::connect(address);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (started, mut told) = (Instant::now(), Vec::new());
    let _ = client.stream.read_to_end(&mut told);
    assert!(told.ends_with(b"\r\n\r\nhalf"), "{}", String::from_utf8_lossy(&told));
    assert!(started.elapsed() < SOON / 4, "it is waited for");
    assert_eq!(proxy.status().pools[0].servers[0].failed, 1);
}

#[test]
fn a_server_that_pauses_is_waited_for() {
    let server = halting(Some(300 * MS));
    let mut pool = pool("p", &[server.address]);
    pool.timeouts.body = 2000 * MS;
    let (proxy, address) = start(frontend(), vec![pool]);
    let mut client = Client::connect(address);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "halfhalf");
    }
    assert_eq!(proxy.status().pools[0].servers[0].failed, 0);
}

#[test]
fn a_server_that_answers_early_waits_for_a_slow_upload() {
    // Says that all is well, and what it got once it has got it.
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            std::io::BufRead::read_line(&mut lines, &mut head).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").unwrap();
        let mut body = [0; 4];
        lines.read_exact(&mut body).unwrap();
        stream.write_all(&body).unwrap();
    });
    let mut pool = pool("p", &[server.address]);
    pool.timeouts.body = 400 * MS;
    let (_proxy, address) = start(frontend(), vec![pool]);
    let mut client = Client::connect(address);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    for byte in b"slow" {
        thread::sleep(250 * MS);
        client.say([*byte]);
    }
    assert_eq!(client.hear().unwrap().text(), "slow");
}
