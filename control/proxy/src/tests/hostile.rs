//! Clients that want to fool somebody, or to be in the way.

use std::time::Instant;

use super::*;

#[test]
fn what_two_could_understand_differently_is_refused() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let served = server.heads().len();
    for request in [
        // Which host?
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n",
        // Where does it end?
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3,3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/3.7\r\nHost: a\r\n\r\n",
    ] {
        let mut client = Client::connect(address);
        client.say(request);
        let status = client.hear().map(|response| response.status);
        assert_eq!(status, Some(400), "{request:?}");
    }
    assert_eq!(server.heads().len(), served, "none of them got through");
}

#[test]
fn a_length_beside_chunks_is_not_handed_on() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(client.hear().unwrap().text(), "a");
    let head = server.heads().pop().unwrap().to_ascii_lowercase();
    assert!(
        head.contains("transfer-encoding: chunked") && !head.contains("content-length"),
        "{head}"
    );
}

#[test]
fn a_header_has_one_deadline_however_it_drips() {
    let server = Server::named("a");
    let mut frontend = frontend();
    frontend.timeouts.header = 500 * MS;
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    let started = Instant::now();
    let mut header = "GET / HTTP/1.1\r\nHost: a\r\nX: ".bytes().chain(std::iter::repeat(b'x'));
    // Faster than the deadline, for ever.
    let mut say = || {
        use std::io::Write;
        std::thread::sleep(20 * MS);
        client.stream.write_all(&[header.next().unwrap()]).is_ok()
    };
    while say() {
        assert!(started.elapsed() < SOON, "it is still listened to");
    }
    assert!(started.elapsed() >= 500 * MS);
}

#[test]
fn who_says_nothing_is_let_go() {
    let server = Server::named("a");
    let mut frontend = frontend();
    frontend.timeouts.idle = 300 * MS;
    let (proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut silent = Client::connect(address);
    let mut once = Client::connect(address);
    assert_eq!(once.get("/").text(), "a");
    let started = Instant::now();
    assert!(silent.is_closed() && once.is_closed());
    assert!(started.elapsed() < SOON / 4, "the pause after an answer has its own deadline");
    wait_until("nobody is left", || proxy.open() == 0);
}

#[test]
fn too_long_a_header_is_refused() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = format!("X: {}\r\n", "x".repeat(40_000));
    for headers in [many, long] {
        let mut client = Client::connect(address);
        client.say(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        let status = client.hear().map(|response| response.status);
        assert_eq!(status, Some(431));
    }
    assert_eq!(server.heads().len(), 0);
}

/// A server that answers each connection with these bytes, and closes it.
fn lying(answer: &'static [u8]) -> Server {
    Server::raw(move |mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        super::server::read(&mut lines);
        let _ = std::io::Write::write_all(&mut stream, answer);
    })
}

#[test]
fn a_server_that_lies_is_not_passed_on() {
    for answer in [
        &b"hello\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\0: a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a",
        b"",
    ] {
        let server = lying(answer);
        let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
        let response = Client::connect(address).get("/");
        assert_eq!(response.status, 502, "{:?}", String::from_utf8_lossy(answer));
    }
    // What broke after it had begun is broken for the client, too: never a whole answer.
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n",
    ] {
        let server = lying(answer);
        let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
        let mut client = Client::connect(address);
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut told = Vec::new();
        // It may end by a reset.
        let _ = std::io::Read::read_to_end(&mut client.stream, &mut told);
        let told = String::from_utf8_lossy(&told);
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
        assert!(!told.ends_with("0\r\n\r\n") && !told.contains("xyz"), "{told}");
    }
}

#[test]
fn a_servers_header_without_end_is_given_up() {
    let server = Server::raw(|mut stream| {
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n");
        while std::io::Write::write_all(&mut stream, b"X-Header: and so on\r\n").is_ok() {}
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    assert_eq!(Client::connect(address).get("/").status, 502);
}

#[test]
fn a_client_that_waits_for_100_gets_it_before_it_sends() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.hear().unwrap().status, 100);
    client.say("hi");
    assert_eq!(client.hear().unwrap().text(), "a");
}
