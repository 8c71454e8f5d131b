//! Zones and releases change without a question lost; what is wrong is told and changes nothing.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal;
use system_tests::dns::{A, DnsNode, Files, Message, free, question, receive, send};

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

const SITE: &str = "\
rate_limit = false
[[zone]]
name = \"example.org\"
file = \"example.org.zone\"
[[resolver]]
name = \"web\"
plugin = \"multifo\"
addresses = [\"198.51.100.1\"]
check.file = { path = \"FOLDER/words\", content = \"words\" }
check.interval = \"200ms\"
check.timeout = \"200ms\"
";

fn zone(serial: u32) -> String {
    format!(
        "@ SOA ns1 host {serial} 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\na A 192.0.2.{serial}\nwww DYNA multifo!web\n"
    )
}

fn start() -> DnsNode {
    let at = free();
    let files = Files::new(at, SITE);
    files.write("example.org.zone", &zone(1));
    DnsNode::start(at, files)
}

/// Somebody who asks again and again, and is always answered.
struct Asker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Asker {
    fn by_udp(at: SocketAddr) -> Self {
        Self::of(move |stop| {
            let mut asked = 0;
            while !stop.load(Relaxed) {
                // Each from another port: the kernel spreads them over all sockets.
                let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
                socket.connect(at).expect("loopback is there");
                socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
                let id = asked as u16;
                socket.send(&question(id, "a.example.org", A).finish()).expect("it can be sent");
                let mut reply = [0; 512];
                let length = socket.recv(&mut reply).expect("a question was lost");
                assert_eq!(Message::parse(&reply[..length]).expect("it is a message").id, id);
                asked += 1;
            }
            asked
        })
    }

    fn by_tcp(at: SocketAddr) -> Self {
        Self::of(move |stop| {
            let mut asked = 0;
            while !stop.load(Relaxed) {
                let mut stream = TcpStream::connect(at).expect("it listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
                for id in 0..20 {
                    send(&mut stream, &question(id, "a.example.org", A).finish())
                        .expect("it can be sent");
                }
                for id in 0..20 {
                    let reply = receive(&mut stream).expect("a question was lost");
                    assert_eq!(Message::parse(&reply).expect("it is a message").id, id);
                    asked += 1;
                }
            }
            asked
        })
    }

    fn of(ask: impl FnOnce(&AtomicBool) -> u64 + Send + 'static) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stops = stop.clone();
        Self { stop, thread: thread::spawn(move || ask(&stops)) }
    }

    fn finish(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("every question is answered")
    }
}

fn askers(at: SocketAddr) -> Vec<Asker> {
    vec![Asker::by_udp(at), Asker::by_udp(at), Asker::by_tcp(at)]
}

fn finish(askers: Vec<Asker>) {
    for asker in askers {
        assert!(asker.finish() > 0);
    }
}

#[test]
fn a_reload_under_load_loses_nothing() {
    let node = start();
    let askers = askers(node.at);
    for serial in 2..=10 {
        node.files.write("example.org.zone", &zone(serial));
        node.ctl_well(&["reload"]);
        assert_eq!(node.addresses("a.example.org", A), [format!("192.0.2.{serial}")]);
        assert_eq!(node.status().zones[0].serial, serial);
    }
    finish(askers);
}

#[test]
fn a_broken_zone_is_refused_with_its_lines_and_changes_nothing() {
    let node = start();
    let broken = zone(2) + "x A 192.0.2.300\ny DYNA multifo!nobody\n";
    node.files.write("example.org.zone", &broken);
    let (status, said) = node.ctl(&["reload"]);
    assert_eq!(status.code(), Some(1), "{said}");
    for line in ["example.org.zone:6: ", "example.org.zone:7: "] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(node.addresses("a.example.org", A), ["192.0.2.1"]);
    let alarms = node.status().alarms;
    assert!(alarms.iter().any(|alarm| alarm.starts_with("reload refused: ")), "{alarms:?}");
    node.files.write("example.org.zone", &zone(3));
    node.ctl_well(&["reload"]);
    assert_eq!(node.addresses("a.example.org", A), ["192.0.2.3"]);
    assert!(node.status().alarms.is_empty());
}

#[test]
fn a_resolver_that_is_new_answers_once_it_is_known() {
    let node = start();
    let more = "\
[[resolver]]
name = \"new\"
plugin = \"multifo\"
addresses = [\"198.51.100.7\", \"198.51.100.8\"]
check.command = { argv = [\"/bin/sh\", \"-c\", \"sleep 0.5; test {address} = 198.51.100.8\"], user = \"root\" }
check.interval = \"5s\"
check.timeout = \"4s\"
";
    node.files.write_site(node.at, &format!("{SITE}{more}"));
    node.files.write("example.org.zone", &(zone(2) + "new DYNA multifo!new\n"));
    node.ctl_well(&["reload"]);
    assert_eq!(node.addresses("new.example.org", A), ["198.51.100.8"]);
}

#[test]
fn another_release_takes_over_without_a_question_lost() {
    let node = start();
    let askers = askers(node.at);
    for _ in 0..3 {
        let before = node.status().pid;
        node.ctl_well(&["upgrade"]);
        node.wait("another process answers", |status| status.pid != before && status.is_answering);
        assert_eq!(node.addresses("www.example.org", A), ["198.51.100.1"]);
    }
    finish(askers);
}

#[test]
fn what_was_asked_before_the_end_is_answered_before_the_end() {
    let mut node = start();
    let mut stream = node.connect();
    send(&mut stream, &question(1, "a.example.org", A).finish()).unwrap();
    assert!(receive(&mut stream).is_ok());
    assert!(node.end(Signal::SIGTERM).success());
    node.start_again();
    assert_eq!(node.addresses("a.example.org", A), ["192.0.2.1"]);
}
