use admin::Entry;
use api::{HashKey, Snapshot};
use config::HostSecrets;

use super::*;
use crate::plan::Vip;

const SITE: &str = r#"
[site]
name = "test"
hash_key = "07070707070707070707070707070707"
[bgp]
local_as = 65000
[[router]]
name = "r1"
addresses = ["192.0.2.130", "2001:db8::c000:282"]
peer_as = 65000
[[router]]
name = "r2"
address = "192.0.2.131"
peer_as = 65001
services = ["dns"]
[[l4]]
name = "l4-1"
addresses = ["192.0.2.132", "2001:db8::c000:284"]
[[l7]]
name = "l7-1"
index = 1
addresses = ["192.0.2.140", "2001:db8::c000:28c"]
[[service]]
name = "web"
vips = ["198.51.100.1", "2001:db8::c633:6401"]
protocol = "tcp"
ports = 80
[[service]]
name = "dns"
vips = ["198.51.100.1"]
protocol = "udp"
ports = 53
"#;

/// All is well, but for what a test changes.
struct World {
    config: Config,
    plan: Plan,
    states: States,
    stance: Stance,
    lost: BTreeSet<IpAddr>,
    unserved: Option<Prefix>,
    /// Where the dataplane has nobody yet.
    empty: Option<Prefix>,
}

impl World {
    fn new(text: &str) -> Self {
        let config = Config::parse(text, &HostSecrets::new(0o600, None)).unwrap();
        let well = Vip { quorum: true, announce: true, weight: 100, seats: vec![] };
        let vips = |service: &Service| vec![well.clone(); service.vips.len()];
        let services = config.services.iter().map(vips).collect();
        let snapshot = Snapshot {
            generation: 1,
            hash_key: Some(HashKey::new([7; 16])),
            addresses: vec![],
            tunnel_sources: vec![],
            nodes: vec![],
            services: vec![],
            routers: vec![],
            bfd: vec![],
            management: vec![],
            limits: config.site.limits,
            idle: config.site.idle,
        };
        let plan = Plan { snapshot, services, wake: None };
        let (states, lost) = Default::default();
        Self { config, plan, states, stance: Stance::Open, lost, unserved: None, empty: None }
    }

    /// What a router is told over all its sessions.
    fn told(&self, router: usize) -> Told {
        let served: HashSet<_> = self
            .config
            .services
            .iter()
            .flat_map(|s| s.vips.iter().map(|&vip| (s.name.as_str(), vip)))
            .filter(|(_, vip)| Some(*vip) != self.unserved)
            .collect();
        let mut ready = served.clone();
        ready.retain(|(_, vip)| Some(*vip) != self.empty);
        let known = Known {
            config: &self.config,
            own: "l4-1",
            plan: &self.plan,
            served: &served,
            ready: &ready,
            states: &self.states,
            stance: &self.stance,
            lost: &self.lost,
        };
        let peer = self.config.routers[router].peer.as_ref().unwrap();
        let mut all = Told::default();
        for session in &peer.sessions {
            let Told { routes, kept_back } = told(&known, peer, session);
            all.routes.extend(routes);
            all.kept_back.extend(kept_back);
        }
        all
    }

    fn announced(&self, router: usize) -> Vec<String> {
        self.told(router).routes.iter().map(|route| route.prefix.to_string()).collect()
    }

    fn why(&self, router: usize) -> Vec<String> {
        let told = self.told(router);
        told.kept_back.iter().map(|(prefix, why)| format!("{prefix}: {why}")).collect()
    }

    fn said(&mut self, word: String, state: Admin) {
        let by = "uid 0 on l4-2".to_owned();
        self.states
            .insert(word, Entry { version: 1, at_ms: 1, state, by, weight: None, said: None });
    }
}

const BOTH: [&str; 2] = ["198.51.100.1/32", "2001:db8::c633:6401/128"];

#[test]
fn each_router_is_told_of_its_services_over_the_sessions_of_their_families() {
    let world = World::new(SITE);
    assert_eq!(world.announced(0), BOTH);
    assert_eq!(world.announced(1), BOTH[..1]);
    assert_eq!(world.why(0), [""; 0]);
    let one =
        World::new(&SITE.replace("peer_as = 65001\n", "peer_as = 65001\nfamilies = [\"ipv6\"]\n"));
    assert_eq!(one.announced(1), [""; 0], "no service of it has an IPv6 VIP");
}

#[test]
fn nothing_is_announced_while_the_gate_is_shut() {
    let mut world = World::new(SITE);
    world.stance = Stance::Shut("the dataplane does not forward".into());
    assert_eq!(world.announced(0), [""; 0]);
    assert_eq!(world.why(1), ["198.51.100.1: the dataplane does not forward"]);
}

#[test]
fn a_router_that_bfd_has_lost_is_told_nothing_and_the_others_all() {
    let mut world = World::new(SITE);
    world.lost.insert("192.0.2.130".parse().unwrap());
    assert_eq!(world.announced(0), BOTH[1..], "its IPv6 session is another one");
    assert_eq!(world.announced(1), BOTH[..1]);
}

#[test]
fn a_family_that_has_lost_its_quorum_goes_alone() {
    let mut world = World::new(SITE);
    world.plan.services[0][1].announce = false;
    assert_eq!(world.announced(0), BOTH[..1]);
    assert_eq!(world.why(0), ["2001:db8::c633:6401: service web: the quorum is lost"]);
}

#[test]
fn what_the_dataplane_does_not_have_is_not_announced() {
    let mut world = World::new(SITE);
    world.unserved = Some("2001:db8::c633:6401".parse().unwrap());
    assert_eq!(world.announced(0), BOTH[..1]);
}

#[test]
fn a_vip_is_not_announced_before_the_dataplane_has_nodes_for_it_if_there_are_any() {
    let mut world = World::new(SITE);
    world.empty = Some("2001:db8::c633:6401".parse().unwrap());
    assert_eq!(world.announced(0), BOTH[..1]);
    // `on_quorum_loss = "keep"`
    world.plan.services[0][1].quorum = false;
    assert_eq!(world.announced(0), BOTH);
}

#[test]
fn a_shared_vip_goes_with_any_of_its_services_that_is_required() {
    let mut world = World::new(SITE);
    world.plan.services[1][0].announce = false;
    assert_eq!(world.announced(0), BOTH[1..]);
    let bgp = "ports = 53\nbgp = { required = false }\n";
    let mut world = World::new(&SITE.replace("ports = 53\n", bgp));
    world.plan.services[1][0].announce = false;
    assert_eq!(world.announced(0), BOTH, "dns is not required");
    assert_eq!(world.announced(1), [""; 0], "this router knows of nobody else");
    world.plan.services[0][0].announce = false;
    assert_eq!(world.announced(0), BOTH[1..]);
}

#[test]
fn if_none_is_required_one_is_enough() {
    let text = SITE
        .replace("ports = 53\n", "ports = 53\nbgp = { required = false }\n")
        .replace("ports = 80\n", "ports = 80\nbgp = { required = false }\n");
    let mut world = World::new(&text);
    world.plan.services[0][0].announce = false;
    assert_eq!(world.announced(0), BOTH);
    world.plan.services[1][0].announce = false;
    assert_eq!(world.why(0)[0], "198.51.100.1: service web: the quorum is lost");
}

#[test]
fn an_aggregate_stands_for_the_vips_in_it() {
    let text = SITE
        .replace("ports = 53\n", "ports = 53\nbgp = { aggregate = \"198.51.100.0/24\" }\n")
        .replace("ports = 80\n", "ports = 80\nbgp = { aggregate = \"198.51.100.0/24\" }\n");
    let mut world = World::new(&text);
    assert_eq!(world.announced(0), ["198.51.100.0/24", BOTH[1]]);
    world.plan.services[1][0].announce = false;
    assert_eq!(world.announced(0), BOTH[1..], "a required part of it is lost");
}

#[test]
fn an_operator_withdraws_a_service_here_or_everywhere() {
    for word in [word("web", None), word("web", Some("l4-1"))] {
        let mut world = World::new(SITE);
        world.said(word.clone(), Admin::Drain);
        assert_eq!(world.announced(0), [""; 0]);
        assert_eq!(world.announced(1), BOTH[..1], "this router is not told of web at all");
        assert_eq!(
            world.why(0)[0],
            "198.51.100.1: service web: withdrawn by uid 0 on l4-2",
            "{word}"
        );
        world.said(word, Admin::Ready);
        assert_eq!(world.announced(0), BOTH);
    }
    let mut world = World::new(SITE);
    world.said(word("web", Some("l4-2")), Admin::Drain);
    assert_eq!(world.announced(0), BOTH, "that was said of another node");
    let all: BTreeSet<String> = words(&world.config).collect();
    assert_eq!(all.len(), 4);
    assert!(all.contains(&word("dns", Some("l4-1"))) && all.contains(&word("dns", None)));
}

#[test]
fn attributes_are_those_of_the_service_and_of_a_leaving_node() {
    let bgp = "ports = 80\nbgp = { med = 100, med_drained = 500, local_preference = 200, prepend = 2, \
               communities = [\"65000:7\"], large_communities = [\"1:2:3\"] }\n";
    let text = SITE
        .replace("ports = 80\n", bgp)
        .replace("vips = [\"198.51.100.1\"]", "vips = [\"198.51.100.2\"]");
    let mut world = World::new(&text);
    let of =
        |world: &World, place: usize| Attributes::clone(&world.told(0).routes[place].attributes);
    let community = 65_000 << 16 | 7;
    let web = Attributes {
        med: Some(100),
        local_pref: Some(200),
        prepend: 2,
        communities: [community].into(),
        large_communities: [(1, 2, 3)].into(),
    };
    assert_eq!(of(&world, 0), web);
    let dns = of(&world, 1);
    assert_eq!((dns.med, dns.local_pref, dns.prepend), (None, None, 0));
    world.stance = Stance::Leaving;
    let leaving = Attributes {
        med: Some(500),
        local_pref: Some(0),
        communities: [community, Attributes::GRACEFUL_SHUTDOWN].into(),
        ..web
    };
    assert_eq!(of(&world, 0), leaving);
    assert_eq!(of(&world, 1).communities, [Attributes::GRACEFUL_SHUTDOWN].into());
}
