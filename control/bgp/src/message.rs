//! What this speaker says, as bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::{
    BgpCapability, ExtendedNextHopEncoding, ExtendedNextHopEncodingCapability,
    FourOctetAsCapability, GracefulRestartAddressFamily, GracefulRestartCapability,
    MultiProtocolExtensionsCapability,
};
use netgauze_bgp_pkt::community::{Community, LargeCommunity};
use netgauze_bgp_pkt::nlri::{Ipv4Unicast, Ipv4UnicastAddress, Ipv6Unicast, Ipv6UnicastAddress};
use netgauze_bgp_pkt::open::{BgpOpenMessage, BgpOpenMessageParameter};
use netgauze_bgp_pkt::path_attribute::{
    As4PathSegment, AsPath, AsPathSegmentType, Communities, LargeCommunities, LocalPreference,
    MpReach, MpUnreach, MultiExitDiscriminator, NextHop, Origin, PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_iana::address_family::{AddressFamily, AddressType};
use netgauze_parse_utils::WritablePdu;

use crate::settings::{Attributes, Families, Neighbor, Route};

/// Prefixes of a message: 4096 bytes less header and the longest attributes that a site may ask for, by
/// the 17 bytes of an IPv6 prefix.
const PREFIXES: usize = 128;
/// LOCAL_PREF where nobody says.
const LOCAL_PREFERENCE: u32 = 100;
/// What stands in two bytes for an autonomous system that has four (RFC 6793).
const AS_TRANS: u16 = 23_456;

/// KEEPALIVE.
pub(crate) fn keepalive() -> Vec<u8> {
    bytes(&BgpMessage::KeepAlive)
}

/// What an OPEN says of graceful restart (RFC 4724).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    /// The process was started anew.
    pub(crate) restarted: bool,
    /// It found the forwarder at work.
    pub(crate) preserved: bool,
}

/// OPEN.
pub(crate) fn open(neighbor: &Neighbor, restart: Restart) -> Vec<u8> {
    let Neighbor { local_as, hold_time, router_id, families, .. } = neighbor;
    let of = |families: Families| -> Vec<AddressType> {
        let v4 = families.ipv4.then_some(AddressType::Ipv4Unicast);
        v4.into_iter().chain(families.ipv6.then_some(AddressType::Ipv6Unicast)).collect()
    };
    let mut capabilities: Vec<BgpCapability> = of(*families)
        .into_iter()
        .map(|family| {
            let family = MultiProtocolExtensionsCapability::new(family);
            BgpCapability::MultiProtocolExtensions(family)
        })
        .collect();
    capabilities.push(BgpCapability::RouteRefresh);
    capabilities.push(BgpCapability::FourOctetAs(FourOctetAsCapability::new(*local_as)));
    let restart_time = seconds(neighbor.restart_time).min(4095);
    if restart_time > 0 {
        let kept = of(*families);
        let kept =
            kept.into_iter().map(|f| GracefulRestartAddressFamily::new(restart.preserved, f));
        // Without the N bit of RFC 8538: a Cease of ours means what it says.
        capabilities.push(BgpCapability::GracefulRestartCapability(
            GracefulRestartCapability::new(
                restart.restarted,
                false,
                restart_time,
                kept.collect::<Vec<_>>(),
            ),
        ));
    }
    if neighbor.extended_next_hop && families.ipv4 {
        let over_v6 = ExtendedNextHopEncoding::new(AddressType::Ipv4Unicast, AddressFamily::IPv6);
        let over_v6 = ExtendedNextHopEncodingCapability::new(vec![over_v6]);
        capabilities.push(BgpCapability::ExtendedNextHopEncoding(over_v6));
    }
    bytes(&BgpMessage::Open(BgpOpenMessage::new(
        u16::try_from(*local_as).unwrap_or(AS_TRANS),
        seconds(*hold_time),
        *router_id,
        vec![BgpOpenMessageParameter::new_capabilities(capabilities)],
    )))
}

fn seconds(time: std::time::Duration) -> u16 {
    u16::try_from(time.as_secs()).unwrap_or(u16::MAX)
}

/// How the routes of a session are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style<'a> {
    pub(crate) neighbor: &'a Neighbor,
    /// IPv4 routes have an IPv6 next hop: both ends can.
    pub(crate) over_v6: bool,
}

impl Style<'_> {
    /// Whether there is a next hop for a route.
    pub(crate) fn can(&self, prefix: &IpNet) -> bool {
        let hops = &self.neighbor.next_hops;
        let v6 = hops.v6.or(hops.link_local).is_some();
        match prefix {
            IpNet::V4(_) => hops.v4.is_some() || (self.over_v6 && v6),
            IpNet::V6(_) => v6,
        }
    }

    /// Whether an IPv4 route goes in MP_REACH_NLRI: over a link that has IPv6 alone, or asked for.
    fn v4_over_v6(&self) -> bool {
        let hops = &self.neighbor.next_hops;
        self.over_v6 && hops.v6.or(hops.link_local).is_some()
    }

    /// UPDATEs that announce these: a few for many of the same attributes.
    pub(crate) fn announce<'r>(&self, routes: impl Iterator<Item = &'r Route>) -> Vec<Vec<u8>> {
        let mut alike: BTreeMap<(bool, &Arc<Attributes>), Vec<IpNet>> = BTreeMap::new();
        for route in routes.filter(|route| self.can(&route.prefix)) {
            let v6 = matches!(route.prefix, IpNet::V6(_));
            alike.entry((v6, &route.attributes)).or_default().push(route.prefix);
        }
        let mut messages = Vec::new();
        for ((_, attributes), prefixes) in alike {
            for prefixes in prefixes.chunks(PREFIXES) {
                messages.push(self.update(attributes, prefixes));
            }
        }
        messages
    }

    fn update(&self, attributes: &Attributes, prefixes: &[IpNet]) -> Vec<u8> {
        let (v4, v6) = split(prefixes);
        let mut path = self.path(attributes);
        let hops = self.neighbor.next_hops;
        let global = hops.v6.or(hops.link_local);
        if !v6.is_empty()
            && let Some(next_hop_global) = global
        {
            path.push(optional(PathAttributeValue::MpReach(MpReach::Ipv6Unicast {
                next_hop_global,
                next_hop_local: hops.link_local.filter(|_| hops.v6.is_some()),
                nlri: v6.into(),
            })));
        }
        if !v4.is_empty() && self.v4_over_v6() {
            if let Some(next_hop) = global {
                path.push(optional(PathAttributeValue::MpReach(MpReach::Ipv4Unicast {
                    next_hop: IpAddr::V6(next_hop),
                    next_hop_local: hops.link_local.filter(|_| hops.v6.is_some()),
                    nlri: v4.into(),
                })));
            }
            return bytes(&BgpMessage::Update(BgpUpdateMessage::new(vec![], path, vec![])));
        }
        if !v4.is_empty()
            && let Some(next_hop) = hops.v4
        {
            // In the order of the types, as RFC 4271 asks (section 5, appendix F.3).
            path.insert(2, well_known(PathAttributeValue::NextHop(NextHop::new(next_hop))));
        }
        bytes(&BgpMessage::Update(BgpUpdateMessage::new(vec![], path, v4)))
    }

    /// All but next hop and prefixes; ORIGIN and AS_PATH are the first two.
    fn path(&self, attributes: &Attributes) -> Vec<PathAttribute> {
        let Attributes { med, local_pref, prepend, communities, large_communities } = attributes;
        let internal = self.neighbor.is_internal();
        let length = usize::from(*prepend) + usize::from(!internal);
        let segments = match length {
            0 => vec![],
            length => vec![As4PathSegment::new(
                AsPathSegmentType::AsSequence,
                vec![self.neighbor.local_as; length],
            )],
        };
        let mut path = vec![
            well_known(PathAttributeValue::Origin(Origin::IGP)),
            well_known(PathAttributeValue::AsPath(AsPath::As4PathSegments(segments.into()))),
        ];
        if let Some(med) = med {
            let med = MultiExitDiscriminator::new(*med);
            path.push(optional(PathAttributeValue::MultiExitDiscriminator(med)));
        }
        if internal {
            let preference = LocalPreference::new(local_pref.unwrap_or(LOCAL_PREFERENCE));
            path.push(well_known(PathAttributeValue::LocalPreference(preference)));
        }
        if !communities.is_empty() {
            let all: Vec<_> = communities.iter().map(|&one| Community::new(one)).collect();
            path.push(transitive(PathAttributeValue::Communities(Communities::new(all))));
        }
        if !large_communities.is_empty() {
            let large = |&(a, b, c): &(u32, u32, u32)| LargeCommunity::new(a, b, c);
            let all: Vec<_> = large_communities.iter().map(large).collect();
            path.push(transitive(PathAttributeValue::LargeCommunities(LargeCommunities::new(all))));
        }
        path
    }

    /// UPDATEs that take these back.
    pub(crate) fn withdraw(&self, prefixes: &[IpNet]) -> Vec<Vec<u8>> {
        let (v4, v6) = split(prefixes);
        let mut messages = Vec::new();
        for chunk in v4.chunks(PREFIXES) {
            let update = if self.v4_over_v6() {
                let nlri = chunk.into();
                let gone = optional(PathAttributeValue::MpUnreach(MpUnreach::Ipv4Unicast { nlri }));
                BgpUpdateMessage::new(vec![], vec![gone], vec![])
            } else {
                BgpUpdateMessage::new(chunk.to_vec(), vec![], vec![])
            };
            messages.push(bytes(&BgpMessage::Update(update)));
        }
        for chunk in v6.chunks(PREFIXES) {
            let nlri = chunk.into();
            let gone = optional(PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri }));
            let update = BgpUpdateMessage::new(vec![], vec![gone], vec![]);
            messages.push(bytes(&BgpMessage::Update(update)));
        }
        messages
    }
}

/// End-of-RIB of each family (RFC 4724, 2).
pub(crate) fn end_of_rib(families: Families) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    if families.ipv4 {
        let update = BgpUpdateMessage::new(vec![], vec![], vec![]);
        messages.push(bytes(&BgpMessage::Update(update)));
    }
    if families.ipv6 {
        let none = MpUnreach::Ipv6Unicast { nlri: vec![].into() };
        let none = optional(PathAttributeValue::MpUnreach(none));
        let update = BgpUpdateMessage::new(vec![], vec![none], vec![]);
        messages.push(bytes(&BgpMessage::Update(update)));
    }
    messages
}

fn split(prefixes: &[IpNet]) -> (Vec<Ipv4UnicastAddress>, Vec<Ipv6UnicastAddress>) {
    let v4 = |net: Ipv4Net| Ipv4Unicast::from_net(net).ok().map(Ipv4UnicastAddress::new_no_path_id);
    let v6 = |net: Ipv6Net| Some(Ipv6UnicastAddress::new(None, Ipv6Unicast::from_net(net).ok()?));
    let (mut all_v4, mut all_v6) = (Vec::new(), Vec::new());
    for prefix in prefixes {
        match *prefix {
            IpNet::V4(net) => all_v4.extend(v4(net)),
            IpNet::V6(net) => all_v6.extend(v6(net)),
        }
    }
    (all_v4, all_v6)
}

fn well_known(value: PathAttributeValue) -> PathAttribute {
    attribute(false, true, value)
}

fn optional(value: PathAttributeValue) -> PathAttribute {
    attribute(true, false, value)
}

fn transitive(value: PathAttributeValue) -> PathAttribute {
    attribute(true, true, value)
}

fn attribute(optional: bool, transitive: bool, value: PathAttributeValue) -> PathAttribute {
    // More than 255 bytes take the long form of the length.
    let extended = match &value {
        PathAttributeValue::MpReach(_)
        | PathAttributeValue::MpUnreach(_)
        | PathAttributeValue::Communities(_)
        | PathAttributeValue::LargeCommunities(_)
        | PathAttributeValue::AsPath(_) => true,
        _ => false,
    };
    PathAttribute::from(optional, transitive, false, extended, value)
        .expect("the flags above are those of the attributes")
}

fn bytes(message: &BgpMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.write(&mut bytes).expect("what is written here is shorter than a message may be");
    bytes
}

#[cfg(test)]
mod tests;
