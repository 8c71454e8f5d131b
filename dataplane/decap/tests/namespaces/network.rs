//! A client behind an L4 node, and an L7 node: two network namespaces and a wire between them.
//!
//! The L4 node is a TUN device and a raw socket: what the client sends to a VIP is read from one,
//! gets an outer header, and is sent by the other. Replies go straight to the client.

use std::fs::{self, File};
use std::net::IpAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use decap::Rules;
use nix::sched::{CloneFlags, setns};

pub(crate) const L4: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(crate) const STRANGER: [&str; 2] = ["192.0.2.66", "2001:db8::66"];
pub(crate) const L7: [&str; 2] = ["192.0.2.7", "2001:db8::7"];
pub(crate) const CLIENT: [&str; 2] = ["198.51.100.5", "2001:db8:c::5"];
pub(crate) const VIP: [&str; 2] = ["203.0.113.10", "2001:db8:ff::10"];

/// The L7 node's interface.
pub(crate) const WIRE: &str = "wire";

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Both namespaces. Removed on drop.
pub(crate) struct Network {
    pub(crate) l4: Namespace,
    pub(crate) l7: Namespace,
    /// Number of the L7 node's interface, like no other's on this machine.
    pub(crate) ifindex: u32,
}

impl Network {
    /// None, and a note, without root.
    pub(crate) fn new() -> Option<Self> {
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            eprintln!("note: not run: network namespaces and eBPF need root");
            return None;
        }
        let pid = std::process::id();
        let number = NETWORKS.fetch_add(1, Relaxed);
        let ifindex = 1000 + pid * 16 + number;
        let network = Self {
            l4: Namespace::new(format!("decap-l4-{pid}-{number}")),
            l7: Namespace::new(format!("decap-l7-{pid}-{number}")),
            ifindex,
        };
        let (l4, l7) = (&network.l4, &network.l7);

        // The client's replies come by another way than its requests left.
        l4.write("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
        l4.write("/proc/sys/net/ipv4/conf/default/rp_filter", "0");
        l7.ip(&format!(
            "link add index {ifindex} {WIRE} mtu 9000 type veth peer name {WIRE} mtu 9000 netns {}",
            l4.name
        ));
        l4.ip(&format!("link set {WIRE} up"));
        l7.ip(&format!("link set {WIRE} up"));
        l4.wait_running(WIRE);
        l7.wait_running(WIRE);
        l4.ip("link set lo up");
        l7.ip("link set lo up");
        l4.ip("tuntap add client mode tun");
        l4.ip("link set client mtu 8900 up");
        for (family, length) in [(0, 24), (1, 64)] {
            l4.ip(&format!("address add {}/{length} dev {WIRE} nodad", L4[family]));
            l7.ip(&format!("address add {}/{length} dev {WIRE} nodad", L7[family]));
            l4.ip(&format!("address add {} dev client nodad", CLIENT[family]));
            l4.ip(&format!("route add {} dev client src {}", VIP[family], CLIENT[family]));
            l7.ip(&format!("address add {} dev lo nodad", VIP[family]));
            l7.ip(&format!("route add {} via {}", CLIENT[family], L4[family]));
        }
        Some(network)
    }

    /// Lets the L4 node, and nobody else, send to the VIPs.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            allow: L4.map(|address| address.parse().unwrap()).into(),
            vips: VIP.map(|address| address.parse().unwrap()).into(),
            addresses: L7.map(|address| address.parse().unwrap()).into(),
            tunnel_only: false,
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Or the encapsulator's descriptor of it keeps the namespace.
        self.l4.ip("link delete client");
        for namespace in [&self.l4, &self.l7] {
            command("ip", &format!("netns delete {}", namespace.name));
        }
    }
}

/// A network namespace of `ip netns`.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    fn new(name: String) -> Self {
        command("ip", &format!("netns add {name}"));
        Self { name }
    }

    /// Runs `f` on a thread inside; sockets and processes made there stay there.
    pub(crate) fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            f()
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `ip` with these words inside.
    pub(crate) fn ip(&self, words: &str) -> String {
        command("ip", &format!("-netns {} {words}", self.name))
    }

    /// Waits until the interface sends what it is given: it drops all while its carrier is new.
    pub(crate) fn wait_running(&self, interface: &str) {
        wait_until(&format!("{interface} runs"), || {
            !self.ip(&format!("link show {interface}")).contains("NO-CARRIER")
        });
        // Its queue is started under the lock under which it becomes running; this takes it too.
        self.ip(&format!("link set {interface} up"));
    }

    /// Runs `tc` with these words inside.
    pub(crate) fn tc(&self, words: &str) -> String {
        command("tc", &format!("-netns {} {words}", self.name))
    }

    /// Attaches a filter that is not ours: a program named `other` that lets every packet pass.
    pub(crate) fn add_other_filter(&self, direction: &str, place: &str) {
        const SOURCE: &str = "__attribute__((section(\"tc\"))) int other(void *skb) { return -1; }";
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name).to_str().unwrap().to_owned();
        let (source, object) = (path("other.c"), path("other.o"));
        fs::write(&source, SOURCE).unwrap();
        command("clang", &format!("-target bpf -O2 -g -c {source} -o {object}"));
        self.tc(&format!(
            "filter add dev {WIRE} {direction} {place} bpf direct-action object-file {object} section tc"
        ));
    }

    /// Writes a kernel setting.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.enter(|| fs::write(path, text).unwrap());
    }
}

/// Runs a program to its end. Returns what it printed.
pub(crate) fn command(program: &str, words: &str) -> String {
    let output = Command::new(program).args(words.split(' ')).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The address, of either family.
pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
