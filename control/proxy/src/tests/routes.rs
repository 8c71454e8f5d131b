//! What is changed of requests and answers on their way, and what the proxy says itself.

use std::thread;

use super::*;

fn edits(edit: impl FnOnce(&mut HeaderEdits)) -> HeaderEdits {
    let mut edits = HeaderEdits::default();
    edit(&mut edits);
    edits
}

fn text(name: &str, value: &str) -> (http::HeaderName, HeaderText) {
    (name.parse().unwrap(), value.parse().unwrap())
}

#[test]
fn paths_and_headers_are_changed_by_route_and_frontend() {
    let server = Server::new(|_| {
        let head = "HTTP/1.1 200 OK\r\nserver: secret\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n";
        Some(head.as_bytes().to_vec())
    });
    let mut frontend = frontend();
    let route = Route {
        rewrite: Some(Rewrite { strip: "/api".into(), put: "/v2".into() }),
        request_headers: edits(|edits| edits.set.push(text("x-route", "api {scheme} {host}"))),
        response_headers: edits(|edits| edits.add.push(text("x-a", "2"))),
        ..Route::new(vec![Condition::PathPrefix("/api".into())], Action::Pool(0))
    };
    let http = http(&mut frontend);
    http.routes.insert(0, route);
    http.request_headers = edits(|edits| {
        edits.remove.push("x-secret".parse().unwrap());
        edits.set.push(text("x-real-ip", "{client}"));
    });
    http.response_headers = edits(|edits| {
        edits.remove.push("server".parse().unwrap());
        edits.set.push(text("strict-transport-security", "max-age=300"));
    });
    http.unique_id = Some("x-request-id".parse().unwrap());
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    let secret = "X-Secret: 1\r\nX-Real-Ip: 203.0.113.9\r\nX-Request-Id: mine\r\n";
    for _ in 0..2 {
        let response =
            client.ask(&format!("GET /api/a?b HTTP/1.1\r\nHost: A.example:80\r\n{secret}\r\n"));
        assert_eq!(response.header("strict-transport-security").as_deref(), Some("max-age=300"));
        assert_eq!(response.header("server"), None);
        assert_eq!(response.head.matches("x-a: ").count(), 2, "{}", response.head);
    }
    client.get("/other");
    let heads: Vec<_> = server.heads().iter().map(|head| head.to_ascii_lowercase()).collect();
    assert!(heads[0].starts_with("get /v2/a?b http/1.1\r\n"), "{}", heads[0]);
    assert!(heads[0].contains("x-route: api http a.example\r\n"), "{}", heads[0]);
    assert!(heads[0].contains("x-real-ip: 127.0.0.1\r\n"), "{}", heads[0]);
    assert!(!heads[0].contains("x-secret") && !heads[2].contains("x-route"));
    let id = |head: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix("x-request-id: ").map(str::to_owned)).unwrap()
    };
    let ids: Vec<_> = heads.iter().map(|head| id(head)).collect();
    let (name, _) = ids[0].split_once('-').unwrap();
    assert_eq!(name.len(), 32);
    assert_eq!(ids, [1, 2, 3].map(|n| format!("{name}-{n}")), "of one connection, each its own");
}

#[test]
fn the_proxy_answers_itself_where_it_is_told_to() {
    let mut frontend = frontend();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("502.html");
    std::fs::write(&file, "<h1>Back soon</h1>").unwrap();
    let body = bytes::Bytes::from_static(b"User-agent: *\nDisallow: /\n");
    let robots = Action::Answer(http::StatusCode::OK, body);
    let http = http(&mut frontend);
    http.routes.insert(0, Route::new(vec![Condition::Path("/robots.txt".into())], robots));
    http.error_pages.push(ErrorPage {
        status: http::StatusCode::BAD_GATEWAY,
        content_type: "text/html".parse().unwrap(),
        file: file.clone(),
    });
    let settings = settings(frontend, vec![pool("p", &[free_address()])]);
    let address = settings.frontends[0].listen[0].address;
    let mut proxy = serve(1, &settings);
    let mut client = Client::connect(address);
    assert!(client.get("/robots.txt").text().starts_with("User-agent"));
    let failed = client.get("/");
    assert_eq!((failed.status, failed.text().as_str()), (502, "<h1>Back soon</h1>"));
    assert_eq!(failed.header("content-type").as_deref(), Some("text/html"));
    // A page that has gone changes nothing.
    std::fs::remove_file(&file).unwrap();
    let error = proxy.set(&settings).unwrap_err().to_string();
    assert!(error.contains("502.html cannot be used: No such file"), "{error}");
    assert_eq!(client.get("/").text(), "<h1>Back soon</h1>");
}

#[test]
fn a_client_that_stops_within_its_body_is_told_and_the_server_not_blamed() {
    // It answers once it has the whole body.
    let server = Server::named("a");
    let mut frontend = frontend();
    frontend.timeouts.body = 200 * MS;
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    let response = client.hear().unwrap();
    assert_eq!(response.status, 408, "{response:?}");
    assert!(client.is_closed());
    // One that goes on in time is waited for, for as long as it takes.
    let mut client = Client::connect(address);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    for _ in 0..8 {
        client.say("1");
        thread::sleep(100 * MS);
    }
    assert_eq!(client.hear().unwrap().status, 200);
}

#[test]
fn a_request_may_have_a_time_for_all_of_it() {
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        let request = super::server::read(&mut lines).unwrap();
        let write = |stream: &mut std::net::TcpStream, text: &[u8]| {
            std::io::Write::write_all(stream, text).is_ok()
        };
        if request.head.starts_with("GET /silent") {
            thread::sleep(SOON);
        }
        write(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while write(&mut stream, b".") {
            thread::sleep(20 * MS);
        }
    });
    let mut frontend = frontend();
    frontend.timeouts.total = Some(300 * MS);
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    assert_eq!(Client::connect(address).get("/silent").status, 504);
    let mut client = Client::connect(address);
    client.say("GET /drips HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.is_closed(), "an answer that was cut is no whole one");
}

#[test]
fn requests_with_too_much_of_a_header_are_refused() {
    let server = Server::named("a");
    let mut frontend = frontend();
    frontend.limits = HeaderLimits { count: 10, bytes: 8192 };
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let many: String = (0..12).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = format!("X: {}\r\n", "a".repeat(10_000));
    for header in [many, long] {
        let mut client = Client::connect(address);
        let response = client.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n"));
        assert_eq!(response.status, 431);
        assert!(client.is_closed());
    }
    assert_eq!(server.heads().len(), 0);
}

#[test]
fn tls_that_is_not_ours_goes_by_the_name_in_it() {
    let (a, b) = (Server::raw(super::tls::echo_tls("a")), Server::raw(super::tls::echo_tls("b")));
    let mut frontend = frontend();
    let host = |host: &str, pool| TcpRoute { hosts: vec![host.into()], pool };
    frontend.mode = Mode::Tcp(vec![host("a.example.org", 0), host("*.example.org", 1)]);
    let pools = vec![pool("a", &[a.address]), pool("b", &[b.address])];
    let (_proxy, address) = start(frontend, pools);
    for (name, answer) in
        [("a.example.org", Some("a")), ("x.example.org", Some("b")), ("example.com", None)]
    {
        assert_eq!(super::tls::first_word(address, name).as_deref(), answer, "{name}");
    }
    // What is no TLS has no name.
    let mut plain = Client::connect(address);
    plain.say("GET / HTTP/1.1\r\n\r\n");
    assert!(plain.is_closed());
}
