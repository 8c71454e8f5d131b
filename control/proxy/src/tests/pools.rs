//! Limits and queues, clients that stay, servers that start slowly, pools in trouble.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::server::ok;
use super::*;
use crate::{Availability, ServerState};

const UP: ServerState =
    ServerState { availability: Availability::Up, weight_percent: 100, max_connections: None };

fn state(availability: Availability) -> ServerState {
    ServerState { availability, ..UP }
}

/// A server whose answers wait until they are let go.
struct Gate {
    server: Server,
    inner: Arc<(Mutex<usize>, Condvar)>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        let inner = Arc::new((Mutex::new(0), Condvar::new()));
        let (inside, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (gate, here, top) = (inner.clone(), inside.clone(), most.clone());
        let server = Server::new(move |_| {
            top.fetch_max(here.fetch_add(1, SeqCst) + 1, SeqCst);
            let (left, opened) = &*gate;
            let mut left = left.lock().unwrap();
            while *left == 0 {
                left = opened.wait(left).unwrap();
            }
            *left -= 1;
            here.fetch_sub(1, SeqCst);
            Some(ok("a"))
        });
        Self { server, inner, inside, most }
    }

    /// Lets so many answers go.
    fn open(&self, count: usize) {
        *self.inner.0.lock().unwrap() += count;
        self.inner.1.notify_all();
    }
}

/// So many clients that ask at once, each on a thread, and the statuses of their answers.
fn ask(address: SocketAddr, count: usize) -> Vec<thread::JoinHandle<u16>> {
    (0..count).map(|_| thread::spawn(move || Client::connect(address).get("/").status)).collect()
}

#[test]
fn a_server_has_no_more_than_its_limit_of_all_cores_and_others_wait() {
    let gate = Gate::new();
    let mut pool = pool("p", &[gate.server.address]);
    pool.servers[0].max_connections = Some(3);
    pool.queue = Queue { length: 5, timeout: SOON };
    let (proxy, address) = start(frontend(), vec![pool]);
    let clients = ask(address, 8);
    let status = || proxy.status().pools[0].clone();
    wait_until("three are inside and five wait", || {
        gate.inside.load(SeqCst) == 3 && status().waiting == 5
    });
    assert_eq!(Client::connect(address).get("/").status, 503, "the queue is full");
    gate.open(8);
    let statuses: Vec<u16> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert_eq!(statuses, [200; 8]);
    assert_eq!(gate.most.load(SeqCst), 3);
    wait_until("nobody is left", || status().waiting == 0 && status().servers[0].busy == 0);
}

#[test]
fn who_waits_too_long_is_told_and_a_higher_limit_lets_the_others_in() {
    let gate = Gate::new();
    let mut pool = pool("p", &[gate.server.address]);
    pool.queue = Queue { length: 5, timeout: 200 * MS };
    let (proxy, address) = start(frontend(), vec![pool.clone()]);
    // The agent's limit, which may be below that of the settings.
    proxy.set_server("p", "p-0", ServerState { max_connections: Some(1), ..UP });
    let first = ask(address, 1);
    wait_until("one is inside", || gate.inside.load(SeqCst) == 1);
    let second = ask(address, 1);
    assert_eq!(second.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>(), [503]);

    let mut patient =
        settings(frontend(), vec![Pool { queue: Queue { timeout: SOON, ..pool.queue }, ..pool }]);
    patient.frontends[0].listen[0].address = address;
    let mut proxy = proxy;
    proxy.set(&patient).unwrap();
    let third = ask(address, 1);
    wait_until("it waits", || proxy.status().pools[0].waiting == 1);
    proxy.set_server("p", "p-0", UP);
    wait_until("both are inside", || gate.inside.load(SeqCst) == 2);
    gate.open(2);
    for client in first.into_iter().chain(third) {
        assert_eq!(client.join().unwrap(), 200);
    }
}

#[test]
fn who_waits_gets_servers_that_come_meanwhile() {
    let gate = Gate::new();
    let mut pool = pool("p", &[gate.server.address]);
    pool.servers[0].max_connections = Some(1);
    pool.queue = Queue { length: 5, timeout: SOON };
    let settings = settings(frontend(), vec![pool]);
    let address = settings.frontends[0].listen[0].address;
    let mut proxy = serve(1, &settings);
    let first = ask(address, 1);
    wait_until("one is inside", || gate.inside.load(SeqCst) == 1);
    let others = ask(address, 3);
    wait_until("three wait", || proxy.status().pools[0].waiting == 3);

    let helper = Server::named("helper");
    let mut more = settings;
    let mut server = more.pools[0].servers[0].clone();
    (server.name, server.address) = ("p-1".into(), Some(helper.address));
    more.pools[0].servers.push(server);
    proxy.set(&more).unwrap();
    for client in others {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert_eq!((helper.heads().len(), gate.inside.load(SeqCst)), (3, 1));
    gate.open(1);
    assert!(first.into_iter().all(|client| client.join().unwrap() == 200));
}

#[test]
fn clients_stay_with_their_server_while_it_may_keep_them() {
    let servers = [Server::named("a"), Server::named("b"), Server::named("c")];
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let mut pool = pool("p", &addresses);
    let max_age = Some(Duration::from_secs(3600));
    pool.affinity = Some(Affinity { cookie: "SRV".into(), max_age, secure: false });
    let (proxy, address) = start(frontend(), vec![pool]);
    let mut client = Client::connect(address);
    let first = client.get("/");
    let cookie = first.header("set-cookie").expect("a cookie");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let mut asks = |cookie: &str| {
        client.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; {cookie}; y=2\r\n\r\n"))
    };
    for _ in 0..6 {
        let again = asks(&cookie);
        assert_eq!(again.text(), first.text());
        assert_eq!(again.header("set-cookie"), None, "it has it");
    }
    let place = ["a", "b", "c"].iter().position(|name| *name == first.text()).unwrap();
    let head = servers[place].heads().pop().unwrap().to_ascii_lowercase();
    assert!(head.contains("cookie: x=1; y=2\r\n"), "the server does not see it: {head}");

    let name = format!("p-{place}");
    proxy.set_server("p", &name, state(Availability::Drain));
    assert_eq!(asks(&cookie).text(), first.text(), "a drained server keeps its clients");
    assert!((0..6).all(|_| asks("z=3").text() != first.text()), "and gets no new ones");
    proxy.set_server("p", &name, state(Availability::Maintenance));
    let moved = asks(&cookie);
    assert_ne!(moved.text(), first.text());
    assert!(moved.header("set-cookie").is_some_and(|new| !new.starts_with(&cookie)));
    assert!(asks("SRV=0123456789abcdef").header("set-cookie").is_some(), "nobody's");
}

#[test]
fn a_server_that_comes_back_starts_slowly() {
    let servers = [Server::named("a"), Server::named("b")];
    let mut pool = pool("p", &[servers[0].address, servers[1].address]);
    for server in &mut pool.servers {
        server.weight = 10;
    }
    pool.slow_start = Duration::from_secs(3600);
    let (proxy, address) = start(frontend(), vec![pool.clone()]);
    let mut client = Client::connect(address);
    let mut shares = |n: usize| {
        let mut shares = BTreeMap::<String, usize>::new();
        (0..n).for_each(|_| *shares.entry(client.get("/").text()).or_default() += 1);
        shares
    };
    assert_eq!(shares(40)["b"], 20, "who was there from the first has his share");
    proxy.set_server("p", "p-1", state(Availability::Down));
    proxy.set_server("p", "p-1", UP);
    let slow = shares(210)["b"];
    assert!((9..=11).contains(&slow), "a twentieth of its weight: {slow} of 210");
}

#[test]
fn a_sorry_pool_answers_while_nobody_else_can() {
    let (server, sorry) = (Server::named("a"), Server::named("sorry"));
    let mut pools = vec![pool("p", &[server.address]), pool("sorry", &[sorry.address])];
    pools[0].sorry = Some(1);
    let (proxy, address) = start(frontend(), pools);
    let mut client = Client::connect(address);
    assert_eq!(client.get("/").text(), "a");
    proxy.set_server("p", "p-0", state(Availability::Down));
    assert_eq!(client.get("/").text(), "sorry");
    assert_eq!(client.get("/healthcheck").status, 503, "tier 2 may know better ones");
    proxy.set_server("p", "p-0", UP);
    assert_eq!(client.get("/").text(), "a");
}

#[test]
fn a_pool_in_trouble_is_not_asked_twice_for_everything() {
    // Nobody listens there: a try costs a moment.
    let addresses: Vec<_> = (0..4).map(|_| free_address()).collect();
    let mut pool = pool("p", &addresses);
    (pool.retries, pool.retry_budget) = (3, 10);
    let (proxy, address) = start(frontend(), vec![pool]);
    let mut client = Client::connect(address);
    for _ in 0..200 {
        assert_eq!(client.get("/").status, 502);
    }
    let failed: u64 = proxy.status().pools[0].servers.iter().map(|one| one.failed).sum();
    // 200 first tries, ten that were saved up, and a tenth.
    assert!((225..=235).contains(&failed), "{failed}");
}

/// The settings of a proxy at this address, with other pools.
fn again(address: SocketAddr, pools: Vec<Pool>) -> Settings {
    let mut settings = settings(frontend(), pools);
    settings.frontends[0].listen[0].address = address;
    settings
}

#[test]
fn a_server_that_gets_another_weight_goes_on_with_what_it_has() {
    let gate = Gate::new();
    let mut pool = pool("p", &[gate.server.address]);
    pool.servers[0].max_connections = Some(1);
    pool.queue = Queue { length: 5, timeout: SOON };
    let (mut proxy, address) = start(frontend(), vec![pool.clone()]);
    let first = ask(address, 1);
    wait_until("one is inside", || gate.inside.load(SeqCst) == 1);
    pool.servers[0].weight = 7;
    proxy.set(&again(address, vec![pool])).unwrap();
    let server = proxy.status().pools[0].servers[0].clone();
    assert_eq!((server.busy, server.requests), (1, 1));
    let second = ask(address, 1);
    wait_until("the next one waits", || proxy.status().pools[0].waiting == 1);
    gate.open(2);
    for client in first.into_iter().chain(second) {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert_eq!((gate.most.load(SeqCst), proxy.status().pools[0].servers[0].requests), (1, 2));
}

#[test]
fn connections_from_before_tls_are_not_used_after_it() {
    let server = Server::named("a");
    let mut pool = pool("p", &[server.address]);
    let (mut proxy, address) = start(frontend(), vec![pool.clone()]);
    let mut client = Client::connect(address);
    assert_eq!(client.get("/").text(), "a");
    pool.tls = Some(ClientTls { verify: false, ca: None, sni: None });
    proxy.set(&again(address, vec![pool])).unwrap();
    // The server speaks none: by a connection that was kept it could answer.
    wait_until("the other settings are in force", || client.get("/").status == 502);
}

#[test]
fn connections_as_they_are_have_sorry_pools_and_counters_too() {
    let speaking = |word: &'static [u8]| {
        Server::raw(move |mut stream| _ = std::io::Write::write_all(&mut stream, word))
    };
    let (server, sorry) = (speaking(b"a"), speaking(b"s"));
    let mut frontend = frontend();
    frontend.mode = Mode::Tcp(vec![TcpRoute { hosts: vec![], pool: 0 }]);
    let mut pools = vec![pool("p", &[free_address(), server.address]), pool("s", &[sorry.address])];
    pools[0].sorry = Some(1);
    let (proxy, address) = start(frontend, pools);
    for _ in 0..4 {
        assert_eq!(Client::connect(address).read(1), b"a");
    }
    // Whoever does not answer has his turn, too.
    let status = proxy.status();
    assert_eq!(status.pools[0].retries, status.pools[0].servers[0].failed);
    assert!(status.pools[0].retries > 0);
    for server in ["p-0", "p-1"] {
        proxy.set_server("p", server, state(Availability::Down));
    }
    assert_eq!(Client::connect(address).read(1), b"s");
    proxy.set_server("s", "s-0", state(Availability::Down));
    assert!(Client::connect(address).is_closed());
    wait_until("it is counted", || proxy.status().pools[1].unserved == 1);
}
