//! The stream as messages: headers (RFC 4271, 4.1), and the few messages that a speaker looks into which
//! learns nothing.

use std::net::Ipv4Addr;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::BgpCapability;
use netgauze_bgp_pkt::iana::RouteRefreshSubcode;
use netgauze_bgp_pkt::open::BgpOpenMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_iana::address_family::{AddressFamily, AddressType};
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;

use crate::fault::Fault;

const HEADER: usize = 19;
/// Longest message; nobody was told that longer ones are understood (RFC 8654).
const LONGEST: usize = 4096;

/// What a peer has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Open(Open),
    /// Not looked into: whatever it says, there is nobody here to learn it, and an error in it is no reason
    /// to end the session (RFC 7606).
    Update,
    Notification {
        code: u8,
        subcode: u8,
    },
    Keepalive,
    /// Whether it asks for everything again, and of which family; others are none of ours.
    Refresh(Option<AddressType>),
}

/// What counts of an OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) version: u8,
    pub(crate) autonomous_system: u32,
    pub(crate) hold_time: u16,
    pub(crate) id: Ipv4Addr,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) extended_next_hop: bool,
    pub(crate) graceful_restart: bool,
    pub(crate) refresh: bool,
}

/// Takes the next message off the front of what was read; nothing if it is not whole yet. Returns how
/// many bytes it took.
pub(crate) fn next(bytes: &[u8]) -> Result<Option<(Received, usize)>, Fault> {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        // What is there of the marker tells already.
        return match bytes.iter().take(16).all(|&byte| byte == 0xff) {
            true => Ok(None),
            false => Err(Fault::NOT_SYNCHRONIZED),
        };
    };
    if header[..16] != [0xff; 16] {
        return Err(Fault::NOT_SYNCHRONIZED);
    }
    let (length, kind) = (usize::from(u16::from_be_bytes([header[16], header[17]])), header[18]);
    let least = match kind {
        1 => 29,
        2 => 23,
        3 => 21,
        4 => HEADER,
        5 => 23,
        unknown => return Err(Fault::bad_type(unknown)),
    };
    if !(least..=LONGEST).contains(&length) || (kind == 4 && length != HEADER) {
        return Err(Fault::bad_length(header[16], header[17]));
    }
    let Some(frame) = bytes.get(..length) else { return Ok(None) };
    let received = match kind {
        1 => Received::Open(open(frame)?),
        2 => Received::Update,
        3 => Received::Notification { code: frame[19], subcode: frame[20] },
        4 => Received::Keepalive,
        _ => Received::Refresh(refresh(frame)),
    };
    Ok(Some((received, length)))
}

fn parse(frame: &[u8]) -> Option<BgpMessage> {
    let mut context = BgpParsingContext::asn2_default();
    BgpMessage::parse(&mut SliceReader::new(frame), &mut context).ok()
}

fn open(frame: &[u8]) -> Result<Open, Fault> {
    if frame[19] != 4 {
        return Err(Fault::BAD_VERSION);
    }
    // The codec refuses these two for other reasons than they have.
    if matches!(u16::from_be_bytes([frame[22], frame[23]]), 1 | 2) {
        return Err(Fault::BAD_HOLD_TIME);
    }
    let Some(BgpMessage::Open(open)) = parse(frame) else { return Err(Fault::BAD_OPEN) };
    Ok(facts(&open))
}

fn facts(open: &BgpOpenMessage) -> Open {
    let capabilities = open.capabilities();
    let family = |wanted: AddressType| {
        capabilities.iter().any(|capability| {
            matches!(capability, BgpCapability::MultiProtocolExtensions(mp) if mp.address_type() == wanted)
        })
    };
    let any_family =
        capabilities.iter().any(|one| matches!(one, BgpCapability::MultiProtocolExtensions(_)));
    let over_v6 = |capability: &&&BgpCapability| match capability {
        BgpCapability::ExtendedNextHopEncoding(all) => all.encodings().iter().any(|one| {
            one.address_type() == AddressType::Ipv4Unicast
                && one.next_hop_afi() == AddressFamily::IPv6
        }),
        _ => false,
    };
    Open {
        version: open.version(),
        autonomous_system: open.my_asn4(),
        hold_time: open.hold_time(),
        id: open.bgp_id(),
        // A speaker without the capability speaks of IPv4 unicast alone (RFC 4760).
        ipv4: family(AddressType::Ipv4Unicast) || !any_family,
        ipv6: family(AddressType::Ipv6Unicast),
        extended_next_hop: capabilities.iter().find(over_v6).is_some(),
        graceful_restart: capabilities
            .iter()
            .any(|one| matches!(one, BgpCapability::GracefulRestartCapability(_))),
        refresh: capabilities.iter().any(|one| matches!(one, BgpCapability::RouteRefresh)),
    }
}

fn refresh(frame: &[u8]) -> Option<AddressType> {
    match parse(frame) {
        Some(BgpMessage::RouteRefresh(refresh))
            if refresh.operation_type() == RouteRefreshSubcode::NormalRequest =>
        {
            Some(refresh.address_type())
        }
        // Marks around a refresh (RFC 7313) are for those who learn.
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests;
