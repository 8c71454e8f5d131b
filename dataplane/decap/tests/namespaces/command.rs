//! `palier-decap`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::encapsulator::Encapsulator;
use crate::network::{CLIENT, L4, L7, Namespace, Network, VIP, WIRE, address, wait_until};

fn command(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palier-decap"));
    command.args(words.split(' '));
    command
}

/// Runs it to its end.
fn run(words: &str) -> Output {
    command(words).output().unwrap()
}

/// The usual flags.
fn flags() -> String {
    format!("--interface {WIRE} --allow {} {} --vip {} {}", L4[0], L4[1], VIP[0], VIP[1])
}

/// A running one, once it has said that it is attached.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    attached: String,
}

impl Running {
    fn start(namespace: &Namespace, words: &str) -> Self {
        let mut child = namespace.enter(|| command(words).stdout(Stdio::piped()).spawn().unwrap());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut attached = String::new();
        output.read_line(&mut attached).unwrap();
        Self { child, output, attached }
    }

    /// Sends the signal. Returns the exit code, if it had one, and what else it printed.
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of no effect if it has ended.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for (words, said) in [
        ("", "--interface"),
        ("--interface lo --vip 203.0.113.1", "--allow"),
        ("--interface lo --allow 192.0.2.1", "--vip"),
        ("--interface lo --allow 192.0.2.0/33 --vip 203.0.113.1", "is at most 32"),
        ("--interface lo --allow 192.0.2.1/24 --vip 203.0.113.1", "write 192.0.2.0/24"),
        ("--interface lo --allow l4 --vip 203.0.113.1", "`l4` is not an address"),
        ("--interface lo --allow 192.0.2.1 --vip 203.0.113.1 --mode tc", "use auto, tcx"),
        ("--interface lo --allow 192.0.2.1 --vip 203.0.113.1 --address x", "invalid IP address"),
    ] {
        let output = run(words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(error.contains(said), "{words}: {error}");
    }
}

#[test]
fn an_interface_that_is_not_there_is_exit_code_1_and_a_sentence() {
    let output = run("--interface nowhere0 --allow 192.0.2.1 --vip 203.0.113.1");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "palier-decap: there is no interface nowhere0\n");
}

#[test]
fn it_runs_until_a_signal_and_prints_its_counters() {
    let Some(network) = Network::new() else { return };
    let _l4 = Encapsulator::start(&network, L4[0], L7[0]);
    for (signal, hook) in [(Signal::SIGTERM, "tcx"), (Signal::SIGINT, "clsact")] {
        let running = Running::start(&network.l7, &format!("{} --mode {hook}", flags()));
        assert_eq!(running.attached, format!("attached {hook} to {WIRE}\n"));
        datagram(&network);
        let (code, counters) = running.end(signal);
        assert_eq!(code, Some(0));
        let counters: Value = serde_json::from_str(&counters).unwrap();
        assert_eq!(counters["decap_4in4"], 1, "{counters}");
    }
}

#[test]
fn the_statistics_file_follows() {
    let Some(network) = Network::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decap.json");
    let words = format!("{} --stats-file {}", flags(), path.display());
    let running = Running::start(&network.l7, &words);

    let _l4 = Encapsulator::start(&network, L4[0], L7[0]);
    datagram(&network);
    wait_until("the datagram in the file", || {
        fs::read(&path).is_ok_and(|text| {
            let counters: Value = serde_json::from_slice(&text).unwrap();
            counters["decap_4in4"] == 1
        })
    });
    let (_, last) = running.end(Signal::SIGTERM);
    assert_eq!(fs::read_to_string(&path).unwrap(), last);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_statistics_file_that_cannot_be_written_is_exit_code_1_and_a_sentence() {
    let Some(network) = Network::new() else { return };
    let words = format!("{} --mode clsact --stats-file /nowhere/decap.json", flags());
    let output = network.l7.enter(|| run(&words));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("palier-decap: cannot write /nowhere/decap.json: No such"),
        "{error}"
    );
    assert!(!network.l7.tc(&format!("qdisc show dev {WIRE}")).contains("clsact"));
}

#[test]
fn an_interface_without_an_address_needs_one_told() {
    let Some(network) = Network::new() else { return };
    network.l7.ip("link add bare type veth peer name peer");
    let flags = format!("--interface bare --allow {} --vip {}", L4[0], VIP[0]);
    let output = network.l7.enter(|| run(&flags));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "palier-decap: bare has no address: say this node's by --address\n");

    let running = Running::start(&network.l7, &format!("{flags} --address {}", L7[0]));
    assert!(running.attached.starts_with("attached"));
    assert_eq!(running.end(Signal::SIGTERM).0, Some(0));
}

#[test]
fn a_killed_one_is_replaced_by_the_next() {
    let Some(network) = Network::new() else { return };
    for hook in ["tcx", "clsact", "xdp", "xdp-generic"] {
        let words = format!("{} --mode {hook}", flags());
        let (code, rest) = Running::start(&network.l7, &words).end(Signal::SIGKILL);
        assert_eq!((code, &*rest), (None, ""));
        let next = Running::start(&network.l7, &words);
        assert_eq!(next.attached, format!("attached {hook} to {WIRE}\n"));
        assert_eq!(next.end(Signal::SIGTERM).0, Some(0));
    }
    assert!(!network.l7.tc(&format!("qdisc show dev {WIRE}")).contains("clsact"));
}

/// Sends a datagram to the VIP, which arrives.
fn datagram(network: &Network) {
    use std::net::UdpSocket;
    let server = network.l7.enter(|| UdpSocket::bind((address(VIP[0]), 0)).unwrap());
    let client = network.l4.enter(|| UdpSocket::bind((address(CLIENT[0]), 0)).unwrap());
    client.send_to(b"x", server.local_addr().unwrap()).unwrap();
    server.set_read_timeout(Some(crate::network::DEADLINE)).unwrap();
    server.recv(&mut [0; 1]).unwrap();
}
