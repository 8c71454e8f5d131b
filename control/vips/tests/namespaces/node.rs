//! An L7 node: a network namespace with two interfaces, and a folder for its state.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use nix::sched::{CloneFlags, setns};
use vips::{Host, Report, Tunnel, Wanted};

/// Gone on drop.
pub(crate) struct Node {
    name: String,
    state: tempfile::TempDir,
}

impl Node {
    /// None, and a note, without root.
    pub(crate) fn new() -> Option<Self> {
        static NODES: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            eprintln!("note: not run: network namespaces need root");
            return None;
        }
        let name = format!("vips-{}-{}", std::process::id(), NODES.fetch_add(1, Relaxed));
        run("ip", &format!("netns add {name}"));
        let node = Self { name, state: tempfile::tempdir().unwrap() };
        node.ip("link set lo up");
        for (n, interface) in [(1, "eth0"), (2, "eth1")] {
            node.ip(&format!("link add {interface} type veth peer name {interface}-peer"));
            node.ip(&format!("link set {interface}-peer up"));
            node.ip(&format!("link set {interface} up"));
            node.ip(&format!("address add 192.0.{n}.7/24 dev {interface}"));
            node.ip(&format!("address add 2001:db8:{n}::7/64 dev {interface} nodad"));
        }
        Some(node)
    }

    /// As a process does that starts, sets, and crashes.
    pub(crate) fn set(&self, wanted: &Wanted) -> Report {
        self.enter(|| Host::new(self.state.path()).unwrap().set(wanted).unwrap())
    }

    /// As a process does that starts, and leaves.
    pub(crate) fn leave(&self) -> Report {
        self.enter(|| Host::new(self.state.path()).unwrap().leave().unwrap())
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// Runs `f` on a thread inside.
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
        run("ip", &format!("-netns {} {words}", self.name))
    }

    /// The addresses of `lo`, with their prefix lengths.
    pub(crate) fn lo(&self) -> Vec<String> {
        let text = self.ip("-brief address show dev lo");
        text.split_whitespace().skip(2).map(str::to_owned).collect()
    }

    /// All routes of the main table, both families, with all that `ip` knows of them.
    pub(crate) fn routes(&self) -> String {
        // A reference count and a cookie of its own change with every dump.
        self.ip("-4 -details route show table main") + &self.ip("-6 -details route show table main")
    }

    pub(crate) fn sysctl(&self, path: &str) -> String {
        self.enter(|| fs::read_to_string(format!("/proc/sys/{path}")).unwrap()).trim().to_owned()
    }

    pub(crate) fn set_sysctl(&self, path: &str, value: &str) {
        self.enter(|| fs::write(format!("/proc/sys/{path}"), value).unwrap());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        run("ip", &format!("netns delete {}", self.name));
    }
}

/// These VIPs, and routes as they are.
pub(crate) fn vips(vips: &[&str]) -> Wanted {
    Wanted { vips: vips.iter().map(|vip| vip.parse().unwrap()).collect(), tunnel: None }
}

/// No VIP, and packets in an outer header of so many bytes on eth0.
pub(crate) fn tunnel(outer: u32) -> Wanted {
    Wanted { vips: vec![], tunnel: Some(Tunnel { interfaces: vec!["eth0".into()], outer }) }
}

fn run(program: &str, words: &str) -> String {
    let output = Command::new(program).args(words.split(' ')).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
