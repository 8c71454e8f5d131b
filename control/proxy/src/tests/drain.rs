//! Going away without losing anybody.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use super::*;
use crate::NodeState;

#[test]
fn busy_clients_lose_nothing_when_a_node_goes_away() {
    const CLIENTS: usize = 30;
    let server = Server::named("a");
    let (mut proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let (answered, told, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                while !stop.load(SeqCst) {
                    let response = client.get("/");
                    assert_eq!(response.text(), "a");
                    answered.fetch_add(1, SeqCst);
                    if response.header("connection").as_deref() == Some("close") {
                        told.fetch_add(1, SeqCst);
                        assert!(client.is_closed());
                        return;
                    }
                }
            });
        }
        wait_until("all are at it", || answered.load(SeqCst) > 10 * CLIENTS);
        assert_eq!(Client::connect(address).get("/healthcheck").status, 200);
        proxy.drain(Drain::Announced);
        wait_until("tier 2 sees it", || Client::connect(address).get("/healthcheck").status == 503);
        // Who comes is served still.
        assert_eq!(Client::connect(address).get("/").text(), "a");
        assert_eq!(told.load(SeqCst), 0);
        proxy.drain(Drain::Closing);
        wait_until("all were told", || told.load(SeqCst) == CLIENTS);
        stop.store(true, SeqCst);
    });
    wait_until("nobody is left", || proxy.open() == 0);
    // Tier 2 hears of the drain to the end, and is not refused.
    proxy.drain(Drain::Leaving);
    for _ in 0..20 {
        assert_eq!(Client::connect(address).get("/healthcheck").status, 503);
        // Who says nothing at first was not idle.
        wait_until("nobody is there", || proxy.open() == 0);
        let mut late = Client::connect(address);
        wait_until("it is there", || proxy.open() == 1);
        let response = late.get("/");
        assert_eq!(
            (response.text(), response.header("connection").as_deref()),
            ("a".into(), Some("close"))
        );
    }
    assert!(!proxy.is_over());
    proxy.close();
    wait_until("it is over", || proxy.is_over());
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody new is accepted");
}

#[test]
fn who_comes_before_all_is_known_waits_and_gets_what_is_true_then() {
    let frontend = frontend();
    let address = frontend.listen[0].address;
    let proxy = Proxy::start(NonZeroUsize::MIN, &settings(frontend, vec![])).unwrap();
    let mut early = Client::connect(address);
    early.say("GET /healthcheck HTTP/1.1\r\nHost: a\r\n\r\n");
    early.stream.set_read_timeout(Some(50 * MS)).unwrap();
    let said = early.stream.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(said, Err(std::io::ErrorKind::WouldBlock));
    early.stream.set_read_timeout(Some(SOON)).unwrap();
    proxy.set_node(NodeState::Drain);
    proxy.accept();
    assert_eq!(early.hear().unwrap().status, 503);
}

#[test]
fn who_says_nothing_is_closed_at_the_end_and_what_is_under_way_is_finished() {
    let server = Server::new(|_| {
        thread::sleep(300 * MS); // a slow answer
        Some(super::server::ok("slow"))
    });
    let (proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("/").text(), "slow");
    let mut busy = Client::connect(address);
    busy.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("it is under way", || server.heads().len() == 2);
    proxy.drain(Drain::Closing);
    proxy.drain(Drain::Leaving);
    assert!(idle.is_closed());
    assert_eq!(busy.hear().unwrap().text(), "slow");
    wait_until("nobody is left", || proxy.open() == 0);
}

#[test]
fn an_address_that_goes_is_closed_and_one_that_cannot_be_had_changes_nothing() {
    let server = Server::named("a");
    let pools = vec![pool("p", &[server.address])];
    let first = frontend();
    let (mut proxy, address) = start(first.clone(), pools.clone());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wrong = first.clone();
    wrong.listen = vec![Listen { address: taken.local_addr().unwrap(), tls: false }];
    let error = proxy.set(&settings(wrong, pools.clone())).unwrap_err();
    assert!(error.to_string().contains("cannot be listened on"), "{error}");
    assert_eq!(Client::connect(address).get("/").text(), "a");
    let mut other = first;
    other.listen = vec![Listen { address: free_address(), tls: false }];
    let there = other.listen[0].address;
    let mut open = Client::connect(address);
    assert_eq!(open.get("/").text(), "a");
    proxy.set(&settings(other, pools)).unwrap();
    assert_eq!(Client::connect(there).get("/").text(), "a");
    wait_until("the first is closed", || std::net::TcpStream::connect(address).is_err());
    assert_eq!(open.get("/").text(), "a", "its connections go on");
}

#[test]
fn another_process_takes_the_listeners_over_and_nobody_is_refused() {
    let server = Server::named("a");
    let (old, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut frontend = frontend();
    frontend.listen[0].address = address;
    let settings = settings(frontend, vec![pool("p", &[server.address])]);
    let stop = AtomicBool::new(false);
    let mut running = old;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut served = 0;
                    while !stop.load(SeqCst) {
                        let mut client = Client::connect(address);
                        client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                        assert_eq!(client.hear().expect("an answer").status, 200);
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        // To fewer workers, to more, and to as many.
        for workers in [1, 3, 3] {
            let workers = NonZeroUsize::new(workers).unwrap();
            let inherited = running.listeners().unwrap();
            let next = Proxy::start_with(workers, &settings, inherited).unwrap();
            next.accept();
            let mut old = std::mem::replace(&mut running, next);
            old.close();
            old.drain(Drain::Closing);
            let before = server.heads().len();
            wait_until("requests go on", || server.heads().len() > before + 50);
            old.drain(Drain::Leaving);
            wait_until("the old one is empty", || old.is_over());
        }
        stop.store(true, SeqCst);
        let served: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert!(served > 150);
    });
}

#[test]
fn clients_of_a_frontend_that_is_gone_stay_with_its_pool() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let (mut proxy, address) =
        start(frontend(), vec![pool("a", &[a.address]), pool("b", &[b.address])]);
    let mut client = Client::connect(address);
    assert_eq!(client.get("/").text(), "a");
    // Frontend and pool go; the other pool has its place now.
    let others = settings(frontend(), vec![pool("b", &[b.address])]);
    proxy.set(&others).unwrap();
    wait_until("nobody is accepted there", || std::net::TcpStream::connect(address).is_err());
    assert_eq!(client.get("/").text(), "a");
}

#[test]
fn who_has_said_nothing_holds_nobody_up() {
    let server = Server::named("a");
    let (proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut silent = Client::connect(address);
    wait_until("it is there", || proxy.open() == 1);
    proxy.drain(Drain::Closing);
    proxy.drain(Drain::Leaving);
    assert!(silent.is_closed());
    wait_until("it has gone", || proxy.open() == 0);
}

#[test]
fn a_websocket_that_begins_as_the_node_goes_is_one() {
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        super::server::read(&mut lines);
        let granted = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        std::io::Write::write_all(&mut stream, granted).unwrap();
        let _ = std::io::Read::read_to_end(&mut lines, &mut Vec::new());
    });
    let (mut proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let mut client = Client::connect(address);
    // In the middle of a header, as nobody is accepted any more.
    client.say("GET / HTTP/1.1\r\nHost: a\r\n");
    wait_until("it is there", || proxy.open() == 1);
    proxy.close();
    proxy.drain(Drain::Closing);
    wait_until("nobody is accepted", || std::net::TcpStream::connect(address).is_err());
    client.say("Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let response = client.hear().unwrap();
    let connection = response.header("connection");
    assert_eq!((response.status, connection.as_deref()), (101, Some("upgrade")));
}
