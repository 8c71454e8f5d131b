//! Answers follow checks, live no longer than what they say may, and say nothing that nobody knows.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use system_tests::SOON;
use system_tests::dns::{A, AAAA, DnsNode, Files, free, question};

/// The zone of the article, and a name whose answers may live for a second.
const ZONE: &str = "\
@ SOA ns1 ns1.example.org. 1 7200 1800 259200 900
@ NS ns1.example.com.
@ NS ns1.example.net.
@ MX 10 smtp

@     60 DYNA multifo!web
www   60 DYNA multifo!web
smtp     A    198.51.100.99
low 60/1 DYNA multifo!web
";

const SITE: &str = "\
rate_limit = false
[[zone]]
name = \"example.org\"
file = \"example.org.zone\"
[[resolver]]
name = \"web\"
plugin = \"multifo\"
addresses = [\"198.51.100.1\", \"198.51.100.2\", \"2001:db8::198.51.100.1\", \"2001:db8::198.51.100.2\"]
check.file = { path = \"FOLDER/words\", content = \"words\", missing = \"down\" }
check.interval = \"INTERVAL\"
check.fast_interval = \"INTERVAL\"
check.retry_delay = \"INTERVAL\"
check.timeout = \"200ms\"
check.fall = FALL
";

const ALL_UP: &str = "\
198.51.100.1 => UP
198.51.100.2 => UP
2001:db8::c633:6401 => UP
2001:db8::c633:6402 => UP
";

fn files(at: std::net::SocketAddr, interval: &str, fall: u32) -> Files {
    let site = SITE.replace("INTERVAL", interval).replace("FALL", &fall.to_string());
    let files = Files::new(at, &site);
    files.write("example.org.zone", ZONE);
    files
}

#[test]
fn addresses_come_and_go_with_what_checks_say() {
    let at = free();
    let files = files(at, "200ms", 1);
    files.write("words", ALL_UP);
    let node = DnsNode::start(at, files);
    let v4 = ["198.51.100.1", "198.51.100.2"];
    let v6 = ["2001:db8::c633:6401", "2001:db8::c633:6402"];
    for name in ["www.example.org", "example.org"] {
        assert_eq!(node.addresses(name, A), v4, "{name}");
        assert_eq!(node.addresses(name, AAAA), v6, "{name}");
    }
    assert_eq!(node.addresses("smtp.example.org", A), ["198.51.100.99"]);

    // One is taken out by hand: the other family has both.
    node.files.write("words", &ALL_UP.replace(".2 => UP", ".2 => DOWN"));
    lab::wait_until("the answer follows", SOON, || {
        node.addresses("www.example.org", A) == ["198.51.100.1"]
    });
    assert_eq!(node.addresses("www.example.org", AAAA), v6);
    let (_, said) = node.ctl(&["status"]);
    assert!(said.contains("198.51.100.2/file is down"), "{said}");

    // Fewer than half: as if all were up, and nobody is told that there is nothing.
    node.files.write("words", &ALL_UP.replace("=> UP", "=> DOWN"));
    lab::wait_until("too few are up", SOON, || node.addresses("www.example.org", A) == v4);
    node.wait("an alarm tells of it", |status| {
        status.alarms.iter().any(|alarm| alarm.starts_with("resolver multifo!web"))
    });
    node.files.write("words", ALL_UP);
    node.wait("all is well again", |status| status.alarms.is_empty());
}

#[test]
fn answers_live_until_they_may_change() {
    let at = free();
    let files = files(at, "1s", 8);
    files.write("words", ALL_UP);
    let node = DnsNode::start(at, files);
    let ttl = |name: &str| {
        node.answer(&format!("{name}.example.org"), A).ttl().expect("there is an answer")
    };
    // Eight failures with a second between two of them; the zone says 60, and not below half of it, or not below 1.
    assert_eq!((ttl("www"), ttl("low")), (30, 8));
    node.files.write("words", &ALL_UP.replace(".2 => UP", ".2 => DOWN"));
    // Some failures later it is less, though nothing has changed yet.
    lab::wait_until("the time to live is lowered", SOON, || ttl("low") < 6);
    assert_eq!(ttl("www"), 30);
    assert_eq!(node.addresses("www.example.org", A).len(), 2);
}

#[test]
fn nobody_is_told_what_nobody_knows() {
    let at = free();
    let site = "\
[[zone]]
name = \"example.org\"
file = \"example.org.zone\"
[[resolver]]
name = \"web\"
plugin = \"multifo\"
addresses = [\"198.51.100.1\", \"198.51.100.2\"]
check.command = { argv = [\"/bin/sh\", \"-c\", \"for i in $(seq 400); do [ -e FOLDER/go ] && break; sleep 0.05; done; test {address} = 198.51.100.2\"], user = \"root\" }
check.interval = \"10s\"
check.timeout = \"9s\"
";
    let files = Files::new(at, site);
    files.write("example.org.zone", ZONE);
    let node = DnsNode::begin(at, files);
    node.wait("it waits for its checks", |status| {
        !status.is_answering
            && status.waiting.as_deref().is_some_and(|why| why.contains("2 checks"))
    });
    // The question waits where it has come, and its answer is made of what is known by then.
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.connect(at).unwrap();
    asker.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    asker.send(&question(7, "www.example.org", A).finish()).unwrap();
    let mut reply = [0; 512];
    assert!(asker.recv(&mut reply).is_err(), "it was answered before anything was known");
    node.files.write("go", "");
    asker.set_read_timeout(Some(SOON)).unwrap();
    let length = asker.recv(&mut reply).expect("the question that waited is answered");
    let answer = system_tests::dns::Message::parse(&reply[..length]).unwrap();
    assert_eq!((answer.id, answer.addresses()), (7, vec!["198.51.100.2".to_owned()]));
}

#[test]
fn a_verdict_is_in_the_answers_within_milliseconds() {
    let at = free();
    let files = files(at, "1s", 1);
    files.write("words", ALL_UP);
    let node = DnsNode::start(at, files);
    // The file is read once a second: what counts is from the verdict, which the log tells, to the answer.
    node.files.write("words", &ALL_UP.replace(".2 => UP", ".2 => DOWN"));
    let deadline = Instant::now() + SOON;
    while node.addresses("www.example.org", A).len() == 2 {
        assert!(Instant::now() < deadline, "the answer does not follow");
    }
    // Whoever asked last was answered within a moment: by then the log has the verdict.
    assert!(node.printed().contains("198.51.100.2/file"), "{}", node.printed());
}
