//! UPDATE: routes (RFC 4271 4.3, 4760, 6793, 8950), as few messages as hold them.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::community::{Community, LargeCommunity};
use netgauze_bgp_pkt::nlri::{Ipv4Unicast, Ipv4UnicastAddress, Ipv6Unicast, Ipv6UnicastAddress};
use netgauze_bgp_pkt::path_attribute::{
    As2PathSegment, As4Path, As4PathSegment, AsPath, AsPathSegmentType, Communities,
    LargeCommunities, LocalPreference, MpReach, MpUnreach, MultiExitDiscriminator, NextHop, Origin,
    PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_parse_utils::WritablePdu;

use super::open::AS_TRANS;
use super::{MAX, Malformed};
use crate::settings::{Attributes, Families, Neighbor, NextHops};

/// LOCAL_PREF where none is configured: everybody's default.
const LOCAL_PREF: u32 = 100;

/// Checks what may reset a session: that the lengths fit (RFC 7606 3). Attributes and routes are not
/// looked at, so nothing in them can do harm.
pub(super) fn check(body: &[u8]) -> Result<(), Malformed> {
    let field = |bytes: &[u8]| -> Option<usize> {
        let length = bytes.first_chunk::<2>()?;
        Some(2 + usize::from(u16::from_be_bytes(*length)))
    };
    let skip = || {
        let withdrawn = field(body)?;
        let attributes = field(body.get(withdrawn..)?)?;
        body.get(withdrawn + attributes..)
    };
    skip().map(|_routes| ()).ok_or(Malformed::Update)
}

/// Writes routes as one neighbor understands them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoder {
    local_as: u32,
    internal: bool,
    next_hops: NextHops,
    four_octet_as: bool,
    /// IPv4 goes with an IPv6 next hop.
    extended_next_hop: bool,
    families: Families,
}

/// Prefixes of one family.
#[derive(Debug)]
enum Nlri {
    V4(Vec<Ipv4UnicastAddress>),
    V6(Vec<Ipv6UnicastAddress>),
}

impl Encoder {
    /// For a neighbor with which this was agreed.
    pub(crate) fn new(
        neighbor: &Neighbor,
        agreed: Families,
        four_octet_as: bool,
        extended_next_hop: bool,
    ) -> Self {
        let next_hops = neighbor.next_hops;
        let any_v6 = next_hops.v6.or(next_hops.link_local).is_some();
        let extended_next_hop = extended_next_hop && any_v6;
        // What has no next hop cannot be announced.
        let families = agreed.intersection(Families {
            ipv4: next_hops.v4.is_some() || extended_next_hop,
            ipv6: any_v6,
        });
        Self {
            local_as: neighbor.local_as,
            internal: neighbor.is_internal(),
            next_hops,
            four_octet_as,
            extended_next_hop,
            families,
        }
    }

    /// Whether a route can be sent at all: a unicast prefix, and attributes that leave room for it.
    pub(crate) fn can_send(&self, prefix: IpNet, attributes: &Attributes) -> bool {
        let unicast = match prefix.trunc() {
            IpNet::V4(net) => !net.addr().is_multicast() && !net.addr().is_broadcast(),
            IpNet::V6(net) => !net.addr().is_multicast(),
        };
        unicast && self.families.contain(prefix) && self.room(prefix, attributes) >= size(prefix)
    }

    /// Messages that announce the prefixes, all of one family.
    pub(crate) fn announce(&self, prefixes: &[IpNet], attributes: &Attributes) -> Vec<Vec<u8>> {
        let Some(&first) = prefixes.first() else { return Vec::new() };
        let room = self.room(first, attributes);
        packed(prefixes, room)
            .map(|prefixes| encode(&self.announcement(nlri(prefixes, first), attributes)))
            .collect()
    }

    /// Messages that withdraw the prefixes, all of one family.
    pub(crate) fn withdraw(&self, prefixes: &[IpNet]) -> Vec<Vec<u8>> {
        let Some(&first) = prefixes.first() else { return Vec::new() };
        let room = MAX - self.withdrawal(nlri(&[], first)).len() - EXTENSION;
        packed(prefixes, room)
            .map(|prefixes| encode(&self.withdrawal(nlri(prefixes, first))))
            .collect()
    }

    /// End-of-RIB of each family that was agreed on (RFC 4724 2).
    pub(crate) fn end_of_rib(agreed: Families) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        if agreed.ipv4 {
            messages.push(encode(&update(vec![], vec![], vec![])));
        }
        if agreed.ipv6 {
            let none = PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri: [].into() });
            messages.push(encode(&update(vec![], vec![optional(none)], vec![])));
        }
        messages
    }

    /// Bytes that are left for prefixes of this one's family.
    fn room(&self, prefix: IpNet, attributes: &Attributes) -> usize {
        let empty = self.announcement(nlri(&[], prefix), attributes);
        MAX.saturating_sub(empty.len() + EXTENSION)
    }

    fn announcement(&self, nlri: Nlri, attributes: &Attributes) -> BgpMessage {
        let mut all = vec![well_known(PathAttributeValue::Origin(Origin::IGP))];
        all.extend(self.as_path(attributes));
        let mut routes = vec![];
        let reach = match nlri {
            Nlri::V4(nlri) => match (self.next_hops.v4, self.extended()) {
                (_, Some((next_hop, next_hop_local))) => Some(MpReach::Ipv4Unicast {
                    next_hop: IpAddr::V6(next_hop),
                    next_hop_local,
                    nlri: nlri.into(),
                }),
                (Some(next_hop), None) => {
                    all.push(well_known(PathAttributeValue::NextHop(NextHop::new(next_hop))));
                    routes = nlri;
                    None
                }
                (None, None) => None,
            },
            Nlri::V6(nlri) => self.next_hop_v6().map(|(next_hop_global, next_hop_local)| {
                MpReach::Ipv6Unicast { next_hop_global, next_hop_local, nlri: nlri.into() }
            }),
        };
        if let Some(med) = attributes.med {
            let med = MultiExitDiscriminator::new(med);
            all.push(optional(PathAttributeValue::MultiExitDiscriminator(med)));
        }
        if self.internal {
            let preference = LocalPreference::new(attributes.local_pref.unwrap_or(LOCAL_PREF));
            all.push(well_known(PathAttributeValue::LocalPreference(preference)));
        }
        if !attributes.communities.is_empty() {
            let communities: Vec<_> =
                attributes.communities.iter().map(|&value| Community::new(value)).collect();
            all.push(transitive(PathAttributeValue::Communities(Communities::new(communities))));
        }
        // After the others: it is the one that grows.
        all.extend(reach.map(|reach| optional(PathAttributeValue::MpReach(reach))));
        if !attributes.large_communities.is_empty() {
            let communities: Vec<_> = attributes
                .large_communities
                .iter()
                .map(|&(admin, one, two)| LargeCommunity::new(admin, one, two))
                .collect();
            let communities = LargeCommunities::new(communities);
            all.push(transitive(PathAttributeValue::LargeCommunities(communities)));
        }
        update(vec![], all, routes)
    }

    fn withdrawal(&self, nlri: Nlri) -> BgpMessage {
        let unreach = match nlri {
            // What was announced in MP_REACH_NLRI is withdrawn in MP_UNREACH_NLRI.
            Nlri::V4(nlri) if self.extended().is_some() => {
                MpUnreach::Ipv4Unicast { nlri: nlri.into() }
            }
            Nlri::V4(nlri) => return update(nlri, vec![], vec![]),
            Nlri::V6(nlri) => MpUnreach::Ipv6Unicast { nlri: nlri.into() },
        };
        update(vec![], vec![optional(PathAttributeValue::MpUnreach(unreach))], vec![])
    }

    /// The path: nobody but us, as often as is wished. A segment holds 255. Within the AS it is empty:
    /// there its own number is a loop (RFC 4271 sections 5.1.2, 9.1.2).
    fn as_path(&self, attributes: &Attributes) -> Vec<PathAttribute> {
        let own = if self.internal { 0 } else { 1 + usize::from(attributes.prepend) };
        let path = vec![self.local_as; own];
        let sequence = AsPathSegmentType::AsSequence;
        let fours: Vec<_> = path.chunks(255).map(|s| As4PathSegment::new(sequence, s)).collect();
        if self.four_octet_as {
            return vec![well_known(PathAttributeValue::AsPath(AsPath::As4PathSegments(
                fours.into(),
            )))];
        }
        // RFC 6793 4.2.2: who reads two octets gets AS_TRANS, and hands on the truth unread.
        let short = u16::try_from(self.local_as);
        let twos: Vec<_> = path
            .chunks(255)
            .map(|s| As2PathSegment::new(sequence, vec![short.unwrap_or(AS_TRANS); s.len()]))
            .collect();
        let mut attributes =
            vec![well_known(PathAttributeValue::AsPath(AsPath::As2PathSegments(twos.into())))];
        if short.is_err() && own > 0 {
            attributes.push(transitive(PathAttributeValue::As4Path(As4Path::new(fours))));
        }
        attributes
    }

    fn next_hop_v6(&self) -> Option<(Ipv6Addr, Option<Ipv6Addr>)> {
        match (self.next_hops.v6, self.next_hops.link_local) {
            (Some(global), link_local) => Some((global, link_local)),
            // On a network without global addresses the link-local one stands alone.
            (None, Some(link_local)) => Some((link_local, None)),
            (None, None) => None,
        }
    }

    fn extended(&self) -> Option<(Ipv6Addr, Option<Ipv6Addr>)> {
        if self.extended_next_hop { self.next_hop_v6() } else { None }
    }
}

/// An attribute's length has one octet more once it is filled.
const EXTENSION: usize = 1;

/// Bytes of a prefix in a message.
fn size(prefix: IpNet) -> usize {
    1 + usize::from(prefix.prefix_len().div_ceil(8))
}

/// Splits prefixes into runs that fit into `room` bytes each.
fn packed(mut prefixes: &[IpNet], room: usize) -> impl Iterator<Item = &[IpNet]> {
    std::iter::from_fn(move || {
        let mut used = 0;
        let fits = |prefix: &&IpNet| {
            used += size(**prefix);
            used <= room
        };
        let count = prefixes.iter().take_while(fits).count();
        // A prefix for which there is no room was not let in by `can_send`.
        let (run, rest) = prefixes.split_at(count);
        prefixes = rest;
        (!run.is_empty()).then_some(run)
    })
}

/// Of prefixes that are of the same family as `of`.
fn nlri(prefixes: &[IpNet], of: IpNet) -> Nlri {
    match of {
        IpNet::V4(_) => {
            let v4 = prefixes.iter().filter_map(|prefix| match prefix.trunc() {
                IpNet::V4(net) => Ipv4Unicast::from_net(net).ok(),
                IpNet::V6(_) => None,
            });
            Nlri::V4(v4.map(Ipv4UnicastAddress::new_no_path_id).collect())
        }
        IpNet::V6(_) => {
            let v6 = prefixes.iter().filter_map(|prefix| match prefix.trunc() {
                IpNet::V6(net) => Ipv6Unicast::from_net(net).ok(),
                IpNet::V4(_) => None,
            });
            Nlri::V6(v6.map(|net| Ipv6UnicastAddress::new(None, net)).collect())
        }
    }
}

fn update(
    withdrawn: Vec<Ipv4UnicastAddress>,
    attributes: Vec<PathAttribute>,
    routes: Vec<Ipv4UnicastAddress>,
) -> BgpMessage {
    BgpMessage::Update(BgpUpdateMessage::new(withdrawn, attributes, routes))
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
    let build = |extended, value| {
        PathAttribute::from(optional, transitive, false, extended, value)
            .expect("flags are those of the attribute's RFC")
    };
    let short = build(false, value);
    // Flags, type, length of one octet: 3 bytes beside the value.
    if short.len() <= 3 + 255 { short } else { build(true, short.value().clone()) }
}

fn encode(message: &BgpMessage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len());
    message.write(&mut bytes).expect("a vector takes all");
    debug_assert!(bytes.len() <= MAX, "{} bytes", bytes.len());
    bytes
}

#[cfg(test)]
mod tests;
