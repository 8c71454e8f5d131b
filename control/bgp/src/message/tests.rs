use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::settings::{Attributes, Neighbor};
use crate::tests::neighbor;

fn ours() -> Neighbor {
    neighbor("edge", "127.0.0.1", SocketAddr::from(([127, 0, 0, 2], 179)))
}

fn offer(neighbor: &Neighbor, restarted: bool, forwarding: bool) -> Vec<u8> {
    Offer { neighbor, restarted, forwarding }.encode()
}

fn decoded(bytes: &[u8]) -> Message {
    let (message, length) = decode(bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    message
}

/// An OPEN of AS 65000, hold time 90, with these parameters.
fn open(length: u8, parameters: &[u8]) -> Vec<u8> {
    frame(OPEN, &[&[4, 0xfd, 0xe8, 0, 90, 10, 0, 0, 2, length], parameters].concat())
}

fn refused(bytes: &[u8]) -> (u8, u8) {
    let notification = decode(bytes).unwrap_err().notification();
    (notification.code, notification.subcode)
}

#[test]
fn a_header_that_cannot_be_is_refused_for_the_right_reason() {
    let with = |length: u16, kind: u8| {
        [&[0xff; 16][..], &length.to_be_bytes(), &[kind], &[0; 5000]].concat()
    };
    for (length, kind, expected) in [
        (18, KEEPALIVE, (1, 2)),
        (20, KEEPALIVE, (1, 2)),
        (4097, UPDATE, (1, 2)),
        (22, UPDATE, (1, 2)),
        (28, OPEN, (1, 2)),
        (20, NOTIFICATION, (1, 2)),
        (22, ROUTE_REFRESH, (1, 2)),
        (19, 0, (1, 3)),
        (19, 6, (1, 3)),
        (18, 6, (1, 2)),
    ] {
        assert_eq!(refused(&with(length, kind)), expected, "type {kind}, {length} bytes");
    }
    let mut unmarked = keepalive();
    unmarked[15] = 0xfe;
    assert_eq!(refused(&unmarked), (1, 1));
    assert_eq!(refused(b"GET / HTTP/1.1"), (1, 1), "not waited for");
    let length = decode(&with(4097, UPDATE)).unwrap_err().notification().encode();
    assert_eq!(length[19..], [1, 2, 0x10, 0x01], "with the length that was wrong");
}

#[test]
fn what_has_not_come_is_waited_for() {
    let whole = offer(&ours(), false, false);
    for length in 0..whole.len() {
        assert_eq!(decode(&whole[..length]), Ok(None), "{length} bytes");
    }
    let two = [&whole[..], &keepalive()].concat();
    assert_eq!(decode(&two).unwrap().unwrap().1, whole.len());
}

#[test]
fn an_open_says_what_is_wanted_and_no_more() {
    let plain = Neighbor { restart_time: Duration::ZERO, ..ours() };
    assert_eq!(
        offer(&plain, true, true)[19..],
        [
            4, 0x5b, 0xa0, 0, 90, 10, 0, 0, 1, 22, // version 4, AS_TRANS, 90 s, 10.0.0.1
            2, 20, // capabilities
            1, 4, 0, 1, 0, 1, // IPv4 unicast
            1, 4, 0, 2, 0, 1, // IPv6 unicast
            2, 0, // route refresh
            65, 4, 0xfa, 0x57, 0xe7, 0xe9, // AS 4200065001
        ]
    );
    let v6 = Neighbor { families: Families { ipv4: false, ipv6: true }, ..plain.clone() };
    assert_eq!(offer(&v6, false, false)[31..37], [1, 4, 0, 2, 0, 1]);
    let extended = Neighbor { extended_next_hop: true, ..plain };
    assert!(offer(&extended, false, false).ends_with(&[5, 6, 0, 1, 0, 1, 0, 2]));
}

#[test]
fn the_bits_of_graceful_restart_are_as_told() {
    for (restarted, forwarding, flags, f) in [
        (false, false, 0x00, 0x00),
        (true, false, 0x80, 0x00),
        (false, true, 0x00, 0x80),
        (true, true, 0x80, 0x80),
    ] {
        let bytes = offer(&ours(), restarted, forwarding);
        // N, 0x40, stays off. 30 s.
        let capability = [64, 10, flags, 30, 0, 1, 1, f, 0, 2, 1, f];
        assert!(bytes.ends_with(&capability), "{bytes:02x?}");
    }
}

#[test]
fn an_open_is_read_as_it_was_meant() {
    let extended = Neighbor { extended_next_hop: true, ..ours() };
    let Message::Open(open) = decoded(&offer(&extended, true, true)) else { panic!() };
    assert_eq!(
        open,
        Open {
            asn: 4_200_065_001,
            hold_time: 90,
            id: [10, 0, 0, 1].into(),
            families: Families::ALL,
            four_octet_as: true,
            route_refresh: true,
            extended_next_hop: true,
            graceful_restart: Some(GracefulRestart { families: true }),
        }
    );
}

#[test]
fn an_open_without_capabilities_is_one_of_ipv4() {
    let Message::Open(open) = decoded(&open(0, &[])) else { panic!() };
    assert_eq!((open.asn, open.four_octet_as), (65000, false));
    assert_eq!(open.families, Families { ipv4: true, ipv6: false });
}

#[test]
fn an_open_of_extended_length_is_read() {
    // RFC 9072: 255, 255, two octets of length; then parameters with two octets of length each.
    let bytes = open(255, &[255, 0, 9, 2, 0, 6, 1, 4, 0, 2, 0, 1]);
    let Message::Open(open) = decoded(&bytes) else { panic!() };
    assert_eq!(open.families, Families { ipv4: false, ipv6: true });
}

#[test]
fn a_capability_that_makes_no_sense_spoils_no_other() {
    let capabilities = [
        2, 20, 64, 1, 0, // graceful restart, cut short
        1, 2, 0, 1, // IPv4 unicast, cut short
        200, 3, 1, 2, 3, // nobody knows
        1, 4, 0, 2, 0, 1, // IPv6 unicast
        2, 0,
    ];
    let Message::Open(open) = decoded(&open(22, &capabilities)) else { panic!() };
    assert_eq!(open.families, Families { ipv4: false, ipv6: true });
    assert!(open.route_refresh && open.graceful_restart.is_none());
}

#[test]
fn an_open_that_does_not_parse_is_refused_for_the_right_reason() {
    let mut version = open(0, &[]);
    version[19] = 3;
    assert_eq!(refused(&version), (2, 1));
    assert_eq!(refused(&open(2, &[1, 0])), (2, 4), "authentication, which RFC 4271 took out");
    for (length, parameters) in [
        (9, &[2, 6, 1, 4, 0, 1, 0, 1][..]), // longer than the message
        (8, &[2, 7, 1, 4, 0, 1, 0, 1][..]), // a parameter longer than all of them
        (8, &[2, 6, 1, 5, 0, 1, 0, 1][..]), // a capability longer than its parameter
        (1, &[2][..]),
    ] {
        assert_eq!(refused(&open(length, parameters)), (2, 0), "{parameters:?}");
    }
}

#[test]
fn an_update_resets_nothing_for_what_is_in_it() {
    let update = |body: &[u8]| frame(UPDATE, body);
    for body in [
        &[0, 0, 0, 0][..],
        &[0, 0, 0, 3, 0xff, 0xff, 0xff], // attributes that are none (RFC 7606)
        &[0, 0, 0, 4, 0x40, 1, 1, 9, 33, 1, 2], // a bad ORIGIN; a prefix of 33 bits
        &[0, 2, 0xff, 0xff, 0, 0, 0xff, 0xff], // prefixes that are none
    ] {
        assert_eq!(decoded(&update(body)), Message::Update, "{body:?}");
    }
    for body in [&[0, 1, 0, 0][..], &[0, 0, 0, 1], &[0xff, 0xff, 0, 0, 0], &[0, 2, 0, 0, 0]] {
        assert_eq!(refused(&update(body)), (3, 1), "{body:?}");
    }
}

#[test]
fn a_refresh_is_of_a_family_that_is_known() {
    for (body, families) in [
        ([0, 1, 0, 1], Families { ipv4: true, ipv6: false }),
        ([0, 2, 0, 1], Families { ipv4: false, ipv6: true }),
        ([0, 1, 0, 2], Families::NONE),
        ([0, 1, 1, 1], Families::NONE),
        ([0x40, 4, 0, 71], Families::NONE),
    ] {
        assert_eq!(decoded(&frame(ROUTE_REFRESH, &body)), Message::RouteRefresh(families));
    }
}

/// Messages of all kinds, to be mutated.
fn genuine() -> Vec<Vec<u8>> {
    let extended = Neighbor { extended_next_hop: true, ..ours() };
    let encoder = Encoder::new(&extended, Families::ALL, true, true);
    let attributes =
        Attributes { med: Some(1), communities: [1, 2].into(), ..Attributes::default() };
    let mut all = vec![
        offer(&extended, true, true),
        open(255, &[255, 0, 9, 2, 0, 6, 1, 4, 0, 2, 0, 1]),
        keepalive(),
        Notification::cease(2).encode(),
        frame(ROUTE_REFRESH, &[0, 1, 0, 1]),
    ];
    for prefix in ["198.51.100.1/32", "2001:db8::1/128"] {
        let prefixes = [prefix.parse().unwrap()];
        all.extend(encoder.announce(&prefixes, &attributes));
        all.extend(encoder.withdraw(&prefixes));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40_000))]

    #[test]
    fn mutated_messages_are_read_or_refused(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keeps_header in any::<bool>(),
        cut in any::<prop::sample::Index>(),
        appended in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let all = genuine();
        let mut bytes = which.get(&all).clone();
        for (at, value) in changes {
            let from = if keeps_header { HEADER.min(bytes.len() - 1) } else { 0 };
            let at = from + at.index(bytes.len() - from);
            bytes[at] = value;
        }
        bytes.extend(appended);
        bytes.truncate(cut.index(bytes.len()) + 1);
        if keeps_header && bytes.len() >= 29 {
            let length = bytes.len() as u16;
            bytes[16..18].copy_from_slice(&length.to_be_bytes());
        }
        // As a stream is read: until nothing is left, nothing more comes of it, or it is refused.
        let mut rest = &bytes[..];
        while let Ok(Some((_, length))) = decode(rest) {
            prop_assert!((HEADER..=MAX).contains(&length));
            rest = &rest[length..];
        }
    }

    #[test]
    fn bodies_of_anything_are_read_or_refused(
        kind in 1u8..=5,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        // Neither panic nor loop is all that is asked for.
        let _ = decode(&frame(kind, &body));
    }
}
