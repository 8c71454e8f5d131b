//! What operators say to dns nodes holds, on every one of them and over restarts; and they are told why an answer is
//! what it is.

use nix::sys::signal::Signal;
use std::process::Command;

use system_tests::SOON;
use system_tests::dns::{A, DnsNode, Files, free};

const TXT: u16 = 16;

const ZONE: &str = "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\nwww 60/1 DYNA multifo!web\n\
    *.wild A 192.0.2.9\n";

const REST: &str = "\
forced_states = \"FOLDER/admin_state\"
[[zone]]
name = \"example.org\"
file = \"example.org.zone\"
[[resolver]]
name = \"web\"
plugin = \"multifo\"
up_thresh = 0.1
addresses = [\"198.51.100.1\", \"198.51.100.2\"]
check.file = { path = \"FOLDER/words\", content = \"words\" }
check.interval = \"200ms\"
check.timeout = \"200ms\"
";

fn start() -> DnsNode {
    let at = free();
    let files = Files::new(at, REST);
    files.write("example.org.zone", ZONE);
    DnsNode::start(at, files)
}

fn www(node: &DnsNode) -> Vec<String> {
    node.addresses("www.example.org", A)
}

#[test]
fn what_is_forced_holds_over_restarts_until_it_is_taken_back() {
    let mut node = start();
    assert_eq!(www(&node).len(), 2);
    let said = node.ctl_well(&["force", "198.51.100.1", "down"]);
    assert!(said.contains("198.51.100.1/* is down"), "{said}");
    assert_eq!(www(&node), ["198.51.100.2"]);
    let said = node.ctl_well(&["status"]);
    assert!(
        said.contains("forced") && said.contains("198.51.100.1/file is down: an operator"),
        "{said}"
    );
    // The later word holds, where both match.
    node.ctl_well(&["force", "*/file", "up", "--ttl", "7"]);
    assert_eq!(www(&node).len(), 2);
    assert_eq!(node.answer("www.example.org", A).ttl(), Some(7));
    node.ctl_well(&["force", "*/file", "auto"]);
    assert_eq!(www(&node), ["198.51.100.2"]);

    assert!(node.end(Signal::SIGTERM).success());
    node.start_again();
    assert_eq!(www(&node), ["198.51.100.2"], "it was forgotten");
    node.end(Signal::SIGKILL);
    // A crash leaves a socket file behind.
    node.start_again();
    assert_eq!(www(&node), ["198.51.100.2"], "a crash makes it forget");
    node.ctl_well(&["force", "198.51.100.1", "auto"]);
    assert_eq!(www(&node).len(), 2);
    let (status, said) = node.ctl(&["force", "a b", "down"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("is no pattern"), "{said}");
}

#[test]
fn gdnsds_admin_state_forces_too() {
    let node = start();
    node.files.write("admin_state", "# by hand\n198.51.100.2/* => DOWN\n");
    lab::wait_until("the file is seen", SOON, || www(&node) == ["198.51.100.1"]);
    // What is wrong with it is told, and changes nothing.
    node.files.write("admin_state", "198.51.100.2 DOWN\n");
    node.wait("an alarm tells of it", |status| {
        status.alarms.iter().any(|alarm| alarm.contains("line 1 is not PATTERN"))
    });
    assert_eq!(www(&node), ["198.51.100.1"]);
    std::fs::remove_file(node.files.path("admin_state")).unwrap();
    lab::wait_until("without it nothing is forced", SOON, || www(&node).len() == 2);
}

#[test]
fn an_acme_client_proves_a_name_also_one_that_is_not_there() {
    let node = start();
    let name = "_acme-challenge.example.org";
    assert_eq!(node.answer(name, TXT).rcode(), 3);
    node.ctl_well(&["dns", "challenge", name, "token-1"]);
    node.ctl_well(&["dns", "challenge", name, "token-2"]);
    let answer = node.answer(name, TXT);
    let mut texts: Vec<_> = answer.sections[0].iter().map(|record| record.data.clone()).collect();
    texts.sort();
    assert_eq!(
        (texts, answer.ttl()),
        (vec![b"\x07token-1".to_vec(), b"\x07token-2".to_vec()], Some(0))
    );
    // Over a reload, too.
    node.ctl_well(&["reload"]);
    assert_eq!(node.answer(name, TXT).sections[0].len(), 2);
    node.ctl_well(&["dns", "challenge", name, "token-1", "--remove"]);
    node.ctl_well(&["dns", "challenge", name, "token-2", "--remove"]);
    assert_eq!(node.answer(name, TXT).rcode(), 3);
    let (status, said) = node.ctl(&["dns", "challenge", name, "no token"]);
    assert_eq!(status.code(), Some(1), "{said}");
}

#[test]
fn it_is_told_why_an_answer_is_what_it_is() {
    let node = start();
    node.ctl_well(&["force", "198.51.100.1", "down"]);
    let said = node.ctl_well(&["dns", "query", "www.example.org"]);
    for part in [
        "zone example.org.",
        "www.example.org. stands in it",
        "what multifo!web gives; they live 1 to 60 s",
        "198.51.100.1 down",
        "file forced",
        "NOERROR aa",
        "A 198.51.100.2",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    let said =
        node.ctl_well(&["dns", "query", "x.wild.example.org.", "AAAA", "--client", "192.0.2.1"]);
    assert!(said.contains("takes the records of *.wild.example.org."), "{said}");
    let said = node.ctl_well(&["dns", "query", "example.net", "TXT"]);
    assert!(said.contains("REFUSED"), "{said}");
    let (status, said) = node.ctl(&["dns", "query", "a..b"]);
    assert_eq!(status.code(), Some(1), "{said}");
}

#[test]
fn dns_nodes_tell_each_other_what_operators_say() {
    let (one, two) = (free(), free());
    let pki = tempfile::tempdir().unwrap();
    let palierctl = lab::find("palierctl").unwrap();
    let ctl = |args: &[&str]| {
        let output = Command::new(&palierctl).args(args).arg(pki.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    ctl(&["pki", "init", "--site", "par1"]);
    for node in ["dns-1", "dns-2"] {
        ctl(&["pki", "issue", node, "--dir"]);
    }
    // They listen on loopback, which is no address of a node: peers have others.
    let port = free().port() - 2;
    let start = |name: &str, at: std::net::SocketAddr, own: &str| {
        let files = Files::new(at, "");
        files.write("example.org.zone", ZONE);
        let text = format!(
            "[site]\nname = \"par1\"\nhash_key = \"000102030405060708090a0b0c0d0e0f\"\npeer_port = {port}\npki = \"{pki}\"\n\
             [[dns]]\nname = \"dns-1\"\nlisten = [\"{one}\"]\naddresses = [\"198.18.77.1\"]\n\
             [[dns]]\nname = \"dns-2\"\nlisten = [\"{two}\"]\naddresses = [\"198.18.77.2\"]\n{rest}",
            pki = pki.path().display(),
            rest = REST
                .replace("forced_states = \"FOLDER/admin_state\"\n", "")
                .replace("FOLDER", &files.path("").display().to_string()),
        );
        files.write("site.toml", &text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(files.path("site.toml"), mode).unwrap();
        let _ = own;
        let node = DnsNode::begin_as(name, at, files);
        node.wait("it answers", |status| status.is_answering);
        node
    };
    let addresses = |verb: &str| {
        for address in ["198.18.77.1/32", "198.18.77.2/32"] {
            // On drop of the test they go; another run may have left them.
            let _ = Command::new("ip").args(["addr", verb, address, "dev", "lo"]).output();
        }
    };
    addresses("add");
    let (first, second) = (start("dns-1", one, "198.18.77.1"), start("dns-2", two, "198.18.77.2"));
    first.wait("they speak with each other", |status| {
        status.nodes.iter().any(|node| node.name == "dns-2" && node.error.is_none())
    });
    first.ctl_well(&["force", "198.51.100.1", "down"]);
    assert_eq!(www(&second), ["198.51.100.2"], "it was said that it holds everywhere");
    second.ctl_well(&["dns", "challenge", "_acme-challenge.example.org", "token"]);
    assert_eq!(first.answer("_acme-challenge.example.org", TXT).sections[0].len(), 1);
    // One that was away hears of it.
    drop(first);
    let (status, said) = second.ctl(&["force", "198.51.100.1", "auto"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("dns-1"), "{said}");
    let first = start("dns-1", one, "198.18.77.1");
    lab::wait_until("the other one hears of it", SOON, || www(&first).len() == 2);
    first.wait("and of the text", |status| status.challenges.len() == 1);
    addresses("del");
}
