//! What the program cannot do, it says in one sentence, with the exit code that tells whose fault
//! it is: 2 for what was asked of it, 1 for what the machine does not have.

use std::fs;

use api::Snapshot;
use tempfile::TempDir;

use crate::process::{Dataplane, flags, run};
use crate::site::{self, OWN, VIP};

/// Runs it with these flags after the usual ones; expects this exit code and this in its sentence.
fn refuses(more: &[&str], code: i32, what: &str) {
    let folder = TempDir::new().unwrap();
    let mut all = flags(1);
    all.extend(more.iter().map(|&flag| flag.to_owned()));
    refuses_in(&folder, &all, code, what);
}

fn refuses_in(folder: &TempDir, flags: &[String], code: i32, what: &str) {
    let output = run(folder.path(), flags);
    let said = String::from_utf8(output.stderr).unwrap();
    // Log lines begin with their time; the sentence with the program's name.
    let sentences: Vec<_> =
        said.lines().filter(|line| line.starts_with("palier-dataplane: ")).collect();
    assert_eq!(output.status.code(), Some(code), "{flags:?}: {said}");
    let [sentence] = sentences[..] else { panic!("{flags:?}: not one sentence: {said}") };
    assert!(sentence.contains(what), "{flags:?}: {sentence}");
    assert!(output.stdout.is_empty());
}

fn refuses_snapshot(text: &str, what: &str) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("snapshot.json"), text).unwrap();
    let mut all = flags(1);
    all.extend(["--snapshot", "snapshot.json"].map(String::from));
    refuses_in(&folder, &all, 2, what);
}

#[test]
fn a_bad_flag_is_a_usage_error() {
    refuses(&["--frobnicate"], 2, "--frobnicate");
    refuses(&["--vlan", "4095"], 2, "4095");
    refuses(&["--mtu", "1000"], 2, "1000");
    refuses(&["--idle", "busy"], 2, "--idle");
    refuses(&["--port", "eth0"], 2, "`eth0` is neither a PCI address");
    refuses(&["--port", "net_pcap0,rx_pcap=x,tx_pcap=y"], 2, "`net_pcap0` is used twice");
    refuses(&["--exception", "tap:a/b"], 2, "a/b");
    let folder = TempDir::new().unwrap();
    refuses_in(&folder, &[], 2, "--port");
    let all = ["--port", "net_null0", "--cores", "0"].map(String::from);
    refuses_in(&folder, &all, 2, "--next-hop");
    let all = ["--port", "net_null0", "--cores", "9999", "--next-hop", "02:00:00:00:00:02"];
    refuses_in(&folder, &all.map(String::from), 2, "9999");
}

#[test]
fn help_and_version_are_not_errors() {
    let folder = TempDir::new().unwrap();
    for (flag, text) in [("--help", "--snapshot <FILE>"), ("--version", "palier-dataplane 0.")] {
        let output = run(folder.path(), &[flag.into()]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(text));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_bad_snapshot_file_is_a_usage_error() {
    refuses(&["--snapshot", "missing.json"], 2, "missing.json: No such file");
    refuses_snapshot("", "EOF");
    refuses_snapshot("generation = 1", "line 1");
    refuses_snapshot(r#"{"generation": 1}"#, "missing field");
    let text = |change: fn(&mut Snapshot)| {
        let mut snapshot = site::snapshot();
        change(&mut snapshot);
        serde_json::to_string(&snapshot).unwrap()
    };
    refuses_snapshot(&text(|s| s.hash_key = None), "hash_key is missing");
    refuses_snapshot(
        &text(|s| s.nodes[0].addresses[0] = VIP.parse().unwrap()),
        "198.51.100.1 is a VIP of service web",
    );
    refuses_snapshot(
        &text(|s| s.nodes[1].addresses[1] = OWN[1].parse().unwrap()),
        "2001:db8::c000:284 is this L4 node's own address",
    );
    refuses_snapshot(&text(|s| s.services[0].rows = 65_536), "rows: 65536 is not a prime");
    let unknown = text(|_| ()).replace("generation", "generations");
    refuses_snapshot(&unknown, "generations");
    // Everything that is wrong with it, at once.
    let twice = text(|s| {
        s.addresses.clear();
        s.nodes[2].index = 0;
    });
    refuses_snapshot(&twice, "addresses: the node needs");
    refuses_snapshot(&twice, "index 0: it is 1 to 1023");
}

#[test]
fn a_port_that_cannot_be_had_is_the_machines_fault() {
    let folder = TempDir::new().unwrap();
    for (port, what) in [
        ("0000:ff:1f.7", "0000:ff:1f.7"),
        ("net_pcap0,rx_pcap=missing.pcap,tx_pcap=out.pcap", "net_pcap0"),
        ("net_af_packet0,iface=palier-none", "net_af_packet0"),
        ("net_nonexistent0", "net_nonexistent0"),
    ] {
        let mut all = flags(1);
        all[1] = port.into();
        refuses_in(&folder, &all, 1, what);
    }
}

#[test]
fn a_second_process_leaves_the_first_alone() {
    let frame = vec![0; 60]; // for another station
    let mut first = Dataplane::start(&[vec![frame]], &[], &site::snapshot());
    let counted = ["received", "drop_other_mac"].map(|name| (name.to_owned(), 1)).into();
    first.wait_for(&counted);
    let output = run(first.folder(), &flags(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is palier-dataplane running already?"), "{said}");
    first.wait_for(&counted);
    first.stop();
}

#[test]
fn a_run_directory_that_cannot_be_made_is_the_machines_fault() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("run"), "a file").unwrap();
    refuses_in(&folder, &flags(1), 1, "cannot use the run directory run");
}
