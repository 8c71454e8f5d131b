//! OPEN: who is there, and what they can do (RFC 4271 4.2, 5492, 9072).

use std::net::Ipv4Addr;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::{
    BgpCapability, ExtendedNextHopEncoding, ExtendedNextHopEncodingCapability,
    FourOctetAsCapability, GracefulRestartAddressFamily, GracefulRestartCapability,
    MultiProtocolExtensionsCapability,
};
use netgauze_bgp_pkt::open::{BgpOpenMessage, BgpOpenMessageParameter};
use netgauze_iana::address_family::{AddressFamily, AddressType};
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFrom;

use super::Malformed;
use crate::settings::{Families, Neighbor};

/// Stands for an AS that does not fit into two octets (RFC 6793).
pub(super) const AS_TRANS: u16 = 23456;
/// The parameter that carries capabilities (RFC 5492).
const CAPABILITIES: u8 = 2;
/// The parameter that says that lengths have two octets (RFC 9072).
const EXTENDED_LENGTH: u8 = 255;

/// What an OPEN said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// Their AS, of four octets if they can.
    pub asn: u32,
    /// Seconds.
    pub hold_time: u16,
    /// Their BGP identifier.
    pub id: Ipv4Addr,
    /// Families in which they exchange routes.
    pub families: Families,
    /// They can read paths of four-octet ASes (RFC 6793).
    pub four_octet_as: bool,
    /// They may ask for everything again (RFC 2918).
    pub route_refresh: bool,
    /// They take IPv6 next hops of IPv4 prefixes (RFC 8950).
    pub extended_next_hop: bool,
    /// They know graceful restart (RFC 4724), at least End-of-RIB.
    pub graceful_restart: Option<GracefulRestart>,
}

/// Their part of graceful restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracefulRestart {
    /// Whether there is a family for which they preserve forwarding: they do restart gracefully.
    pub families: bool,
}

impl Open {
    /// Reads the body of an OPEN. Capabilities that make no sense are as good as none.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let [version, as1, as2, hold1, hold2, id1, id2, id3, id4, length, rest @ ..] = body else {
            return Err(Malformed::Open);
        };
        if *version != 4 {
            return Err(Malformed::Version(*version));
        }
        let (parameters, extended) = match rest {
            // RFC 9072 2: the type in place of the first parameter's, then the length that counts.
            [EXTENDED_LENGTH, l1, l2, parameters @ ..] if *length != 0 => {
                let length = usize::from(u16::from_be_bytes([*l1, *l2]));
                (parameters.get(..length), true)
            }
            _ => (rest.get(..usize::from(*length)), false),
        };
        let parameters = parameters.ok_or(Malformed::Open)?;

        let mut open = Self {
            asn: u16::from_be_bytes([*as1, *as2]).into(),
            hold_time: u16::from_be_bytes([*hold1, *hold2]),
            id: Ipv4Addr::new(*id1, *id2, *id3, *id4),
            families: Families::NONE,
            four_octet_as: false,
            route_refresh: false,
            extended_next_hop: false,
            graceful_restart: None,
        };
        let multiprotocol = open.parameters(parameters, extended)?;
        if !multiprotocol {
            // RFC 4760: without the capability a speaker is one of IPv4 unicast.
            open.families = Families { ipv4: true, ipv6: false };
        }
        Ok(open)
    }

    /// Takes in all parameters. Says whether there was a family among the capabilities.
    fn parameters(&mut self, mut rest: &[u8], extended: bool) -> Result<bool, Malformed> {
        let mut multiprotocol = false;
        while !rest.is_empty() {
            let (kind, length, after) = match (extended, rest) {
                (false, [kind, length, after @ ..]) => (*kind, usize::from(*length), after),
                (true, [kind, l1, l2, after @ ..]) => {
                    (*kind, usize::from(u16::from_be_bytes([*l1, *l2])), after)
                }
                (_, _) => return Err(Malformed::Open),
            };
            let (value, after) = after.split_at_checked(length).ok_or(Malformed::Open)?;
            rest = after;
            if kind != CAPABILITIES {
                return Err(Malformed::Parameter(kind));
            }
            multiprotocol |= self.capabilities(value)?;
        }
        Ok(multiprotocol)
    }

    fn capabilities(&mut self, mut rest: &[u8]) -> Result<bool, Malformed> {
        let mut multiprotocol = false;
        while let [_, length, ..] = rest {
            let whole = 2 + usize::from(*length);
            // Each is read within its own bytes: one that is not understood spoils no other.
            let (one, after) = rest.split_at_checked(whole).ok_or(Malformed::Open)?;
            rest = after;
            if let Ok(capability) = BgpCapability::parse(&mut SliceReader::new(one)) {
                multiprotocol |= matches!(capability, BgpCapability::MultiProtocolExtensions(_));
                self.capability(&capability);
            }
        }
        if rest.is_empty() { Ok(multiprotocol) } else { Err(Malformed::Open) }
    }

    fn capability(&mut self, capability: &BgpCapability) {
        match capability {
            BgpCapability::MultiProtocolExtensions(family) => match family.address_type() {
                AddressType::Ipv4Unicast => self.families.ipv4 = true,
                AddressType::Ipv6Unicast => self.families.ipv6 = true,
                _ => {}
            },
            BgpCapability::FourOctetAs(four) => {
                self.asn = four.asn4();
                self.four_octet_as = true;
            }
            BgpCapability::RouteRefresh => self.route_refresh = true,
            BgpCapability::ExtendedNextHopEncoding(next_hops) => {
                self.extended_next_hop |= next_hops.encodings().iter().any(|encoding| {
                    encoding.address_type() == AddressType::Ipv4Unicast
                        && encoding.next_hop_afi() == AddressFamily::IPv6
                });
            }
            BgpCapability::GracefulRestartCapability(restart) => {
                let families = !restart.address_families().is_empty();
                self.graceful_restart = Some(GracefulRestart { families });
            }
            // The rest is of no use to a speaker that only announces.
            _ => {}
        }
    }
}

/// What we offer in an OPEN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    /// With whom.
    pub neighbor: &'a Neighbor,
    /// This process restarted, and has not yet announced everything again (R).
    pub restarted: bool,
    /// The dataplane forwarded on meanwhile (F).
    pub forwarding: bool,
}

impl Offer<'_> {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let neighbor = self.neighbor;
        let hold_time = u16::try_from(neighbor.hold_time.as_secs()).unwrap_or(u16::MAX);
        let asn = u16::try_from(neighbor.local_as).unwrap_or(AS_TRANS);
        let parameter = BgpOpenMessageParameter::new_capabilities(self.capabilities());
        let open = BgpOpenMessage::new(asn, hold_time, neighbor.router_id, vec![parameter]);
        let mut bytes = Vec::new();
        BgpMessage::Open(open).write(&mut bytes).expect("a vector takes all, and OPEN is short");
        bytes
    }

    fn capabilities(&self) -> Vec<BgpCapability> {
        let neighbor = self.neighbor;
        let families: Vec<_> = [
            (neighbor.families.ipv4, AddressType::Ipv4Unicast),
            (neighbor.families.ipv6, AddressType::Ipv6Unicast),
        ]
        .into_iter()
        .filter_map(|(offered, family)| offered.then_some(family))
        .collect();

        let mut capabilities: Vec<_> = families
            .iter()
            .map(|&family| MultiProtocolExtensionsCapability::new(family))
            .map(BgpCapability::MultiProtocolExtensions)
            .collect();
        capabilities.push(BgpCapability::RouteRefresh);
        capabilities
            .push(BgpCapability::FourOctetAs(FourOctetAsCapability::new(neighbor.local_as)));
        if neighbor.extended_next_hop {
            let encoding =
                ExtendedNextHopEncoding::new(AddressType::Ipv4Unicast, AddressFamily::IPv6);
            capabilities.push(BgpCapability::ExtendedNextHopEncoding(
                ExtendedNextHopEncodingCapability::new(vec![encoding]),
            ));
        }
        if !neighbor.restart_time.is_zero() {
            let preserved: Vec<_> = families
                .iter()
                .map(|&family| GracefulRestartAddressFamily::new(self.forwarding, family))
                .collect();
            // 12 bits. N stays off (RFC 8538): a Cease of ours means what it says.
            let time = neighbor.restart_time.as_secs().min(0xfff) as u16;
            capabilities.push(BgpCapability::GracefulRestartCapability(
                GracefulRestartCapability::new(self.restarted, false, time, preserved),
            ));
        }
        capabilities
    }
}
