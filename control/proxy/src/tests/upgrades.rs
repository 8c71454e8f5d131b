//! Protocols that take a connection over, and those who only pretend to.

use std::io::{Read, Write};
use std::thread;

use super::server::ok;
use super::*;

/// A server that grants every upgrade, and says everything again.
fn echo() -> Server {
    Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        super::server::read(&mut lines).unwrap();
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            .unwrap();
        let mut bytes = [0; 64];
        while let Ok(length @ 1..) = lines.read(&mut bytes) {
            stream.write_all(&bytes[..length]).unwrap();
        }
    })
}

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn websockets_are_tunnels_after_the_101_and_not_before() {
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        let request = super::server::read(&mut lines).unwrap();
        if request.head.contains("/no") {
            stream.write_all(&ok("no")).unwrap();
            return;
        }
        assert!(request.head.to_ascii_lowercase().contains("upgrade: websocket"));
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            .unwrap();
        let mut byte = [0; 64];
        while let Ok(length @ 1..) = lines.read(&mut byte) {
            stream.write_all(&byte[..length]).unwrap();
        }
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let ask = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
    };
    let mut client = Client::connect(address);
    assert_eq!(client.ask(&ask("/no")).text(), "no");
    let mut client = Client::connect(address);
    let response = client.ask(&ask("/"));
    assert_eq!((response.status, response.header("upgrade").as_deref()), (101, Some("websocket")));
    client.say("hello");
    assert_eq!(client.read(5), b"hello");
}

#[test]
fn websockets_have_the_deadline_of_tunnels_and_no_other() {
    let server = echo();
    let mut frontend = frontend();
    (frontend.timeouts.idle, frontend.timeouts.header) = (400 * MS, 200 * MS);
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    assert_eq!(client.ask(UPGRADE).status, 101);
    for _ in 0..3 {
        client.say("hello");
        assert_eq!(client.read(5), b"hello");
        // Longer than a header may take, and than a connection without requests is kept.
        thread::sleep(600 * MS);
    }
    let mut frontend = super::frontend();
    frontend.timeouts.tunnel = 300 * MS;
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    assert_eq!(client.ask(UPGRADE).status, 101);
    assert!(client.is_closed());
}

#[test]
fn websockets_count_until_their_end() {
    let server = echo();
    let mut limited = pool("p", &[server.address]);
    limited.servers[0].max_connections = Some(1);
    limited.queue.timeout = 100 * MS;
    let (proxy, address) = start(frontend(), vec![limited]);
    let mut client = Client::connect(address);
    assert_eq!(client.ask(UPGRADE).status, 101);
    client.say("hello");
    assert_eq!(client.read(5), b"hello");
    assert_eq!(Client::connect(address).get("/").status, 503, "the server has no room");
    wait_until("it alone is left", || proxy.open() == 1);
    // Whoever drains this node waits for it.
    proxy.drain(Drain::Leaving);
    client.say("hello");
    assert_eq!(client.read(5), b"hello");
    assert_eq!((proxy.open(), proxy.status().pools[0].servers[0].busy), (1, 1));
    drop(client);
    wait_until("nobody is left", || {
        proxy.open() == 0 && proxy.status().pools[0].servers[0].busy == 0
    });
}

/// A server that answers each connection's first request with these bytes, and then says nothing more.
fn saying(answer: &'static [u8]) -> Server {
    Server::raw(move |mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        super::server::read(&mut lines);
        let _ = stream.write_all(answer);
        let _ = lines.read_to_end(&mut Vec::new());
    })
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_none() {
    let server =
        saying(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    assert_eq!(Client::connect(address).get("/").status, 502);
    // Without `Connection: upgrade` it is nobody's business but the client's last proxy's.
    let asked = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n";
    assert_eq!(Client::connect(address).ask(asked).status, 502);
}

#[test]
fn nobody_is_connected_to_others() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    for target in ["example.org:25", "/"] {
        let mut client = Client::connect(address);
        client.say(format!("CONNECT {target} HTTP/1.1\r\nHost: example.org:25\r\n\r\n"));
        let status = client.hear().map(|response| response.status);
        assert!(matches!(status, Some(400 | 405)), "{target}: {status:?}");
    }
    assert_eq!(server.heads().len(), 0);
}

#[test]
fn a_websocket_that_meets_a_kept_connection_which_is_closed_gets_another() {
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        let mut served = 0;
        while let Some(request) = super::server::read(&mut lines) {
            if !request.head.to_ascii_lowercase().contains("upgrade") {
                stream.write_all(&ok("no")).unwrap();
                served += 1;
            } else if served > 0 {
                // It had enough, just as it was asked for this.
                return;
            } else {
                stream
                    .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
                    .unwrap();
            }
        }
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    assert_eq!(client.get("/").text(), "no");
    assert_eq!(client.ask(UPGRADE).status, 101);
}

#[test]
fn a_server_may_say_which_protocol_it_wants() {
    let wants = "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: foo/2\r\nContent-Length: 0\r\n\r\n";
    let server = Server::new(move |_| Some(wants.into()));
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let response = Client::connect(address).get("/");
    assert_eq!((response.status, response.header("upgrade").as_deref()), (426, Some("foo/2")));
    assert_eq!(
        response.header("connection").map(|it| it.to_lowercase()).as_deref(),
        Some("upgrade")
    );
}
