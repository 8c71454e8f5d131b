use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::*;
use crate::{Admin, BodyMatch, Http, StatusSet};
use Outcome::{Failed, Passed, Refused};

fn http() -> Http {
    Http {
        tls: None,
        method: "GET".to_owned(),
        path: "/healthcheck".to_owned(),
        host: None,
        status: StatusSet(vec![(200, 299)]),
        drain_status: StatusSet(vec![(404, 404), (503, 503)]),
        body: None,
    }
}

fn with_body(body: BodyMatch) -> Kind {
    Kind::Http(Http { body: Some(body), ..http() })
}

/// A hyper server that answers so, and passes the requests on.
async fn hyper_server(
    address: SocketAddr,
    answer: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> (SocketAddr, mpsc::UnboundedReceiver<Request<Incoming>>) {
    let (sender, requests) = mpsc::unbounded_channel();
    let address = server_on(address, move |stream| {
        let (answer, sender) = (answer.clone(), sender.clone());
        async move {
            let service = service_fn(move |request| {
                let _uninterested = sender.send(request);
                let response = answer();
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _end = connection.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    (address, requests)
}

async fn answering(status: u16, state: Option<&'static str>, body: &'static str) -> SocketAddr {
    let answer = move || {
        let mut response = Response::builder().status(status);
        if let Some(state) = state {
            response = response.header("Palier-State", state);
        }
        response.body(Full::from(body)).unwrap()
    };
    hyper_server(localhost(false), answer).await.0
}

#[tokio::test]
async fn the_request_is_what_the_check_says() {
    for v6 in [false, true] {
        let answer = || Response::new(Full::from("ok"));
        let (address, mut requests) = hyper_server(localhost(v6), answer).await;
        assert_report(&ask(Kind::Http(http()), address).await, Passed, "HTTP 200");
        let request = requests.recv().await.unwrap();
        assert_eq!((request.method().as_str(), request.uri().path()), ("GET", "/healthcheck"));
        assert_eq!(request.headers()["host"], address.to_string());
        assert_eq!(request.headers()["connection"], "close");
        assert_eq!(request.headers()["user-agent"], "palier");

        let named = Http {
            method: "OPTIONS".to_owned(),
            path: "/a?b=c".to_owned(),
            host: Some("www.example.org".to_owned()),
            ..http()
        };
        assert_eq!(ask(Kind::Http(named), address).await.outcome, Passed);
        let request = requests.recv().await.unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string().as_str()),
            ("OPTIONS", "/a?b=c")
        );
        assert_eq!(request.headers()["host"], "www.example.org");
    }
}

#[tokio::test]
async fn a_status_passes_refuses_or_fails() {
    for (status, outcome) in
        [(200, Passed), (299, Passed), (503, Refused), (404, Refused), (500, Failed), (301, Failed)]
    {
        let report = ask(Kind::Http(http()), answering(status, None, "").await).await;
        assert_report(&report, outcome, &format!("HTTP {status}"));
        assert_eq!(report.admin, Some(Admin::Ready));
    }
}

#[tokio::test]
async fn a_refusing_node_says_what_it_wants_to_be() {
    let table = [
        (503, "drain", Refused, Admin::Drain, "HTTP 503, wants to drain"),
        (503, "Maintenance", Refused, Admin::Maintenance, "HTTP 503, wants maintenance"),
        (503, "whatever", Refused, Admin::Ready, "HTTP 503"),
        // Only together with a drain status.
        (200, "drain", Passed, Admin::Ready, "HTTP 200"),
        (500, "drain", Failed, Admin::Ready, "HTTP 500"),
    ];
    for (status, state, outcome, admin, reason) in table {
        let report = ask(Kind::Http(http()), answering(status, Some(state), "").await).await;
        assert_report(&report, outcome, reason);
        assert_eq!(report.admin, Some(admin));
    }
}

#[tokio::test]
async fn the_connection_ends_by_a_reset_after_the_answer() {
    let (sender, mut ends) = mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut request = [0; 1024];
            assert_ne!(stream.read(&mut request).await.unwrap(), 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            sender.send(stream.read(&mut request).await.map_err(|e| e.kind())).unwrap();
        }
    })
    .await;
    assert_eq!(ask(Kind::Http(http()), address).await.outcome, Passed);
    assert_eq!(ends.recv().await, Some(Err(std::io::ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn a_body_has_to_match() {
    let address = answering(200, None, "status: ok, load 0.5").await;
    let contains = |text: &str| with_body(BodyMatch::Contains(text.to_owned()));
    let regex = |text: &str| with_body(BodyMatch::Regex(text.to_owned()));
    assert_report(&ask(contains("ok"), address).await, Passed, "HTTP 200");
    assert_report(&ask(contains("OK"), address).await, Failed, r#"HTTP 200, body lacks "OK""#);
    assert_report(&ask(regex(r"^status: ok,.*load 0\.\d$"), address).await, Passed, "HTTP 200");
    assert_report(&ask(regex("^ok"), address).await, Failed, r#"HTTP 200, body lacks "^ok""#);
    // What refuses is not read.
    let refusing = answering(503, None, "ok").await;
    assert_report(&ask(contains("other"), refusing).await, Refused, "HTTP 503");
}

#[tokio::test]
async fn the_first_64_kib_of_a_body_are_looked_at() {
    // 64 KiB end within the third repetition of 30,000 characters.
    let address = endless(b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 30_000]).await;
    let seen = BodyMatch::Regex(r"^x{32768}x{32768}$".to_owned());
    assert_report(&ask(with_body(seen), address).await, Passed, "HTTP 200");
    let never = BodyMatch::Contains("ok".to_owned());
    assert_report(&ask(with_body(never), address).await, Failed, r#"HTTP 200, body lacks "ok""#);
    // One that nobody asked about is not waited for.
    assert_report(&ask(Kind::Http(http()), address).await, Passed, "HTTP 200");
}

#[tokio::test]
async fn a_body_that_breaks_off_fails() {
    let address = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok").await;
    let report = ask(with_body(BodyMatch::Contains("ok".to_owned())), address).await;
    assert_report(&report, Failed, "connection closed early");
}

#[tokio::test]
async fn a_head_without_end_is_not_read_for_ever() {
    let headers = endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n").await;
    let line = endless(b"HTTP/1.1 200 OK\r\nX-Header: ", b"valuevaluevalue").await;
    for address in [headers, line] {
        let report = ask(Kind::Http(http()), address).await;
        assert_report(&report, Failed, "the response's head is too large");
    }
}

#[tokio::test]
async fn a_head_may_be_large_but_not_too_large() {
    for (headers, outcome, reason) in
        [(4, Passed, "HTTP 200"), (20, Failed, "the response's head is too large")]
    {
        let answer = move || {
            let mut response = Response::builder();
            for _ in 0..headers {
                response = response.header("X-Header", "x".repeat(10_000));
            }
            response.body(Full::default()).unwrap()
        };
        let (address, _requests) = hyper_server(localhost(false), answer).await;
        assert_report(&ask(Kind::Http(http()), address).await, outcome, reason);
    }
}

#[tokio::test]
async fn what_is_not_http_fails() {
    let table: [(&[u8], _); 3] = [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not HTTP"),
        (b"", "connection closed early"),
        (b"HTTP/1.1 200 OK\r\nContent-", "connection closed early"),
    ];
    for (words, reason) in table {
        assert_report(&ask(Kind::Http(http()), saying(words).await).await, Failed, reason);
    }
}

#[tokio::test]
async fn the_dead_refuse_and_the_slow_run_out_of_time() {
    let (_bound, address) = refusing();
    let report = ask(Kind::Http(http()), address).await;
    assert_report(&report, Failed, "connection refused");
    // It did not answer, so nothing is known of what it wants.
    assert_eq!(report.admin, None);

    let report = ask_in_vain(Kind::Http(http()), slow().await).await;
    assert_report(&report, Failed, "no answer within 50ms");
    // The deadline covers the body too.
    let stalled = server(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await.unwrap();
        wait_for_end(stream).await;
    });
    let report = ask_in_vain(with_body(BodyMatch::Contains("ok".to_owned())), stalled.await).await;
    assert_report(&report, Failed, "no answer within 50ms");
}

#[tokio::test]
async fn an_impossible_request_says_so() {
    let (_bound, address) = refusing();
    let impossible = Http { method: "G E T".to_owned(), ..http() };
    let report = ask(Kind::Http(impossible), address).await;
    assert_report(&report, Failed, "no such request: invalid HTTP method");
}
