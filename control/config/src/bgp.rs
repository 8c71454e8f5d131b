//! `[bgp]`, and what `[[router]]` and `[[service]]` say of BGP.

use std::net::IpAddr;
use std::time::Duration;

use api::Prefix;

use crate::address;
use crate::duration::DAY;
use crate::members::{self, Kind};
use crate::place::Placed;
use crate::secret::{self, Secrets};
use crate::settings::{Announcement, Bfd, Bgp, Password, Peer, Session};
use crate::table::Table;
use crate::value::Value;

/// The port of RFC 4271.
const PORT: u16 = 179;
/// Longest key of TCP_MD5SIG.
const LONGEST_PASSWORD: usize = 80;
/// Longest hold time: two bytes of seconds.
const LONGEST_HOLD: u64 = u16::MAX as u64;
/// Longest restart time: twelve bits of seconds (RFC 4724).
const LONGEST_RESTART: u64 = 4095;
/// What paths may be lengthened by before routers refuse them.
const LONGEST_PREPEND: u8 = 50;
/// Hold time, if nobody says.
const HOLD: Duration = Duration::from_secs(6);
/// Communities that have names (RFC 1997, 7999).
const WELL_KNOWN: [(&str, u32); 4] = [
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
    ("blackhole", 0xffff_029a),
];

/// What routers take over from `[bgp]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    local_as: Option<u32>,
    hold_time: Duration,
    connect_retry: Duration,
}

/// `[bgp]`; `Defaults` where there is none, too.
pub(crate) fn read(table: Option<Table<'_>>) -> (Option<Bgp>, Defaults) {
    let seconds = Duration::from_secs;
    let Some(table) = table else {
        return (None, Defaults { local_as: None, hold_time: HOLD, connect_retry: seconds(1) });
    };
    let mut table = table.called("bgp");
    let local_as = table.required("local_as", autonomous_system);
    let defaults = Defaults {
        // Whatever is wrong was told.
        local_as: local_as.or(Some(1)),
        hold_time: table.or("hold_time", HOLD, hold_time),
        connect_retry: table.or("connect_retry", seconds(1), connect_retry),
    };
    let bgp = Bgp {
        local_as: local_as.unwrap_or(1),
        port: table.or("port", PORT, Value::port),
        restart_time: table.or("restart_time", seconds(30), |value| {
            whole_seconds(value, Duration::ZERO..=seconds(LONGEST_RESTART))
        }),
        drain_time: table
            .or("drain_time", seconds(5), |value| value.duration(Duration::ZERO..=DAY)),
    };
    table.finish();
    (Some(bgp), defaults)
}

/// Nodes and services that routers may speak with and of: their names, in the order of the file.
pub(crate) struct Everyone<'a> {
    /// L4 nodes.
    pub(crate) l4: Vec<&'a str>,
    /// Services.
    pub(crate) services: Vec<&'a str>,
}

/// What a `[[router]]` at these addresses says of BGP: nothing without `peer_as`.
pub(crate) fn peer(
    table: &mut Table<'_>,
    addresses: &[Placed<IpAddr>],
    defaults: Defaults,
    everyone: &Everyone<'_>,
    secrets: &dyn Secrets,
) -> Option<Peer> {
    const KEYS: [&str; 12] = [
        "local_as",
        "hold_time",
        "connect_retry",
        "password",
        "ttl_security",
        "passive",
        "extended_next_hop",
        "interface",
        "families",
        "nodes",
        "services",
        "bfd",
    ];
    let Some(peer_as) = table.take("peer_as") else {
        table.refuse(&KEYS, "this is of no use without `peer_as`");
        return None;
    };
    if defaults.local_as.is_none() {
        peer_as.problem("this is of no use without [bgp], which has the site's `local_as`");
    }
    let default_as = defaults.local_as.unwrap_or(1);
    let interface = table.optional("interface", |value| {
        value.text_that("the name of an interface", |name| {
            (1..16).contains(&name.len()) && !name.contains(['/', ' ', '\0'])
        })
    });
    let passive = table.or("passive", false, Value::boolean);
    let of_link =
        |one: &&Placed<IpAddr>| matches!(one.value, IpAddr::V6(v6) if v6.is_unicast_link_local());
    for Placed { value: address, place } in addresses.iter().filter(of_link) {
        if interface.is_none() && table.peek("interface").is_none() {
            let text = format!("{address} is of a link alone: `interface` says of which");
            table.problem_at(place, text);
        }
        if passive {
            let text = format!(
                "{address} is of a link alone: nobody listens for it there, so `passive` cannot be"
            );
            table.problem_at(place, text);
        }
    }
    let all = |names: &[&str]| (0..names.len()).collect::<Vec<_>>();
    let chosen = |names: &[&str], kind: Kind, value: &Value<'_>| {
        members::select(value, names, kind).map(|chosen| chosen.into_iter().collect())
    };
    Some(Peer {
        peer_as: autonomous_system(&peer_as).unwrap_or(1),
        local_as: table.or("local_as", default_as, autonomous_system),
        sessions: sessions(table, addresses),
        hold_time: table.or("hold_time", defaults.hold_time, hold_time),
        connect_retry: table.or("connect_retry", defaults.connect_retry, connect_retry),
        password: table.optional("password", |value| password(value, secrets)),
        ttl_security: table.or("ttl_security", false, Value::boolean),
        passive,
        extended_next_hop: table.or("extended_next_hop", false, Value::boolean),
        interface,
        nodes: table.or("nodes", all(&everyone.l4), |value| chosen(&everyone.l4, Kind::L4, value)),
        services: table.or("services", all(&everyone.services), |value| {
            chosen(&everyone.services, Kind::Service, value)
        }),
        bfd: table.optional("bfd", bfd),
    })
}

/// A session per address. A router with one address is told of both families over it, one with an
/// address of each over its own, unless `families` says otherwise.
fn sessions(table: &mut Table<'_>, addresses: &[Placed<IpAddr>]) -> Vec<Session> {
    let families = table.optional("families", |value| {
        let families = value.some(|family| family.choice(&[("ipv4", false), ("ipv6", true)]))?;
        Some(families.into_iter().map(|family| family.value).collect::<Vec<_>>())
    });
    // What was wrong with all of them was told.
    let families = families.filter(|families| !families.is_empty());
    let has = |ipv6: bool| addresses.iter().any(|address| address.value.is_ipv6() == ipv6);
    let both = has(false) && has(true);
    let session = |address: &Placed<IpAddr>| {
        let carries = |ipv6: bool| match &families {
            Some(families) => {
                families.contains(&ipv6) && (!both || address.value.is_ipv6() == ipv6)
            }
            None => !both || address.value.is_ipv6() == ipv6,
        };
        Session { address: address.value, ipv4: carries(false), ipv6: carries(true) }
    };
    addresses.iter().map(session).filter(|session| session.ipv4 || session.ipv6).collect()
}

fn autonomous_system(value: &Value<'_>) -> Option<u32> {
    // AS_TRANS and the last of each range are nobody's (RFC 6793, 7300).
    let number = value.number(1..=u32::MAX - 1)?;
    if matches!(number, 23_456 | 65_535) {
        return value.is_not("an autonomous system: it is reserved");
    }
    Some(number)
}

fn hold_time(value: &Value<'_>) -> Option<Duration> {
    let time = whole_seconds(value, Duration::ZERO..=Duration::from_secs(LONGEST_HOLD))?;
    match time.as_secs() {
        1 | 2 => value.is_not("a hold time: it is 0s, or 3s and more"),
        _ => Some(time),
    }
}

fn connect_retry(value: &Value<'_>) -> Option<Duration> {
    value.duration(Duration::from_millis(100)..=Duration::from_secs(600))
}

fn whole_seconds(value: &Value<'_>, range: std::ops::RangeInclusive<Duration>) -> Option<Duration> {
    let time = value.duration(range)?;
    if time.subsec_nanos() == 0 { Some(time) } else { value.is_not("a duration of whole seconds") }
}

fn password(value: &Value<'_>, secrets: &dyn Secrets) -> Option<Password> {
    let password = secret::read(value, secrets)?;
    if (1..=LONGEST_PASSWORD).contains(&password.len()) {
        return Some(Password(password));
    }
    value.secret_is_not(format!("a key of TCP MD5 signatures: 1 to {LONGEST_PASSWORD} bytes"))
}

/// `true`, or `{ interval = "100ms", multiplier = 3 }`
fn bfd(value: &Value<'_>) -> Option<Bfd> {
    let mut table = value.options()?;
    let millis = Duration::from_millis;
    let bfd = Bfd {
        interval: table
            .or("interval", millis(300), |value| value.duration(millis(50)..=millis(60_000))),
        multiplier: table.or("multiplier", 3, |value| value.number(2..=50)),
    };
    table.finish();
    Some(bfd)
}

/// What a `[[service]]` with these VIPs says of BGP, and where its aggregates stand.
pub(crate) fn announcement(table: &mut Table<'_>, vips: &[Placed<Prefix>]) -> Announcement {
    let Some(mut table) = table.optional("bgp", Value::table) else {
        return Announcement::default();
    };
    let any = 0..=u32::MAX;
    let announcement = Announcement {
        med: table.optional("med", |value| value.number(any.clone())),
        med_drained: table.optional("med_drained", |value| value.number(any.clone())),
        local_preference: table.optional("local_preference", |value| value.number(any.clone())),
        prepend: table.or("prepend", 0, |value| value.number(0..=LONGEST_PREPEND)),
        communities: table.or("communities", vec![], |value| value.set(community)),
        large_communities: table
            .or("large_communities", vec![], |value| value.set(large_community)),
        aggregates: table.or("aggregate", vec![], |value| aggregates(value, vips)),
        required: table.or("required", true, Value::boolean),
    };
    table.finish();
    announcement
}

fn community(value: &Value<'_>) -> Option<u32> {
    let expected = || {
        let named: Vec<_> = WELL_KNOWN.iter().map(|(name, _)| *name).collect();
        format!("a community: \"65000:100\", or {}", crate::value::listed(&named))
    };
    let text = value.text(&expected())?;
    if let Some((_, known)) = WELL_KNOWN.iter().find(|(name, _)| *name == text) {
        return Some(*known);
    }
    let parts = text.split_once(':').and_then(|(high, low)| {
        Some((u32::from(high.parse::<u16>().ok()?) << 16) | u32::from(low.parse::<u16>().ok()?))
    });
    match parts {
        Some(0xffff_0000) => {
            value.problem("65535:0 is sent when a node leaves, and only then");
            None
        }
        Some(community) => Some(community),
        None => value.is_not(expected()),
    }
}

fn large_community(value: &Value<'_>) -> Option<[u32; 3]> {
    const EXPECTED: &str = "a large community, such as \"65000:1:100\"";
    let text = value.text(EXPECTED)?;
    let parts: Option<Vec<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
    let community = parts.and_then(|parts| <[u32; 3]>::try_from(parts).ok());
    community.or_else(|| value.is_not(EXPECTED))
}

/// A prefix or several, in which all VIPs of their families lie.
fn aggregates(value: &Value<'_>, vips: &[Placed<Prefix>]) -> Option<Vec<Prefix>> {
    let aggregates: Vec<Prefix> = if value.raw().is_array() {
        value.some(address::routable)?.into_iter().map(|prefix| prefix.value).collect()
    } else {
        vec![address::routable(value)?]
    };
    for ipv6 in [false, true] {
        let family: Vec<_> =
            aggregates.iter().filter(|prefix| prefix.address().is_ipv6() == ipv6).collect();
        let vips = vips.iter().map(|vip| vip.value).filter(|vip| vip.address().is_ipv6() == ipv6);
        let outside = |vip: &Prefix| {
            !family.iter().any(|all| all.length() <= vip.length() && all.contains(vip.address()))
        };
        let mut outside = vips.filter(outside);
        if let (Some(vip), false) = (outside.next(), family.is_empty()) {
            let family: Vec<_> = family.iter().map(ToString::to_string).collect();
            value.problem(format!("{vip} is outside of {}", family.join(" and ")));
        }
    }
    Some(aggregates)
}
