//! Every key with a value, and what becomes of it; and what holds where nothing is said.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use api::{Hash, IdleTimes, Limits, Ports, Protocol, Rate};

use config::{
    Announcement, Bfd, Bgp, Config, Hook, L4, L7, Member, Nics, Peer, Peering, Proxy, QuorumLoss,
    Reload, Router, Service, Session, Site, Times, Tunnel, dataplane_flags,
};
use health::{
    Agent, BodyMatch, Check, Command, Content, Dns, FallMode, File, Http, Initial, Kind, StatusSet,
    Tcp, Timing, Tls, Udp,
};

use crate::{KEY, good};

const EVERY_KEY: &str = include_str!("every_key.toml");
const LEAST: &str = include_str!("least.toml");

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn addresses<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn member(l7: usize, weight: u16) -> Member {
    Member { l7, weight }
}

fn session(address: &str, ipv4: bool, ipv6: bool) -> Session {
    Session { address: address.parse().unwrap(), ipv4, ipv6 }
}

#[test]
fn every_key_of_the_site_and_its_boxes() {
    let config = good(EVERY_KEY);
    let rate = |per_second| Rate { per_second, burst: per_second * 10 };
    let site = Site {
        name: "par1".into(),
        hash_key: KEY.parse().unwrap(),
        peering: Some(Peering { port: 7401, pki: "/etc/pki".into() }),
        reload: Reload::Auto,
        management: addresses(&["192.0.2.0/27"]),
        times: Times {
            join_time: seconds(31),
            removal_time: seconds(3600),
            startup_limit: seconds(14),
            withdraw_grace: seconds(3),
        },
        limits: Limits {
            insertions: rate(1),
            icmp: rate(2),
            icmp_source: rate(3),
            neighbor: rate(4),
            routing: rate(5),
            errors: rate(6),
            management: rate(7),
            other: rate(8),
        },
        idle: IdleTimes { embryonic: 61, open: 7200, closing: 121, udp: 122 },
    };
    assert_eq!(config.site, site);
    let routers = [
        Router {
            name: "r1".into(),
            addresses: addresses(&["192.0.2.254"]),
            peer: Some(Peer {
                peer_as: 65_010,
                local_as: 65_000,
                sessions: vec![session("192.0.2.254", true, false)],
                hold_time: seconds(9),
                connect_retry: seconds(2),
                password: None,
                ttl_security: false,
                passive: true,
                extended_next_hop: false,
                interface: None,
                nodes: vec![0],
                services: vec![0, 1],
                bfd: None,
            }),
        },
        Router {
            name: "r2".into(),
            addresses: addresses(&["192.0.2.253", "fe80::2"]),
            peer: Some(Peer {
                peer_as: 4_200_000_001,
                local_as: 65_001,
                sessions: vec![
                    session("192.0.2.253", true, false),
                    session("fe80::2", false, true),
                ],
                hold_time: seconds(3),
                connect_retry: Duration::from_millis(500),
                password: config.routers[1].peer.as_ref().unwrap().password.clone(),
                ttl_security: true,
                passive: false,
                extended_next_hop: true,
                interface: Some("palier0".into()),
                nodes: vec![0],
                services: vec![0],
                bfd: Some(Bfd { interval: Duration::from_millis(100), multiplier: 4 }),
            }),
        },
        Router { name: "mute".into(), addresses: addresses(&["192.0.2.252"]), peer: None },
    ];
    assert_eq!(config.routers, routers);
    let password = config.routers[1].peer.as_ref().unwrap().password.as_ref().unwrap();
    assert_eq!((password.reveal(), &*format!("{password:?}")), ("s3cret", "Password(..)"));
    let bgp =
        Bgp { local_as: 65_000, port: 1790, restart_time: seconds(40), drain_time: seconds(3) };
    assert_eq!(config.bgp, Some(bgp));
    let l4 = L4 {
        name: "l4-1".into(),
        addresses: addresses(&["192.0.2.132", "2001:db8::c000:284"]),
        tunnel_sources: addresses(&["192.0.2.64/28", "2001:db8:5::/64"]),
        nics: Some(Nics {
            ports: vec!["0000:3b:00.0".into(), "net_tap0,iface=wire0".into()],
            cores: "2-5,8".into(),
            exceptions: vec!["tap:lb0".into(), "vdev:virtio_user0,iface=lb1".into()],
            vlan: Some(100),
            mtu: Some(9000),
            connections: Some(500_000),
            flow_details: true,
            adaptive: true,
        }),
        checks: vec![
            Check {
                kind: Kind::File(File {
                    path: "/etc/lb/ready".into(),
                    content: Content::Words { missing_up: false },
                }),
                timing: Timing {
                    interval: seconds(1),
                    fast_interval: Duration::from_millis(500),
                    ..Timing::default()
                },
            },
            Check {
                kind: Kind::Command(Command {
                    argv: vec!["/usr/bin/test".into(), "-e".into(), "/x".into()],
                    user: "probe".into(),
                    weight_by_exit_code: true,
                }),
                timing: Timing::default(),
            },
        ],
        router_id: Some([192, 0, 2, 1].into()),
    };
    assert_eq!(config.l4, [l4]);
    let l7 = |name: &str, index, address, weight| L7 {
        name: name.into(),
        index,
        addresses: addresses(&[address]),
        weight,
        tunnel: None,
        workers: None,
        checks: vec![],
    };
    let check = |kind| Check { kind, timing: Timing::default() };
    let disable = File { path: "/etc/lb/disable".into(), content: Content::Absent };
    assert_eq!(
        config.l7,
        [
            L7 {
                tunnel: Some(Tunnel {
                    interfaces: vec!["eth0".into(), "bond0.100".into()],
                    hook: Some(Hook::Xdp),
                    only: true,
                    advmss: false,
                }),
                workers: Some(6),
                checks: vec![
                    (check(Kind::Agent(Agent { send: None })), 5555),
                    (check(Kind::File(disable)), 0),
                ],
                ..l7("big-1", 1, "192.0.2.140", 3)
            },
            l7("big-2", 2, "192.0.2.141", 1),
            l7("old", 1023, "192.0.2.142", 1),
            l7("sorry", 4, "192.0.2.143", 1)
        ]
    );
}

#[test]
fn every_key_of_a_service() {
    let service = &good(EVERY_KEY).services[0];
    let expected = Service {
        name: "web".into(),
        vips: addresses(&["198.51.100.0/28", "2001:db8::c633:6401"]),
        protocol: Protocol::Udp,
        ports: Ports::Range(8000, 8999),
        hash: Hash::Source,
        rows: 1009,
        track: false,
        allow: addresses(&["0.0.0.0/0"]),
        deny: addresses(&["203.0.113.0/24"]),
        source_limit: Some(Rate { per_second: 100, burst: 200 }),
        answer_unknown: true,
        // `big-*` gives 5, the name `big-2` more exactly 7; nothing else but the node's own.
        nodes: vec![member(0, 5), member(1, 7)],
        checks: vec![],
        quorum: 3,
        hysteresis: 2,
        on_quorum_loss: QuorumLoss::Sorry(vec![member(3, 9)]),
        alpha: false,
        omega: true,
        on_quorum_up: Some(vec!["/bin/touch".into(), "/up".into()]),
        on_quorum_down: Some(vec!["/bin/rm".into(), "/up".into()]),
        down_hold: Some(seconds(0)),
        drain_timeout: seconds(5),
        announcement: Announcement {
            med: Some(100),
            med_drained: Some(500),
            local_preference: Some(200),
            prepend: 2,
            communities: vec![65_000 << 16 | 100, 0xffff_ff01],
            large_communities: vec![[65_000, 1, 2]],
            aggregates: addresses(&["198.51.100.0/24"]),
            required: false,
        },
    };
    assert_eq!(Service { checks: vec![], ..service.clone() }, expected);
}

#[test]
fn every_key_of_every_check() {
    let ms = Duration::from_millis;
    let checks = &good(EVERY_KEY).services[0].checks;
    let at = |port: u16, direct: bool| (port, direct);
    let http = Http {
        tls: None,
        method: "HEAD".into(),
        path: "/healthcheck?full=1".into(),
        host: Some("www.example.org:8080".into()),
        status: StatusSet(vec![(200, 299), (404, 404)]),
        drain_status: StatusSet(vec![(429, 429), (500, 503)]),
        body: Some(BodyMatch::Contains("ok".into())),
    };
    let tls = |sni: Option<&str>, verify, ca: Option<&str>| Tls {
        sni: sni.map(String::from),
        verify,
        ca: ca.map(PathBuf::from),
    };
    let https = Http {
        tls: Some(tls(Some("example.org"), false, None)),
        method: "GET".into(),
        path: "/".into(),
        host: Some("example.org:8443".into()),
        status: StatusSet(vec![(404, 404)]),
        // 404 is good here, so it does not drain.
        drain_status: StatusSet(vec![(503, 503)]),
        body: Some(BodyMatch::Regex("^ok$".into())),
    };
    let first = [
        (Kind::Http(http), at(8080, false)),
        (Kind::Http(https), at(8000, false)),
        (
            Kind::Tcp(Tcp { send: Some(b"EHLO x\r\n".into()), expect: Some(b"250".into()) }),
            at(25, false),
        ),
        (Kind::Tls(tls(Some("a.example.org"), true, Some("/etc/ca.pem"))), at(993, false)),
        (
            Kind::Dns(Dns {
                name: "example.org.".into(),
                qtype: 28,
                rcodes: vec![0, 3],
                answer: true,
            }),
            at(53, false),
        ),
        (
            Kind::Udp(Udp { payload: vec![0, 0xff, 0x10], expect: Some(b"pong".into()) }),
            at(8000, false),
        ),
        (Kind::Agent(Agent { send: Some(b"state\n".into()) }), at(5555, true)),
        (Kind::Icmp, at(0, true)),
        (Kind::File(File { path: "/{node}".into(), content: Content::Absent }), at(0, true)),
        (
            Kind::Command(Command {
                argv: vec!["/bin/true".into()],
                user: "nobody".into(),
                weight_by_exit_code: false,
            }),
            at(7, true),
        ),
    ];
    let three = |n| NonZeroU32::new(n).unwrap();
    let timing = Timing {
        interval: seconds(4),
        fast_interval: ms(300),
        retry_delay: ms(100),
        timeout: ms(900),
        rise: three(4),
        fall: three(5),
        fall_mode: FallMode::Cumulative { clear_after: three(6) },
        initial: Initial::Down,
    };
    assert_eq!(checks.len(), first.len() + 1);
    for (check, (kind, at)) in checks.iter().zip(first) {
        assert_eq!((&check.check.kind, (check.port, check.direct)), (&kind, at));
        assert_eq!(check.check.timing, timing);
    }
    let second = &checks[10];
    assert_eq!(second.check.kind, Kind::Tcp(Tcp::default()));
    assert_eq!((second.port, second.direct), (8000, true));
    let followed = Timing {
        interval: ms(200),
        fast_interval: ms(200),
        retry_delay: ms(200),
        timeout: ms(200),
        ..Timing::default()
    };
    assert_eq!(second.check.timing, followed);
}

#[test]
fn what_is_not_said_has_a_default() {
    let Config { site, bgp, l4, l7, services, routers, proxy, pools, frontends, .. } = good(LEAST);
    let Config { dns, resolvers, zones, .. } = good(LEAST);
    assert!(dns.is_empty() && zones.is_empty());
    let resolvers: Vec<_> =
        resolvers.iter().map(|one| (one.plugin.name(), one.name.as_str())).collect();
    let built_in = ["dns", "edns", "both", "best"].map(|name| ("reflect", name));
    assert_eq!(resolvers, [&built_in[..], &[("null", "null")]].concat());
    assert_eq!((proxy, pools.len(), frontends.len()), (Proxy::default(), 0, 0));
    assert_eq!(bgp, None);
    assert_eq!(l4[0].router_id, Some([192, 0, 2, 132].into()));
    assert_eq!(site.peering, None);
    assert_eq!((site.reload, site.management), (Reload::Manual, vec![]));
    assert_eq!((site.times, site.limits, site.idle), Default::default());
    assert_eq!(routers, []);
    assert_eq!((&l4[0].tunnel_sources, &l4[0].nics, &l4[0].checks), (&vec![], &None, &vec![]));
    assert_eq!(dataplane_flags(&l4[0]), None);
    let nics = l4[1].nics.clone().unwrap();
    let expected = Nics {
        ports: vec!["3b:00.0".into(), "3b:00.1".into()],
        cores: "2".into(),
        exceptions: vec!["tap:palier0".into(), "tap:palier1".into()],
        vlan: None,
        mtu: None,
        connections: None,
        flow_details: false,
        adaptive: false,
    };
    assert_eq!(nics, expected);
    assert_eq!(l7[0].weight, 1);
    let expected = Service {
        name: "web".into(),
        vips: addresses(&["198.51.100.1"]),
        protocol: Protocol::Tcp,
        ports: Ports::List(vec![80]),
        hash: Hash::FiveTuple,
        rows: 65_537,
        track: true,
        allow: vec![],
        deny: vec![],
        source_limit: None,
        answer_unknown: false,
        nodes: vec![member(0, 1), member(1, 4)],
        checks: vec![],
        quorum: 1,
        hysteresis: 0,
        on_quorum_loss: QuorumLoss::Withdraw,
        alpha: true,
        omega: false,
        on_quorum_up: None,
        on_quorum_down: None,
        down_hold: Some(seconds(10)),
        drain_timeout: seconds(60),
        announcement: Announcement::default(),
    };
    assert_eq!(services[0], expected);
    // The second one takes `down_hold` and `drain_timeout` over where the site says them.
    let text = LEAST.replace("[site]", "[site]\ndown_hold = \"never\"\ndrain_timeout = \"1s\"");
    let service = &good(&text).services[0];
    assert_eq!((service.down_hold, service.drain_timeout), (None, seconds(1)));
}

#[test]
fn defaults_of_each_kind_of_check() {
    let text = |check: &str| format!("{LEAST}{check}\n");
    let kinds = |check: &str| -> Vec<Kind> {
        good(&text(check)).services[0].checks.iter().map(|c| c.check.kind.clone()).collect()
    };
    let http = Http {
        tls: None,
        method: "GET".into(),
        path: "/".into(),
        host: None,
        status: StatusSet(vec![(200, 299)]),
        drain_status: StatusSet(vec![(503, 503), (404, 404)]),
        body: None,
    };
    let tls = Tls { sni: None, verify: true, ca: None };
    assert_eq!(kinds("check.http = true"), [Kind::Http(http.clone())]);
    let https = |host: Option<&str>, sni: Option<&str>| {
        let tls = Tls { sni: sni.map(String::from), ..tls.clone() };
        Kind::Http(Http { host: host.map(String::from), tls: Some(tls), ..http.clone() })
    };
    assert_eq!(kinds("check.https = true"), [https(None, None)]);
    for (host, sni) in [
        ("example.org", Some("example.org")),
        ("example.org:8443", Some("example.org")),
        ("192.0.2.1", None),
        ("192.0.2.1:443", None),
        ("[2001:db8::1]:443", None),
        ("2001:db8::1", None),
    ] {
        let check = format!("check.https.host = \"{host}\"");
        assert_eq!(kinds(&check), [https(Some(host), sni)], "{host}");
    }
    assert_eq!(kinds("check.tls = true"), [Kind::Tls(tls)]);
    assert_eq!(kinds("check.tcp = {}"), [Kind::Tcp(Tcp::default())]);
    assert_eq!(kinds("check.agent.port = 1"), [Kind::Agent(Agent { send: None })]);
    let dns = Dns { name: ".".into(), qtype: 6, rcodes: vec![0], answer: false };
    assert_eq!(kinds("check.dns = true"), [Kind::Dns(dns)]);
    assert_eq!(kinds("check.udp = true"), [Kind::Udp(Udp { payload: vec![], expect: None })]);
    let file = |content| Kind::File(File { path: "/x".into(), content });
    assert_eq!(kinds("check.file.path = \"/x\""), [file(Content::Exists)]);
    let words = "check.file = { path = \"/x\", content = \"words\" }";
    assert_eq!(kinds(words), [file(Content::Words { missing_up: true })]);
    assert_eq!(
        kinds("check.http.drain_status = []"),
        [Kind::Http(Http { drain_status: StatusSet(vec![]), ..http })]
    );
}

#[test]
fn node_lists_are_patterns_and_exceptions_to_them() {
    let nodes = |list: &str| -> Vec<usize> {
        let text = EVERY_KEY.replace("nodes = [\"big-*\"]", &format!("nodes = {list}"));
        assert_ne!(text, EVERY_KEY);
        good(&text).services[0].nodes.iter().map(|member| member.l7).collect()
    };
    assert_eq!(nodes(r#"["old", "big-1", "big-?"]"#), [0, 1, 2]);
    assert_eq!(nodes(r#"["*", "!sorry"]"#), [0, 1, 2]);
    assert_eq!(nodes(r#"["!sorry", "!o*"]"#), [0, 1]);
    assert_eq!(nodes(r#"["!big-1", "big-*"]"#), [1]);
}

#[test]
fn ports_are_a_port_a_list_a_range_or_any() {
    let ports = |ports: &str| {
        good(&LEAST.replace("ports = [80]", &format!("ports = {ports}"))).services[0].ports.clone()
    };
    assert_eq!(ports("443"), Ports::List(vec![443]));
    assert_eq!(ports("[443, 80]"), Ports::List(vec![443, 80]));
    assert_eq!(ports("\"1-65535\""), Ports::Range(1, 65_535));
    assert_eq!(ports("\"any\""), Ports::Any);
}

#[test]
fn what_is_announced_is_the_vip_or_the_aggregate_that_it_lies_in() {
    let announcement = &good(EVERY_KEY).services[0].announcement;
    let prefix = |vip: &str| announcement.prefix(vip.parse().unwrap()).to_string();
    assert_eq!(prefix("198.51.100.0/28"), "198.51.100.0/24");
    assert_eq!(prefix("198.51.100.7"), "198.51.100.0/24");
    assert_eq!(prefix("2001:db8::c633:6401"), "2001:db8::c633:6401");
}

#[test]
fn a_router_says_as_little_as_it_likes() {
    let text = |router: &str| {
        format!("{LEAST}[bgp]\nlocal_as = 65000\n[[router]]\nname = \"r1\"\n{router}\n")
    };
    let peer = |router: &str| good(&text(router)).routers[0].peer.clone().unwrap();
    let one = peer("address = \"192.0.2.254\"\npeer_as = 65000\nbfd = true");
    assert_eq!(one.sessions, [session("192.0.2.254", true, true)], "both families over one");
    assert_eq!((one.local_as, one.hold_time, one.connect_retry), (65_000, seconds(6), seconds(1)));
    assert_eq!(one.bfd, Some(Bfd { interval: Duration::from_millis(300), multiplier: 3 }));
    assert_eq!((one.nodes, one.services), (vec![0, 1], vec![0]));
    let two = peer("addresses = [\"192.0.2.254\", \"2001:db8::fe\"]\npeer_as = 65000");
    let apart = [session("192.0.2.254", true, false), session("2001:db8::fe", false, true)];
    assert_eq!(two.sessions, apart, "each over its own");
    let bgp = good(&text("address = \"192.0.2.254\"")).bgp.unwrap();
    assert_eq!((bgp.port, bgp.restart_time, bgp.drain_time), (179, seconds(30), seconds(5)));
}
