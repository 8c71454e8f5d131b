//! Requests that hide another one from somebody who reads them in another way. Each is refused, or reaches the
//! server in a form that can be read in one way only.

use std::io::{BufRead, BufReader, Write};

use super::*;

/// What must never be seen by the server as a request: by those who look only for the length, or only for the
/// chunks, or who take for an end of line what is none, it would be one.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a server saw of these bytes, and what the client was answered first.
fn probe(bytes: &str) -> (Vec<String>, Option<u16>) {
    let server = Server::new(|request| {
        assert!(!request.body.windows(7).any(|part| part == b"/hidden"), "it has a body with it");
        Some(super::server::ok("a"))
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say(bytes);
    let status = client.hear().map(|response| response.status);
    // After a refusal there is nothing more.
    assert!(status == Some(200) || client.is_closed(), "{bytes:?}");
    (server.heads(), status)
}

#[test]
fn what_hides_behind_a_framing_that_is_none_is_refused() {
    for head in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: chunked\x0b",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunke\u{212a}d",
        "Transfer-Encoding:",
        "Transfer_Encoding\0: chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: 1\r\n Transfer-Encoding: chunked",
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length: 0, 5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: \u{b2}",
        "Content-Length: 18446744073709551621",
        "Content-Length : 5",
        "Content-Length:",
        "Content-Length: 1e1",
    ] {
        let (heads, status) =
            probe(&format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\n{HIDDEN}"));
        assert_eq!((heads.len(), status), (0, Some(400)), "{head:?}: {heads:?}");
    }
}

#[test]
fn what_hides_in_chunks_that_are_none_is_no_request() {
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
    ] {
        let whole = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{HIDDEN}"
        );
        let (heads, status) = probe(&whole);
        assert!(heads.iter().all(|head| !head.contains("/hidden")), "{body:?}: {heads:?}");
        assert_ne!(status, Some(200), "{body:?}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_leaves_us_in_one() {
    // A length beside chunks: the chunks count, the length is gone, and nothing of what follows is taken for a
    // request (RFC 9112 section 6.1).
    for head in [
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 0\r\nTransfer-Encoding: Chunked",
        "Connection: Content-Length, Transfer-Encoding\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
    ] {
        let body = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
        let server = Server::named("a");
        let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
        let mut client = Client::connect(address);
        client.say(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{body}{HIDDEN}"));
        assert_eq!(client.hear().unwrap().status, 200, "{head:?}");
        assert!(client.is_closed(), "{head:?}");
        let heads = server.heads();
        assert_eq!(heads.len(), 1, "{heads:?}");
        let told = heads[0].to_ascii_lowercase();
        assert!(told.contains("transfer-encoding: chunked\r\n"), "{told}");
        assert!(!told.contains("content-length"), "{told}");
    }
    // The same length twice is one.
    let (heads, status) =
        probe("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(status, Some(200));
    assert_eq!(heads[0].to_ascii_lowercase().matches("content-length").count(), 1, "{heads:?}");
    // Lines that end in a bare LF (RFC 9112 section 2.2 lets them pass) end in CRLF behind us.
    let (heads, status) = probe("GET / HTTP/1.1\nHost: a\nX: 1\n\n");
    assert_eq!(status, Some(200));
    assert!(heads[0].replace("\r\n", "").chars().all(|c| c != '\n' && c != '\r'), "{heads:?}");
    // A bare CR within a line is none of its ends, and nobody behind us gets to see it.
    let (heads, status) = probe("GET / HTTP/1.1\r\nHost: a\r\nX: 1\rGET /hidden HTTP/1.1\r\n\r\n");
    assert_eq!((heads.len(), status), (0, Some(400)), "{heads:?}");
}

#[test]
fn a_body_that_a_server_does_not_read_is_no_request_to_it() {
    // It answers every end of a header, as one that believes GET to have no body.
    let server = Server::raw(|mut stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut path) = (String::new(), String::new());
        while matches!(lines.read_line(&mut line), Ok(1..)) {
            if let Some(rest) = line.trim_end().strip_prefix("GET ") {
                path = rest.to_owned();
            }
            if line == "\r\n" {
                if path.starts_with("/own") {
                    // The body has come, too, when this is answered.
                    lines.fill_buf().unwrap();
                }
                let _ = stream.write_all(&super::server::ok(&path));
            }
            line.clear();
        }
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    for _ in 0..5 {
        let length = HIDDEN.len();
        let mut client = Client::connect(address);
        client.say(format!(
            "GET /own HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"
        ));
        assert_eq!(client.hear().unwrap().text(), "/own HTTP/1.1");
        for _ in 0..2 {
            assert_eq!(client.get("/next").text(), "/next HTTP/1.1");
        }
    }
}
