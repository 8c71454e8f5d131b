//! Answers whose end is told in other ways than by a length.

use std::io::{BufRead, BufReader, Read, Write};

use super::*;

/// A server that answers with these bytes for each path, and goes on.
fn saying(answers: &'static [(&'static str, &'static str)]) -> Server {
    Server::new(move |request| {
        let path = request.head.split(' ').nth(1).unwrap();
        let found = answers.iter().find(|(known, _)| *known == path);
        Some(found.unwrap_or_else(|| panic!("{path}")).1.into())
    })
}

#[test]
fn answers_without_a_body_keep_their_length_and_their_connection() {
    let server = saying(&[
        ("/head", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: \"x\"\r\n\r\n"),
        ("/304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000000\r\nETag: \"x\"\r\n\r\n"),
        ("/204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("/chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("/empty", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("/last", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast"),
    ]);
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    // What follows at once is read as the next answer, if anything is taken for a body that is none.
    let mut head = |method: &str, path: &str| {
        client.say(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(client.read(1));
        }
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    };
    let told = head("HEAD", "/head");
    assert!(told.contains("content-length: 1000000\r\n") && told.contains("etag: \"x\""), "{told}");
    let told = head("GET", "/304");
    assert!(told.starts_with("http/1.1 304") && told.contains("etag: \"x\""), "{told}");
    let told = head("GET", "/204");
    assert!(told.starts_with("http/1.1 204") && !told.contains("transfer-encoding"), "{told}");
    assert!(!told.contains("content-length"), "{told}");
    let told = head("HEAD", "/chunks");
    assert!(told.starts_with("http/1.1 200"), "{told}");
    assert_eq!(client.get("/empty").text(), "");
    assert_eq!(client.get("/last").text(), "last");
    assert_eq!(server.connections(), 1, "every answer was whole");
}

#[test]
fn answers_that_end_with_their_connection_have_an_end() {
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        super::server::read(&mut lines);
        let answer = b"HTTP/1.0 200 OK\r\nX: 1\r\n\r\nto the end";
        std::io::Write::write_all(&mut stream, answer).unwrap();
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.status, response.text().as_str()), (200, "to the end"));
        assert_eq!(response.header("transfer-encoding").as_deref(), Some("chunked"));
    }
    // A client of HTTP/1.0 knows no chunks: its answer ends as the server's does.
    let mut old = Client::connect(address);
    old.say("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let mut told = String::new();
    old.stream.read_to_string(&mut told).unwrap();
    assert!(told.ends_with("\r\n\r\nto the end") && !told.contains("chunked"), "{told}");
}

#[test]
fn chunks_count_and_not_a_length_beside_them() {
    let server = saying(&[(
        "/",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
    )]);
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let response = Client::connect(address).get("/");
    assert_eq!((response.text().as_str(), response.header("content-length")), ("whole", None));
}

#[test]
fn servers_of_http_1_0_are_not_sent_chunks_on_a_connection_that_they_keep() {
    let server = Server::new(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let length = body.len();
        let head = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n";
        Some(format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes())
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for _ in 0..3 {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(client.ask(&format!("{head}\r\n2\r\nhi\r\n0\r\n\r\n")).text(), "hi");
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn an_answer_that_comes_before_the_upload_is_read_reaches_the_client() {
    // More than all buffers on the way have room for.
    const MUCH: usize = 32 << 20;
    // A server that says no before it reads on; and ourselves.
    let server = Server::raw(|mut stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line).unwrap();
        }
        let no = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n";
        stream.write_all(no).unwrap();
        let _ = std::io::copy(&mut lines, &mut std::io::sink());
    });
    let mut frontend = frontend();
    let refuse = Action::Answer(http::StatusCode::FORBIDDEN, bytes::Bytes::from_static(b"no\n"));
    http(&mut frontend)
        .routes
        .insert(0, Route::new(vec![Condition::Path("/refused".into())], refuse));
    let (proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    for (path, status) in [("/refused", 403), ("/too-large", 413)] {
        let mut client = Client::connect(address);
        client.say(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {MUCH}\r\n\r\n"));
        // It listens only when it has said everything.
        client.say(vec![b'x'; MUCH]);
        let answer = client.hear().expect("it is not lost");
        assert_eq!((answer.status, answer.text().as_str()), (status, "no\n"));
        assert!(client.hear().is_none());
    }
    wait_until("nobody waits for them", || proxy.open() == 0);
}
