//! Attachments that outlive their process.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use decap::{Counter, Decap, Error, Hook, Settings, detach_left, pin_folder, pin_name};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::attachment::{has_qdisc, present};
use crate::encapsulator::Encapsulator;
use crate::network::{CLIENT, L4, L7, Network, VIP, WIRE, address};
use crate::traffic::{count, datagram_arrives};

/// A folder on a bpffs of its own. Gone on drop.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        pin_folder(folder.path()).unwrap();
        Self(folder)
    }

    fn pin(&self) -> PathBuf {
        self.0.path().join(pin_name("l7-1", WIRE))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        umount2(self.0.path(), MntFlags::MNT_DETACH).unwrap();
    }
}

fn attach_to(network: &Network, interface: &str, hook: Hook, pin: &Path) -> Result<Decap, Error> {
    let settings = Settings {
        interface: interface.into(),
        hook: Some(hook),
        pin: Some(pin.into()),
        rules: network.rules(),
    };
    network.l7.enter(|| Decap::attach(&settings))
}

fn attach(network: &Network, hook: Hook, pin: &Path) -> Decap {
    attach_to(network, WIRE, hook, pin).unwrap()
}

fn detach(network: &Network, decap: Decap) {
    network.l7.enter(|| decap.detach().unwrap());
}

/// Sends numbered datagrams to the VIP while `f` runs. Returns how many were sent, and arrived.
fn stream(network: &Network, f: impl FnOnce()) -> (u32, u32) {
    let server = network.l7.enter(|| UdpSocket::bind((address(VIP[0]), 0)).unwrap());
    let client = network.l4.enter(|| UdpSocket::bind((address(CLIENT[0]), 0)).unwrap());
    let to: SocketAddr = server.local_addr().unwrap();
    server.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0_u32;
            while !stop.load(Relaxed) {
                client.send_to(&sent.to_be_bytes(), to).unwrap();
                sent += 1;
                thread::sleep(Duration::from_micros(50));
            }
            sent
        });
        let receiver = scope.spawn(|| {
            let mut received = 0;
            // Ends when nothing has come for a second.
            while server.recv(&mut [0; 100]).is_ok() {
                received += 1;
            }
            received
        });
        f();
        stop.store(true, Relaxed);
        (sender.join().unwrap(), receiver.join().unwrap())
    })
}

#[test]
fn a_drop_leaves_it_attached_and_detach_removes_it_and_its_pin() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    let _l4 = Encapsulator::start(&network, L4[0], L7[0]);
    for hook in Hook::ALL {
        network.l7.enter(|| drop(attach(&network, hook, &folder.pin())));
        assert_eq!(present(&network), [hook]);
        datagram_arrives(&network, 0, b"without a process");

        let decap = attach(&network, hook, &folder.pin());
        assert_eq!(present(&network), [hook]);
        datagram_arrives(&network, 0, b"by the next process");
        assert_eq!(count(&decap, Counter::Decap4In4), 1, "{hook}");
        detach(&network, decap);
        assert_eq!(present(&network), []);
        assert!(!folder.pin().exists() && !has_qdisc(&network), "{hook}");
    }
}

#[test]
fn a_takeover_loses_no_packet() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    let _l4 = Encapsulator::start(&network, L4[0], L7[0]);
    for hook in Hook::ALL {
        let mut decap = attach(&network, hook, &folder.pin());
        let (sent, received) = stream(&network, || {
            for _ in 0..5 {
                // As if killed.
                std::mem::forget(std::mem::replace(
                    &mut decap,
                    attach(&network, hook, &folder.pin()),
                ));
                thread::sleep(Duration::from_millis(50));
            }
        });
        assert!(sent > 1000, "{sent}");
        assert_eq!(received, sent, "{hook}");
        assert!(count(&decap, Counter::Decap4In4) > 0, "{hook}");
        assert_eq!(present(&network), [hook]);
        detach(&network, decap);
    }
}

#[test]
fn rules_of_the_new_one_hold_after_a_takeover() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    let l4 = Encapsulator::start(&network, L4[0], L7[0]);
    drop(attach(&network, Hook::Tcx, &folder.pin()));
    let mut settings = Settings {
        interface: WIRE.into(),
        hook: None,
        pin: Some(folder.pin()),
        rules: network.rules(),
    };
    settings.rules.allow.retain(|prefix| *prefix != address(L4[0]).into());
    let decap = network.l7.enter(|| Decap::attach(&settings).unwrap());
    let client = network.l4.enter(|| UdpSocket::bind((address(CLIENT[0]), 0)).unwrap());
    client.send_to(b"x", (address(VIP[0]), 9)).unwrap();
    crate::network::wait_until("the drop", || count(&decap, Counter::DropSource) == 1);
    drop(l4);
    detach(&network, decap);
}

#[test]
fn a_hook_that_changes_leaves_nothing_of_the_old_one() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    for old in Hook::ALL {
        for new in Hook::ALL {
            drop(attach(&network, old, &folder.pin()));
            let decap = attach(&network, new, &folder.pin());
            assert_eq!(present(&network), [new], "from {old}");
            assert_eq!(folder.pin().exists(), new != Hook::Clsact, "from {old} to {new}");
            detach(&network, decap);
            assert!(!has_qdisc(&network), "from {old} to {new}");
        }
    }
}

#[test]
fn an_interface_that_changes_gets_it_and_the_old_one_loses_it() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    network.l7.ip("link add other type veth peer name other-peer");
    for hook in [Hook::Tcx, Hook::Xdp, Hook::XdpGeneric] {
        drop(attach_to(&network, "other", hook, &folder.pin()).unwrap());
        let decap = attach(&network, hook, &folder.pin());
        assert_eq!(present(&network), [hook]);
        let other = network.l7.ip("-details link show other");
        assert!(!other.contains("prog/"), "{other}");
        drop(decap);
        detach(&network, attach(&network, hook, &folder.pin()));
    }
}

/// The number of an interface may be that of another one, in another namespace.
#[test]
fn an_interface_of_another_namespace_is_another_interface() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    let index = network.ifindex;
    network.l4.ip(&format!("link add index {index} same type veth peer name same-peer"));
    let settings = Settings {
        interface: "same".into(),
        hook: Some(Hook::Xdp),
        pin: Some(folder.pin()),
        rules: network.rules(),
    };
    network.l4.enter(|| drop(Decap::attach(&settings).unwrap()));
    let decap = attach(&network, Hook::Xdp, &folder.pin());
    assert_eq!(present(&network), [Hook::Xdp]);
    assert!(!network.l4.ip("-details link show same").contains("prog/xdp"));
    detach(&network, decap);
}

#[test]
fn a_link_whose_interface_is_gone_is_replaced() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    for hook in [Hook::Tcx, Hook::Xdp] {
        network.l7.ip("link add gone type veth peer name gone-peer");
        let decap = attach_to(&network, "gone", hook, &folder.pin()).unwrap();
        network.l7.ip("link delete gone");
        drop(decap);
        assert!(folder.pin().exists());
        let decap = attach(&network, hook, &folder.pin());
        assert_eq!(present(&network), [hook]);
        detach(&network, decap);
    }
}

#[test]
fn one_that_was_taken_over_detaches_nothing() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    for hook in Hook::ALL {
        let old = attach(&network, hook, &folder.pin());
        let new = attach(&network, hook, &folder.pin());
        detach(&network, old);
        assert_eq!(present(&network), [hook]);
        assert_eq!(folder.pin().exists(), hook != Hook::Clsact);
        detach(&network, new);
        assert_eq!(present(&network), []);
    }
}

#[test]
fn a_pin_that_is_no_link_or_no_bpffs_is_refused_and_nothing_is_attached() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    let plain = tempfile::tempdir().unwrap();
    fs::create_dir(folder.pin()).unwrap();
    for pin in [folder.pin(), plain.path().join("pin")] {
        let error = attach_to(&network, WIRE, Hook::Tcx, &pin).unwrap_err();
        assert!(matches!(error, Error::Pin { .. }), "{error:?}");
        assert_eq!(present(&network), []);
    }
}

#[test]
fn a_folder_below_a_bpffs_is_made_there() {
    if Network::new().is_none() {
        return;
    }
    let folder = Folder::new();
    let below = folder.0.path().join("palier/nodes");
    pin_folder(&below).unwrap();
    pin_folder(&below).unwrap();
    assert!(below.is_dir());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert_eq!(mounts.matches(folder.0.path().to_str().unwrap()).count(), 1, "{mounts}");
}

/// On a mount namespace of its own.
#[test]
fn a_folder_below_the_usual_place_gets_a_bpffs_there() {
    if Network::new().is_none() {
        return;
    }
    thread::spawn(|| {
        let (usual, none) = (Path::new("/sys/fs/bpf"), None::<&str>);
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        while is_bpffs(usual) {
            umount2(usual, MntFlags::MNT_DETACH).unwrap();
        }
        let folder = usual.join("palier");
        pin_folder(&folder).unwrap();
        assert!(is_bpffs(usual) && folder.is_dir());
        // Another one finds it there.
        pin_folder(&usual.join("other")).unwrap();
        assert!(folder.is_dir());
    })
    .join()
    .unwrap();
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).unwrap().filesystem_type() == BPF_FS_MAGIC
}

#[test]
fn what_was_taken_away_is_missed_and_can_be_put_back() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    let ip = |arguments: &[&str]| {
        let status = network.l7.enter(|| {
            std::process::Command::new(arguments[0]).args(&arguments[1..]).status().unwrap()
        });
        assert!(status.success(), "{arguments:?}");
    };
    for hook in Hook::ALL {
        ip(&["ip", "link", "add", "gone", "type", "veth", "peer", "name", "gone-peer"]);
        let first = attach_to(&network, "gone", hook, &folder.pin()).unwrap();
        let is_in_place = |decap: &Decap| network.l7.enter(|| decap.is_in_place());
        assert!(is_in_place(&first).unwrap(), "{hook}");
        // Another one of its name, which nothing is attached to.
        ip(&["ip", "link", "del", "gone"]);
        assert!(is_in_place(&first).is_err(), "{hook}");
        ip(&["ip", "link", "add", "gone", "type", "veth", "peer", "name", "gone-peer"]);
        assert!(!is_in_place(&first).unwrap(), "{hook}");
        drop(first);
        let second = attach_to(&network, "gone", hook, &folder.pin()).unwrap();
        assert!(is_in_place(&second).unwrap(), "{hook}");
        if hook == Hook::Clsact {
            ip(&["tc", "qdisc", "del", "dev", "gone", "clsact"]);
            assert!(!is_in_place(&second).unwrap());
        }
        detach(&network, second);
        ip(&["ip", "link", "del", "gone"]);
    }
}

#[test]
fn what_was_left_at_other_interfaces_is_taken_away() {
    let Some(network) = Network::new() else { return };
    let folder = Folder::new();
    let folder = folder.0.path();
    let pin = |node: &str| folder.join(pin_name(node, WIRE));
    // Another node of this host, whose name begins alike, has one there, too.
    for hook in Hook::ALL.into_iter().filter(|hook| *hook != Hook::Clsact) {
        drop(attach(&network, hook, &pin("l7-1")));
        let others = (hook == Hook::Tcx).then(|| attach(&network, hook, &pin("l7-10")));
        let left =
            |kept: &[String]| network.l7.enter(|| detach_left(folder, "l7-1", kept)).unwrap();
        assert_eq!(left(&[WIRE.into()]), [""; 0]);
        assert!(pin("l7-1").exists(), "{hook}");
        assert_eq!(left(&["renamed".into()]), [pin_name("l7-1", WIRE)]);
        assert!(!pin("l7-1").exists(), "{hook}");
        assert_eq!(present(&network).contains(&hook), others.is_some(), "{hook}");
        if let Some(others) = others {
            detach(&network, others);
        }
    }
    assert_eq!(detach_left(&folder.join("none"), "l7-1", &[]).unwrap(), [""; 0]);
}
