//! What comes from the network and is no question gets no answer, or the right one; strangers get no more than
//! they should; whoever asks by TCP or TLS gets everything.

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use system_tests::dns::{A, DnsNode, Files, Message, free, program, question, receive, send};

const TXT: u16 = 16;
/// EDNS option codes (RFC 7873, RFC 5001).
const COOKIE: u16 = 10;
const NSID: u16 = 3;
/// How long is waited for what is not to come.
const SILENCE: Duration = Duration::from_millis(300);

fn start(settings: &str) -> DnsNode {
    let at = free();
    let files = Files::new(
        at,
        &format!("{settings}\n[[zone]]\nname = \"example.org\"\nfile = \"example.org.zone\"\n"),
    );
    let strings = vec!["x".repeat(250); 4].join(" ");
    let more = vec!["y".repeat(250); 100].join(" ");
    files.write(
        "example.org.zone",
        &format!(
            "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\na A 192.0.2.7\nlong TXT {strings}\nlonger TXT {more}\n"
        ),
    );
    DnsNode::start(at, files)
}

#[test]
fn what_is_no_question_gets_no_answer() {
    let node = start("rate_limit = false");
    let good = question(1, "a.example.org", A).finish();
    let mut answer = good.clone();
    answer[2] |= 0x80;
    for message in [&answer[..], &[], &good[..11]] {
        assert_eq!(node.try_exchange(message, SILENCE), None, "{message:?}");
    }
    // Two of them would answer each other for ever; and it goes on.
    assert_eq!(node.addresses("a.example.org", A), ["192.0.2.7"]);
    assert!(node.status().events["dropped"] >= 3);
    let mut update = good.clone();
    update[2] = 5 << 3;
    let refused = Message::parse(&node.exchange(&update)).unwrap();
    assert_eq!(refused.rcode(), 4);
    assert_eq!(node.answer("a.example.net", A).rcode(), 5);
    assert_eq!(node.status().answers["refused"], 1);
}

#[test]
fn no_answer_is_longer_than_the_asker_takes() {
    let node = start("rate_limit = false\nmax_nocookie_response = 1232");
    for size in [0, 512, 600, 1232, 4096] {
        let asked = question(1, "long.example.org", TXT);
        let asked = if size == 0 { asked } else { asked.edns(size) };
        let reply = Message::parse(&node.exchange(&asked.finish())).unwrap();
        assert!(reply.length <= usize::from(size.clamp(512, 1232)), "{size}: {}", reply.length);
        assert_eq!(reply.is_truncated(), size < 1232, "{size}");
    }
    // By TCP it comes whole.
    let mut stream = node.connect();
    for name in ["long.example.org", "longer.example.org"] {
        send(&mut stream, &question(2, name, TXT).finish()).unwrap();
        let reply = Message::parse(&receive(&mut stream).unwrap()).unwrap();
        assert!(!reply.is_truncated() && !reply.sections[0].is_empty());
    }
}

#[test]
fn strangers_get_short_answers_and_those_with_a_cookie_long_ones() {
    let node = start("rate_limit = false");
    let asked = |cookie: &[u8]| {
        let asked = question(1, "long.example.org", TXT).edns(1232).option(COOKIE, cookie);
        Message::parse(&node.exchange(&asked.finish())).unwrap()
    };
    let first = asked(b"12345678");
    assert!(first.is_truncated() && first.length <= 512);
    let cookie = first.option(COOKIE).expect("it gives a cookie");
    assert_eq!((cookie.len(), &cookie[..8]), (24, &b"12345678"[..]));
    assert!(!asked(&cookie).is_truncated());
    // Another's is none.
    let mut forged = cookie;
    forged[20] ^= 1;
    assert!(asked(&forged).is_truncated());
}

#[test]
fn a_network_gets_its_rate_by_udp_and_everything_by_tcp() {
    let node = start("workers = 1\nrate_limit = { per_second = 50, slip = 2 }");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node.at).unwrap();
    let asked = question(1, "a.example.org", A).finish();
    for _ in 0..400 {
        socket.send(&asked).unwrap();
    }
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let (mut whole, mut cut, mut reply) = (0, 0, [0; 512]);
    while let Ok(length) = socket.recv(&mut reply) {
        match Message::parse(&reply[..length]).unwrap().is_truncated() {
            true => cut += 1,
            false => whole += 1,
        }
    }
    // The rate and what time has added to it; of the rest every other one says to come by TCP.
    assert!((50..150).contains(&whole), "{whole}");
    assert!((100..=175).contains(&cut), "{cut}");
    let status = node.status();
    assert_eq!(status.events["slipped"], cut);
    assert_eq!(status.events["limited"] + cut + whole, 400);
    let mut stream = node.connect();
    for _ in 0..400 {
        send(&mut stream, &asked).unwrap();
    }
    for _ in 0..400 {
        assert!(!Message::parse(&receive(&mut stream).unwrap()).unwrap().is_truncated());
    }
}

#[test]
fn questions_that_come_together_are_all_answered_in_their_order() {
    let node = start("");
    let mut stream = node.connect();
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for id in 0..5000 {
            send(&mut writer, &question(id, "a.example.org", A).finish()).unwrap();
        }
    });
    for id in 0..5000 {
        assert_eq!(Message::parse(&receive(&mut stream).unwrap()).unwrap().id, id);
    }
    sender.join().unwrap();
}

#[test]
fn connections_beyond_the_most_do_not_shut_others_out() {
    let node = start("max_connections = 4\nworkers = 1");
    let idle: Vec<_> = (0..20).map(|_| node.connect()).collect();
    let mut stream = node.connect();
    send(&mut stream, &question(1, "a.example.org", A).finish()).unwrap();
    assert!(receive(&mut stream).is_ok(), "idle connections keep others out");
    drop(idle);
}

#[test]
fn it_says_who_it_is_if_it_is_told_to() {
    let node = start("id = \"par-1\"\nversion = \"palier\"");
    let asked = question(1, "a.example.org", A).edns(1232).option(NSID, &[]).finish();
    let reply = Message::parse(&node.exchange(&asked)).unwrap();
    assert_eq!(reply.option(NSID).as_deref(), Some(&b"par-1"[..]));
    let chaos = |name: &str| {
        let mut asked = question(1, name, TXT).finish();
        let class = asked.len() - 1;
        asked[class] = 3;
        Message::parse(&node.exchange(&asked)).unwrap()
    };
    assert_eq!(chaos("id.server").sections[0][0].data, b"\x05par-1");
    assert_eq!(chaos("version.bind").sections[0][0].data, b"\x06palier");
    let silent = start("id = \"\"");
    let reply = Message::parse(&silent.exchange(&asked)).unwrap();
    assert_eq!(reply.option(NSID), None);
}

#[test]
fn over_tls_it_answers_kdig() {
    let tls = free();
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("dns.pem");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=dns.example.org"])
        .args(["-addext", "subjectAltName=DNS:dns.example.org", "-keyout"])
        .arg(&pem)
        .arg("-out")
        .arg(folder.path().join("cert.pem"))
        .output()
        .expect("openssl is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = std::fs::read_to_string(folder.path().join("cert.pem")).unwrap();
    let key = std::fs::read_to_string(&pem).unwrap();
    std::fs::write(&pem, key + &certificate).unwrap();
    let pem = pem.display();
    let node = start(&format!("tls = {{ listen = [\"{tls}\"], certificates = [\"{pem}\"] }}"));
    let kdig = program("kdig").expect("knot-dnsutils is installed by scripts/setup");
    let output = Command::new(kdig)
        .args(["+tls", "+tls-host=dns.example.org", "+noidn", "+short", "+retry=0", "-p"])
        .arg(tls.port().to_string())
        .args([
            &format!("+tls-ca={}", folder.path().join("cert.pem").display()),
            "@127.0.0.1",
            "long.example.org",
            "TXT",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&"x".repeat(250)), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // Without TLS nothing is said there.
    let mut plain = std::net::TcpStream::connect(tls).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    send(&mut plain, &question(1, "a.example.org", A).finish()).unwrap();
    let mut rest = Vec::new();
    // TLS' own alert, or the end.
    let _ = plain.read_to_end(&mut rest);
    assert!(Message::parse(rest.get(2..).unwrap_or_default()).is_none(), "{rest:?}");
    assert_eq!(node.addresses("a.example.org", A), ["192.0.2.7"]);
}
