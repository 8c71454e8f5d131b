//! Which service takes which port of a VIP.

use std::collections::BTreeMap;

use api::{Ports, Prefix};

use crate::place::{Findings, Place};
use crate::service::Entry;

/// Ports of a VIP that a service claims.
struct Claim<'e> {
    first: u16,
    last: u16,
    service: &'e str,
    place: &'e Place,
}

/// How exactly a port is claimed, the most exact first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    Port,
    Range,
    Any,
}

/// Two services may not claim one port of one VIP in the same way: a single port goes before a range, a
/// range before `any`, but nothing decides between two of a kind.
pub(super) fn check(services: &[Entry], findings: &Findings) {
    let mut claims: BTreeMap<(Prefix, u8, Exactness), Vec<Claim<'_>>> = BTreeMap::new();
    for entry in services {
        let protocol = entry.service.protocol.number();
        for vip in &entry.vips {
            for (exactness, first, last) in ranges(&entry.service.ports) {
                let claim = Claim { first, last, service: &entry.name.value, place: &vip.place };
                claims.entry((vip.value, protocol, exactness)).or_default().push(claim);
            }
        }
    }
    for ((vip, ..), mut claims) in claims {
        // Stable: of two that begin alike, the one that stands first in the file had it first.
        claims.sort_by_key(|claim| claim.first);
        let mut reaching: Option<&Claim<'_>> = None;
        for claim in &claims {
            if let Some(other) = reaching.filter(|other| claim.first <= other.last) {
                let port = match (claim.first, claim.last) {
                    (0, u16::MAX) => "any port".into(),
                    (port, _) => format!("port {port}"),
                };
                let text = format!("service {} takes {port} of {vip} already", other.service);
                findings.add(claim.place, text);
            }
            // The claim that reaches furthest: a wide range overlaps more than its neighbor.
            if reaching.is_none_or(|other| other.last < claim.last) {
                reaching = Some(claim);
            }
        }
    }
}

fn ranges(ports: &Ports) -> Vec<(Exactness, u16, u16)> {
    match ports {
        Ports::List(ports) => ports.iter().map(|&port| (Exactness::Port, port, port)).collect(),
        &Ports::Range(port, last) if port == last => vec![(Exactness::Port, port, port)],
        &Ports::Range(first, last) => vec![(Exactness::Range, first, last)],
        Ports::Any => vec![(Exactness::Any, 0, u16::MAX)],
    }
}
