//! The PROXY protocol, from those in front of us and to those behind.

use super::*;
use crate::proxy_protocol::{Extras, Version, build};

fn ends() -> (SocketAddr, SocketAddr) {
    ("192.0.2.1:5000".parse().unwrap(), "198.51.100.1:80".parse().unwrap())
}

fn local() -> Vec<api::Prefix> {
    vec!["127.0.0.0/8".parse().unwrap()]
}

#[test]
fn who_is_told_of_is_the_client() {
    let server = Server::named("a");
    let mut frontend = frontend();
    frontend.accept_proxy = local();
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    for version in [Version::V1, Version::V2] {
        let header = build(version, Some(ends()), &Extras::default());
        // In pieces, and with what follows.
        let mut client = Client::connect(address);
        let (first, second) = header.split_at(9);
        client.say(first);
        std::thread::sleep(20 * MS);
        client.say([second, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        assert_eq!(client.hear().unwrap().text(), "a");
        let head = server.heads().pop().unwrap();
        assert!(head.contains("x-forwarded-for: 192.0.2.1\r\n"), "{head}");
    }
    let mut client = Client::connect(address);
    client.say(build(Version::V2, None, &Extras::default()));
    assert_eq!(client.get("/").text(), "a");
    assert!(server.heads().pop().unwrap().contains("x-forwarded-for: 127.0.0.1\r\n"));
    // Without a header there is nobody.
    let mut client = Client::connect(address);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.is_closed());
}

#[test]
fn nobody_else_may_tell_of_others() {
    let server = Server::named("a");
    let mut frontend = frontend();
    frontend.accept_proxy = vec!["192.0.2.0/24".parse().unwrap()];
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say(build(Version::V1, Some(ends()), &Extras::default()));
    assert_eq!(client.hear().unwrap().status, 400);
    assert_eq!(server.connections(), 0);
}

#[test]
fn servers_are_told_and_clients_share_no_connection() {
    use std::io::{BufRead, BufReader, Write};
    // It answers with the PROXY line that came with the connection.
    let server = Server::raw(|mut stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut told = String::new();
        lines.read_line(&mut told).unwrap();
        while super::server::read(&mut lines).is_some() {
            stream.write_all(&super::server::ok(told.trim())).unwrap();
        }
    });
    let mut pool = pool("p", &[server.address]);
    pool.send_proxy = Some(Version::V1);
    let (_proxy, address) = start(frontend(), vec![pool]);
    let mut clients = [Client::connect(address), Client::connect(address)];
    for round in 1..=3 {
        for client in &mut clients {
            let own = client.stream.local_addr().unwrap();
            let expected =
                format!("PROXY TCP4 127.0.0.1 {} {} {}", address.ip(), own.port(), address.port());
            assert_eq!(client.get("/").text(), expected, "round {round}");
        }
    }
    assert_eq!(server.connections(), 2, "each has its own, and keeps it");
}

#[test]
fn connections_of_clients_that_have_gone_go_with_them() {
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let open = Arc::new(AtomicUsize::new(0));
    let counted = open.clone();
    let server = Server::raw(move |mut stream| {
        counted.fetch_add(1, SeqCst);
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        let mut header = [0; 28];
        lines.read_exact(&mut header).unwrap();
        while super::server::read(&mut lines).is_some() {
            std::io::Write::write_all(&mut stream, &super::server::ok("a")).unwrap();
        }
        counted.fetch_sub(1, SeqCst);
    });
    let mut pool = pool("p", &[server.address]);
    pool.send_proxy = Some(Version::V2);
    let (_proxy, address) = start(frontend(), vec![pool]);
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "a");
    }
    assert_eq!(open.load(SeqCst), 4);
    drop(clients);
    wait_until("none is left", || open.load(SeqCst) == 0);
}
