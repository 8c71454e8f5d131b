//! Against a real kernel, in network namespaces of their own: `node`, which is followed, and `fabric`,
//! at the other end of a veth pair. They need root.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicU32;

use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;

use super::*;

const V4: &str = "192.0.2.140";
const V6: &str = "2001:db8::140";
const MAC: [u8; 6] = [2, 0, 0, 0, 1, 0x40];

/// Two namespaces, removed on drop.
struct Net {
    node: String,
    fabric: String,
}

impl Net {
    /// `palier0` of `node` and `fabric0` of `fabric`, with addresses. `None` without root.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let prefix = format!("neighbor-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let net = Self { node: format!("{prefix}-node"), fabric: format!("{prefix}-fabric") };
        ip(&format!("netns add {}", net.node));
        ip(&format!("netns add {}", net.fabric));
        net.plug();
        net.fabric("link set fabric0 address 02:00:00:00:01:40");
        net.fabric(&format!("addr add {V4}/24 dev fabric0"));
        net.fabric(&format!("addr add {V6}/64 dev fabric0 nodad"));
        net.fabric("link set fabric0 up");
        Some(net)
    }

    /// Makes the veth pair's node end; the other end keeps what it has.
    fn plug(&self) {
        let Self { node, fabric } = self;
        ip(&format!("-n {node} link add palier0 type veth peer name fabric0 netns {fabric}"));
        // Their own link-local addresses would still be tested for duplicates, with events, long
        // after the start; without one the kernel asks for no IPv6 neighbor.
        self.node("link set palier0 addrgenmode none");
        self.node("addr add fe80::132/64 dev palier0 nodad");
        self.fabric("link set fabric0 addrgenmode none");
        self.node("addr add 192.0.2.132/24 dev palier0");
        self.node("addr add 2001:db8::132/64 dev palier0 nodad");
        self.node("link set palier0 up");
    }

    fn node(&self, arguments: &str) -> String {
        ip(&format!("-n {} {arguments}", self.node))
    }

    fn fabric(&self, arguments: &str) -> String {
        ip(&format!("-n {} {arguments}", self.fabric))
    }

    /// Runs this in the node's namespace. Threads that it starts stay there.
    fn inside<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.node)).unwrap();
        let enter_and_run = || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            run()
        };
        thread::scope(|scope| scope.spawn(enter_and_run).join()).unwrap()
    }

    /// Sets an option of the node's kernel.
    fn set(&self, option: &str, value: &str) {
        let path = Path::new("/proc/sys/net").join(option);
        self.inside(|| fs::write(path, value)).unwrap();
    }

    /// Follows by events alone.
    fn follow(&self, targets: &[&str]) -> Followed {
        self.follow_with(Resolve::Managed, Duration::from_secs(3600), targets)
    }

    fn follow_with(&self, how: Resolve, refresh: Duration, targets: &[&str]) -> Followed {
        let (send_targets, receive_targets) = unbounded();
        let (send_hops, receive_hops) = unbounded();
        let thread = self.inside(move || {
            let interfaces = vec!["palier0".into()];
            Follower::spawn_with(how, refresh, interfaces, receive_targets, send_hops).unwrap()
        });
        let followed = Followed { targets: send_targets, hops: receive_hops, thread };
        followed.targets(targets);
        followed
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for namespace in [&self.node, &self.fabric] {
            let deleted = Command::new("ip").args(["netns", "del", namespace]).status();
            assert!(deleted.is_ok_and(|status| status.success()) || thread::panicking());
        }
    }
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn reachable(mac: [u8; 6], mtu: u16) -> Hop {
    Hop::Reachable { port: 0, mac, mtu }
}

fn no_route(why: &str) -> Hop {
    Hop::NoRoute(why.into())
}

/// A follower at work.
struct Followed {
    targets: Sender<Vec<IpAddr>>,
    hops: Receiver<Hops>,
    thread: JoinHandle<()>,
}

impl Followed {
    fn targets(&self, targets: &[&str]) {
        self.targets.send(targets.iter().map(|text| address(text)).collect()).unwrap();
    }

    /// Waits until these hops are told.
    fn wait_for(&self, expected: &[(&str, Hop)]) {
        let expected: Hops =
            expected.iter().map(|(text, hop)| (address(text), hop.clone())).collect();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut told = Vec::new();
        while let Ok(hops) = self.hops.recv_deadline(deadline) {
            if hops == expected {
                return;
            }
            told.push(hops);
        }
        panic!("{expected:?} was not told, but {told:#?}");
    }

    fn stop(self) {
        drop(self.targets);
        self.thread.join().unwrap();
    }
}

/// Waits until the kernel's line about the neighbor is right.
fn wait_for_neighbor(net: &Net, neighbor: &str, is_right: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let line = net.node(&format!("neigh show {neighbor} dev palier0"));
        if is_right(&line) {
            return;
        }
        assert!(Instant::now() < deadline, "{line}");
        thread::yield_now();
    }
}

#[test]
fn neighbors_of_both_families_are_found_and_kept() {
    let Some(net) = Net::new() else { return };
    let followed = net.follow(&[V4, V6]);
    followed.wait_for(&[(V4, reachable(MAC, 1500)), (V6, reachable(MAC, 1500))]);
    for neighbor in [V4, V6] {
        wait_for_neighbor(&net, neighbor, |line| {
            line.contains("managed") && line.contains("REACHABLE")
        });
    }
    followed.stop();
    for neighbor in [V4, V6] {
        wait_for_neighbor(&net, neighbor, |line| !line.contains("managed"));
    }
}

#[test]
fn a_stale_neighbor_is_confirmed_again_by_older_kernels_too() {
    let Some(net) = Net::new() else { return };
    let followed = net.follow_with(Resolve::Once, REFRESH, &[V4]);
    followed.wait_for(&[(V4, reachable(MAC, 1500))]);
    wait_for_neighbor(&net, V4, |line| !line.contains("managed") && line.contains("REACHABLE"));
    net.node(&format!("neigh change {V4} dev palier0 nud stale"));
    wait_for_neighbor(&net, V4, |line| line.contains("REACHABLE"));
    followed.stop();
}

#[test]
fn a_link_address_that_changes_is_followed() {
    let Some(net) = Net::new() else { return };
    // It was asked for just before: the next request waits for a refresh.
    let followed = net.follow_with(Resolve::Managed, REFRESH, &[V4]);
    followed.wait_for(&[(V4, reachable(MAC, 1500))]);
    net.fabric("link set fabric0 address 02:00:00:00:02:40");
    net.node(&format!("neigh del {V4} dev palier0"));
    followed.wait_for(&[(V4, reachable([2, 0, 0, 0, 2, 0x40], 1500))]);
    net.node(&format!("neigh replace {V4} dev palier0 lladdr 02:00:00:00:03:40 nud reachable"));
    followed.wait_for(&[(V4, reachable([2, 0, 0, 0, 3, 0x40], 1500))]);
    followed.stop();
}

#[test]
fn a_neighbor_that_an_operator_fixed_stays_so() {
    let Some(net) = Net::new() else { return };
    net.node("neigh add 192.0.2.7 dev palier0 lladdr 02:00:00:00:00:07 nud permanent");
    let followed = net.follow(&["192.0.2.7"]);
    followed.wait_for(&[("192.0.2.7", reachable([2, 0, 0, 0, 0, 7], 1500))]);
    followed.stop();
    assert!(net.node("neigh show 192.0.2.7 dev palier0").contains("PERMANENT"));
}

#[test]
fn a_node_that_does_not_answer_is_unresolved_until_it_does() {
    let Some(net) = Net::new() else { return };
    let followed = net.follow(&["192.0.2.141"]);
    let next_hop = address("192.0.2.141");
    followed.wait_for(&[("192.0.2.141", Hop::Unresolved { port: 0, mtu: 1500, next_hop })]);
    net.fabric("addr add 192.0.2.141/24 dev fabric0");
    followed.wait_for(&[("192.0.2.141", reachable(MAC, 1500))]);
    followed.stop();
}

#[test]
fn a_route_by_a_gateway_is_followed_from_one_to_the_next() {
    let Some(net) = Net::new() else { return };
    net.node("neigh add 192.0.2.7 dev palier0 lladdr 02:00:00:00:00:07 nud permanent");
    let targets = ["203.0.113.9", "2001:db8:1::9"];
    let followed = net.follow(&targets);
    let unreachable = no_route("Network is unreachable");
    followed.wait_for(&[(targets[0], unreachable.clone()), (targets[1], unreachable.clone())]);

    net.node(&format!("route add 203.0.113.0/24 via {V4}"));
    net.node(&format!("route add 2001:db8:1::/64 via {V6}"));
    followed.wait_for(&[(targets[0], reachable(MAC, 1500)), (targets[1], reachable(MAC, 1500))]);

    net.node("route replace 203.0.113.0/24 via 192.0.2.7");
    let other = reachable([2, 0, 0, 0, 0, 7], 1500);
    followed.wait_for(&[(targets[0], other), (targets[1], reachable(MAC, 1500))]);

    net.node(&format!("route replace 203.0.113.0/24 via inet6 {V6} dev palier0"));
    followed.wait_for(&[(targets[0], reachable(MAC, 1500)), (targets[1], reachable(MAC, 1500))]);

    net.node("route del 203.0.113.0/24");
    net.node("route del 2001:db8:1::/64");
    followed.wait_for(&[(targets[0], unreachable.clone()), (targets[1], unreachable)]);
    followed.stop();
}

#[test]
fn rules_and_next_hop_objects_are_followed() {
    let Some(net) = Net::new() else { return };
    net.node(&format!("route add 203.0.113.0/24 table 7 via {V4}"));
    net.node(&format!("route add 2001:db8:1::/64 table 7 via {V6}"));
    let targets = ["203.0.113.9", "2001:db8:1::9"];
    let followed = net.follow(&targets);
    let (found, lost) = (reachable(MAC, 1500), no_route("Network is unreachable"));
    followed.wait_for(&[(targets[0], lost.clone()), (targets[1], lost.clone())]);
    net.node("rule add to 203.0.113.0/24 lookup 7");
    followed.wait_for(&[(targets[0], found.clone()), (targets[1], lost.clone())]);
    net.node("-6 rule add to 2001:db8:1::/64 lookup 7");
    followed.wait_for(&[(targets[0], found.clone()), (targets[1], found.clone())]);
    net.node("rule del to 203.0.113.0/24 lookup 7");
    followed.wait_for(&[(targets[0], lost), (targets[1], found.clone())]);

    // Or its routes' events would tell of the next hop too.
    net.set("ipv4/nexthop_compat_mode", "0");
    net.node("neigh add 192.0.2.7 dev palier0 lladdr 02:00:00:00:00:07 nud permanent");
    net.node(&format!("nexthop add id 1 via {V4} dev palier0"));
    net.node("route add 203.0.113.0/24 nhid 1");
    followed.wait_for(&[(targets[0], found.clone()), (targets[1], found.clone())]);
    net.node("nexthop replace id 1 via 192.0.2.7 dev palier0");
    let other = reachable([2, 0, 0, 0, 0, 7], 1500);
    followed.wait_for(&[(targets[0], other), (targets[1], found)]);
    followed.stop();
}

#[test]
fn a_route_that_goes_with_its_source_address_is_followed() {
    let Some(net) = Net::new() else { return };
    net.node(&format!("route add 203.0.113.0/24 via {V4}"));
    let followed = net.follow(&["203.0.113.9"]);
    followed.wait_for(&[("203.0.113.9", reachable(MAC, 1500))]);
    net.node("addr del 192.0.2.132/24 dev palier0");
    followed.wait_for(&[("203.0.113.9", no_route("Network is unreachable"))]);
    followed.stop();
}

#[test]
fn what_has_no_event_is_found_at_the_next_refresh() {
    let Some(net) = Net::new() else { return };
    let followed = net.follow_with(Resolve::Managed, REFRESH, &[V4]);
    followed.wait_for(&[(V4, reachable(MAC, 1500))]);
    // Without carrier the neighbor is forgotten, the route stays,
    net.fabric("link set fabric0 down");
    followed.wait_for(&[(V4, Hop::Unresolved { port: 0, mtu: 1500, next_hop: address(V4) })]);
    // until the kernel is told not to use it.
    net.set("ipv4/conf/palier0/ignore_routes_with_linkdown", "1");
    followed.wait_for(&[(V4, no_route("Network is unreachable"))]);
    followed.stop();
}

#[test]
fn of_several_next_hops_the_kernels_choice_is_taken() {
    let Some(net) = Net::new() else { return };
    net.node("neigh add 192.0.2.7 dev palier0 lladdr 02:00:00:00:00:07 nud permanent");
    net.node("neigh add 192.0.2.8 dev palier0 lladdr 02:00:00:00:00:08 nud permanent");
    net.node("route add 203.0.113.0/24 nexthop via 192.0.2.7 nexthop via 192.0.2.8");
    let expected = if net.node("route get 203.0.113.9").contains("192.0.2.7") { 7 } else { 8 };
    let followed = net.follow(&["203.0.113.9"]);
    followed.wait_for(&[("203.0.113.9", reachable([2, 0, 0, 0, 0, expected], 1500))]);
    followed.stop();
}

#[test]
fn routes_that_lead_elsewhere_are_none() {
    let Some(net) = Net::new() else { return };
    net.node("link add eth9 type veth peer name eth8");
    net.node("link set eth9 up");
    net.node("route add 203.0.113.1 dev eth9");
    net.node("route add blackhole 203.0.113.2");
    net.node("route add prohibit 203.0.113.3");
    net.node("route add blackhole 2001:db8:1::2");
    let followed =
        net.follow(&["203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8:1::2", "192.0.2.132"]);
    followed.wait_for(&[
        ("203.0.113.1", no_route("leaves by eth9, not by palier0")),
        ("203.0.113.2", no_route("blackhole route")),
        ("203.0.113.3", no_route("Permission denied")),
        ("2001:db8:1::2", no_route("blackhole route")),
        ("192.0.2.132", no_route("an address of this host")),
    ]);
    followed.stop();
}

#[test]
fn the_mtu_of_link_and_route_is_followed() {
    let Some(net) = Net::new() else { return };
    // Or its routes' events would tell of the link's MTU too.
    net.set("ipv6/conf/palier0/disable_ipv6", "1");
    let followed = net.follow(&[V4]);
    followed.wait_for(&[(V4, reachable(MAC, 1500))]);
    net.node("link set palier0 mtu 1400");
    followed.wait_for(&[(V4, reachable(MAC, 1400))]);
    net.node(&format!("route add {V4} dev palier0 mtu 1350"));
    followed.wait_for(&[(V4, reachable(MAC, 1350))]);
    net.node("link set palier0 mtu 9000");
    net.node(&format!("route del {V4}"));
    followed.wait_for(&[(V4, reachable(MAC, 9000))]);
    followed.stop();
}

#[test]
fn an_interface_may_go_down_vanish_and_come_back() {
    let Some(net) = Net::new() else { return };
    let followed = net.follow(&[V4]);
    followed.wait_for(&[(V4, reachable(MAC, 1500))]);
    net.node("link set palier0 down");
    followed.wait_for(&[(V4, no_route("Network is unreachable"))]);
    net.node("link set palier0 up");
    followed.wait_for(&[(V4, reachable(MAC, 1500))]);
    net.node("link del palier0");
    followed.wait_for(&[(V4, no_route("Network is unreachable"))]);
    net.plug();
    net.fabric("link set fabric0 address 02:00:00:00:04:40");
    net.fabric(&format!("addr add {V4}/24 dev fabric0"));
    net.fabric("link set fabric0 up");
    followed.wait_for(&[(V4, reachable([2, 0, 0, 0, 4, 0x40], 1500))]);
    followed.stop();
}

#[test]
fn nodes_that_are_no_longer_targets_are_let_go() {
    let Some(net) = Net::new() else { return };
    let followed = net.follow(&[V4, V6]);
    followed.wait_for(&[(V4, reachable(MAC, 1500)), (V6, reachable(MAC, 1500))]);
    wait_for_neighbor(&net, V4, |line| line.contains("managed"));
    followed.targets(&[V6]);
    followed.wait_for(&[(V6, reachable(MAC, 1500))]);
    wait_for_neighbor(&net, V4, |line| !line.contains("managed"));
    wait_for_neighbor(&net, V6, |line| line.contains("managed"));
    followed.targets(&[]);
    followed.wait_for(&[]);
    wait_for_neighbor(&net, V6, |line| !line.contains("managed"));
    followed.stop();
}

#[test]
fn what_changes_no_next_hop_is_not_told() {
    let Some(net) = Net::new() else { return };
    let followed = net.follow(&[V4]);
    followed.wait_for(&[(V4, reachable(MAC, 1500))]);
    for n in 0..20 {
        net.node(&format!("route add 203.0.113.{n} via {V4}"));
    }
    followed.targets(&[V4]);
    net.node("link set palier0 mtu 1400");
    let next = followed.hops.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(next, [(address(V4), reachable(MAC, 1400))].into());
    followed.stop();
}

#[test]
fn lost_events_mean_asking_for_everything() {
    let Some(net) = Net::new() else { return };
    let mut events = net.inside(Events::of_neighbors_with_a_small_buffer);
    net.node("neigh add 192.0.2.7 dev palier0 lladdr 02:00:00:00:00:07 nud permanent");
    assert_eq!(events.next().unwrap(), Some(Change::Neighbors));
    for n in 0..60 {
        net.node(&format!("neigh replace 192.0.2.{n} dev palier0 lladdr 02:00:00:00:00:08"));
    }
    assert_eq!(events.next().unwrap(), Some(Change::Routes));
}
