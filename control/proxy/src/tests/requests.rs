//! Where requests go, what servers and clients see, and what is tried again.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use super::server::ok;
use super::*;
use crate::{Availability, ServerState};

const DOWN: ServerState =
    ServerState { availability: Availability::Down, weight_percent: 100, max_connections: None };

#[test]
fn requests_of_a_connection_go_by_kept_connections_and_say_who_asks() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for n in 0..10 {
        let response = client.get(&format!("/{n}?q=1"));
        assert_eq!((response.status, response.text()), (200, "a".to_owned()));
    }
    assert_eq!(server.connections(), 1);
    let head = server.heads()[3].to_ascii_lowercase();
    assert!(head.starts_with("get /3?q=1 http/1.1\r\n"), "{head}");
    for line in ["host: example.org", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"] {
        assert!(head.contains(&format!("{line}\r\n")), "{head}");
    }
}

#[test]
fn servers_take_turns_and_those_that_are_unusable_get_nothing_new() {
    let servers = [Server::named("a"), Server::named("b"), Server::named("c")];
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let (proxy, address) = start(frontend(), vec![pool("p", &addresses)]);
    let mut client = Client::connect(address);
    // They begin somewhere at random, so that what follows is fair, and not the first few.
    let mut seen = |n: usize| {
        let mut all: Vec<_> = (0..n).map(|_| client.get("/").text()).collect();
        all.sort();
        all.dedup();
        all
    };
    assert_eq!(seen(9), ["a", "b", "c"]);
    proxy.set_server("p", "p-1", DOWN);
    assert_eq!(seen(9), ["a", "c"]);
    for server in ["p-0", "p-2"] {
        proxy.set_server("p", server, DOWN);
    }
    let response = client.get("/");
    assert_eq!(response.status, 503);
    assert_eq!(client.get("/healthcheck").status, 503);
    proxy.set_server("p", "p-1", ServerState::default());
    assert_eq!((client.get("/healthcheck").status, client.get("/").text()), (200, "b".to_owned()));
}

#[test]
fn backups_serve_while_nobody_else_does() {
    let (server, backup) = (Server::named("a"), Server::named("backup"));
    let mut pool = pool("p", &[server.address, backup.address]);
    pool.servers[1].backup = true;
    let (proxy, address) = start(frontend(), vec![pool]);
    let mut client = Client::connect(address);
    assert!((0..4).all(|_| client.get("/").text() == "a"));
    proxy.set_server("p", "p-0", DOWN);
    assert!((0..4).all(|_| client.get("/").text() == "backup"));
}

#[test]
fn routes_choose_the_pool_and_settings_change_under_open_connections() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let pools = vec![pool("a", &[a.address]), pool("b", &[b.address])];
    let mut frontend = frontend();
    let to = Route::new;
    let path = |path: &str| vec![Condition::PathPrefix(path.into())];
    let redirect =
        Action::Redirect(http::StatusCode::MOVED_PERMANENTLY, "https://{host}{path}".into());
    super::http(&mut frontend).routes = vec![
        to(vec![Condition::Host(vec!["old.example.org".into()])], redirect),
        to(path("/b"), Action::Pool(1)),
        to(path("/a"), Action::Pool(0)),
    ];
    let before = frontend.clone();
    let (mut proxy, address) = start(frontend, pools.clone());
    let mut client = Client::connect(address);
    assert_eq!(client.get("/a/x").text(), "a");
    assert_eq!(client.get("/b").text(), "b");
    assert_eq!(client.get("/c").status, 404);
    let response = client.ask("GET /x?y HTTP/1.1\r\nHost: OLD.example.org:8080\r\n\r\n");
    assert_eq!(response.status, 301);
    assert_eq!(response.header("location").as_deref(), Some("https://old.example.org/x?y"));
    // Another pool behind the same name: the next request of a new connection sees it.
    let pools = vec![pool("a", &[b.address]), pool("b", &[a.address])];
    proxy.set(&settings(before.clone(), pools.clone())).unwrap();
    wait_until("the other settings are in force", || {
        Client::connect(address).get("/a").text() == "b"
    });
    assert_eq!(client.get("/a").text(), "b");
    // Other routes.
    let mut other = before;
    super::http(&mut other).routes = vec![to(vec![], Action::Pool(1))];
    proxy.set(&settings(other, pools)).unwrap();
    wait_until("the other routes are in force", || client.get("/c").text() == "a");
}

#[test]
fn bodies_of_every_length_go_both_ways() {
    let server = Server::new(|request| {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.body.len())
                .into_bytes();
        answer.extend_from_slice(&request.body);
        Some(answer)
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for length in [0, 1, 1000, 3_000_000] {
        let body: Vec<u8> = (0..=255).cycle().take(length).collect();
        let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let sent = body.clone();
        let mut writer = client.stream.try_clone().unwrap();
        let sending = thread::spawn(move || {
            writer.write_all(head.as_bytes()).unwrap();
            writer.write_all(&sent).unwrap();
        });
        let response = client.hear().unwrap();
        sending.join().unwrap();
        assert_eq!((response.status, response.body == body), (200, true), "{length}");
    }
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(client.ask(chunked).text(), "abcde");
}

#[test]
fn a_server_that_is_not_there_is_passed_over() {
    let server = Server::named("a");
    let mut pool = pool("p", &[free_address(), server.address]);
    pool.servers[0].weight = 5;
    pool.retry_budget = 100;
    let (_proxy, address) = start(frontend(), vec![pool]);
    let mut client = Client::connect(address);
    for _ in 0..20 {
        // What changes something, too: nothing of it was sent.
        let response = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(response.text(), "a");
    }
    let (_proxy, address) = start(frontend(), vec![super::pool("p", &[free_address()])]);
    assert_eq!(Client::connect(address).get("/").status, 502);
}

#[test]
fn a_kept_connection_that_the_server_closes_costs_no_request() {
    // It closes after each second request, as it gets the next one.
    let count = AtomicUsize::new(0);
    let server = Server::new(move |_| (count.fetch_add(1, SeqCst) % 3 != 2).then(|| ok("a")));
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for _ in 0..30 {
        assert_eq!(client.get("/").text(), "a");
    }
}

#[test]
fn what_may_have_had_an_effect_is_not_sent_twice() {
    let posts = std::sync::Arc::new(AtomicUsize::new(0));
    let seen = posts.clone();
    let server = Server::new(move |request| {
        if request.head.starts_with("POST") {
            seen.fetch_add(1, SeqCst);
            return None;
        }
        Some(ok("a"))
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for n in 1..=3 {
        assert_eq!(client.get("/").text(), "a");
        let response = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!((response.status, posts.load(SeqCst)), (502, n));
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = Server::raw(|mut stream| _ = stream.read_to_end(&mut Vec::new()));
    let mut pool = pool("p", &[server.address]);
    pool.timeouts.response = 300 * MS;
    let (_proxy, address) = start(frontend(), vec![pool]);
    assert_eq!(Client::connect(address).get("/").status, 504);
}

#[test]
fn a_connection_as_it_is_may_be_closed_in_one_direction() {
    let server = Server::raw(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let mut frontend = frontend();
    frontend.mode = Mode::Tcp(vec![TcpRoute { hosts: vec![], pool: 0 }]);
    let pools = vec![pool("p", &[free_address(), server.address])];
    let (_proxy, address) = start(frontend, pools);
    for _ in 0..4 {
        let mut client = Client::connect(address);
        client.say("all that there is");
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.read(17), b"all that there is");
        assert!(client.is_closed());
    }
}

#[test]
fn a_frontend_has_no_more_connections_than_it_may_and_others_wait() {
    let server = Server::named("a");
    let mut frontend = frontend();
    frontend.max_connections = Some(2);
    let pools = vec![pool("p", &[server.address])];
    let (mut proxy, address) = start(frontend.clone(), pools.clone());
    let mut clients: Vec<_> = (0..2).map(|_| Client::connect(address)).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "a"));
    // More than there are listeners, so that some stay in the kernel's queues.
    let mut others: Vec<_> = (0..8).map(|_| Client::connect(address)).collect();
    for other in &mut others {
        other.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    let open = |proxy: &Proxy| proxy.status().frontends[0].open;
    // Whoever is in is served, the others are not.
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "a");
    }
    assert_eq!((open(&proxy), server.heads().len()), (2, 4));
    drop(clients.pop());
    for other in &mut others {
        assert_eq!(other.hear().unwrap().text(), "a");
    }
    // A higher limit holds at once, for those who wait, too.
    clients.push(Client::connect(address));
    assert_eq!(clients[1].get("/").text(), "a");
    let mut third = Client::connect(address);
    third.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("it has come", || proxy.open() == 3);
    assert_eq!(open(&proxy), 2);
    frontend.max_connections = Some(3);
    proxy.set(&settings(frontend, pools)).unwrap();
    assert_eq!(third.hear().unwrap().text(), "a");
    drop((clients, third));
    wait_until("nobody is left", || open(&proxy) == 0);
}

#[test]
fn the_shortest_request_is_answered_at_once() {
    // HAProxy's own check: shorter than whatever could be looked for in its first bytes.
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say("OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!(client.hear().unwrap().status, 200);
    assert!(client.is_closed(), "HTTP/1.0 keeps nothing unless asked to");
    // Servers that are spoken to by HTTP/1.1 are to be told a host.
    let head = server.heads().pop().unwrap();
    assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
}

#[test]
fn a_query_without_a_path_has_one() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    assert_eq!(client.ask("GET http://a?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert!(server.heads().pop().unwrap().starts_with("GET /?x=1 HTTP/1.1\r\n"));
}

#[test]
fn bodies_in_chunks_are_sent_whatever_the_method() {
    let server =
        Server::new(|request| Some(super::server::ok(&String::from_utf8_lossy(&request.body))));
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    for method in ["GET", "DELETE", "POST"] {
        let mut client = Client::connect(address);
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n");
        assert_eq!(client.ask(&format!("{head}\r\n2\r\nhi\r\n0\r\n\r\n")).text(), "hi", "{method}");
    }
    // Of what is in it nobody here knows how to get it out.
    let mut client = Client::connect(address);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n";
    assert_eq!(client.ask(&format!("{head}\r\n0\r\n\r\n")).status, 501);
}

#[test]
fn a_connection_is_nobodys_while_a_request_is_still_being_sent_on_it() {
    // It answers at the end of each header, before the body has come.
    let (gone, ends) = std::sync::mpsc::channel();
    let server = Server::raw(move |mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if matches!(std::io::BufRead::read_line(&mut lines, &mut head), Ok(0) | Err(_)) {
                    return gone.send(()).unwrap_or_default();
                }
            }
            let _ = std::io::Write::write_all(&mut stream, &super::server::ok("early"));
        }
    });
    let mut frontend = frontend();
    frontend.timeouts.body = 10 * SOON;
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    // As many as there are cores, so that each has one.
    let mut slow: Vec<_> = (0..8)
        .map(|_| {
            let mut client = Client::connect(address);
            client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx");
            assert_eq!(client.hear().unwrap().text(), "early");
            client
        })
        .collect();
    for _ in 0..slow.len() {
        ends.recv_timeout(SOON).expect("its connection ends");
    }
    for _ in 0..16 {
        assert_eq!(Client::connect(address).get("/").text(), "early");
    }
    // Nor does anybody take the rest of what nobody waits for.
    for client in &mut slow {
        assert!(client.is_closed());
    }
}

#[test]
fn servers_connections_are_kept_after_uploads_of_any_framing() {
    let server = Server::named("a");
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    for framed in [
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 2\r\n\r\nhi",
        "Content-Length: 0\r\n\r\n",
    ] {
        assert_eq!(client.ask(&format!("POST / HTTP/1.1\r\nHost: a\r\n{framed}")).text(), "a");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_clients_broken_body_is_no_fault_of_the_servers() {
    let server = Server::named("a");
    let (proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    wait_until("the server has a part of it", || server.connections() == 1);
    client.say("no chunk\r\n");
    assert_eq!(client.hear().map(|response| response.status), Some(400));
    assert_eq!(proxy.status().pools[0].servers[0].failed, 0);
}
