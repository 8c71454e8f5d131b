use std::collections::BTreeSet;
use std::net::SocketAddr;

use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;

use super::*;
use crate::tests::neighbor;

fn ours() -> Neighbor {
    neighbor("edge", "127.0.0.1", SocketAddr::from(([127, 0, 0, 2], 179)))
}

fn encoder(neighbor: &Neighbor) -> Encoder {
    Encoder::new(neighbor, Families::ALL, true, neighbor.extended_next_hop)
}

fn v4(count: u32) -> Vec<IpNet> {
    let address = |i| std::net::Ipv4Addr::from(0xc633_6400 + i);
    (0..count).map(|i| IpNet::new(address(i).into(), 32).unwrap()).collect()
}

fn v6(count: u128) -> Vec<IpNet> {
    let address = |i| Ipv6Addr::from((0x2001_0db8 << 96) + i);
    (0..count).map(|i| IpNet::new(address(i).into(), 128).unwrap()).collect()
}

/// The codec's reading of a message, attributes first.
fn read(bytes: &[u8], four_octet_as: bool) -> BgpUpdateMessage {
    let mut context = BgpParsingContext::default();
    context.set_asn4(four_octet_as);
    match BgpMessage::parse(&mut SliceReader::new(bytes), &mut context).unwrap() {
        BgpMessage::Update(update) => update,
        other => panic!("{other:?}"),
    }
}

fn values(bytes: &[u8], four_octet_as: bool) -> Vec<PathAttributeValue> {
    read(bytes, four_octet_as).path_attributes().iter().map(|a| a.value().clone()).collect()
}

#[test]
fn five_hundred_routes_go_in_a_few_messages() {
    let encoder = encoder(&ours());
    let attributes = Attributes { med: Some(1), ..Attributes::default() };
    for (prefixes, messages) in [(v4(500), 1), (v6(500), 3)] {
        for sent in [encoder.announce(&prefixes, &attributes), encoder.withdraw(&prefixes)] {
            assert_eq!(sent.len(), messages);
            assert!(sent.iter().all(|message| message.len() <= MAX));
        }
    }
}

#[test]
fn all_prefixes_arrive_whatever_their_number() {
    let encoder = encoder(&ours());
    let long = Attributes { communities: (0..300).collect(), ..Attributes::default() };
    for attributes in [&Attributes::default(), &long] {
        for count in [1, 2, 234, 235, 236, 237, 238, 239, 240, 800, 808, 809, 810, 811, 812, 2000] {
            let mut heard = vec![];
            for message in encoder.announce(&v4(count), attributes) {
                assert!(message.len() <= MAX, "{count}");
                heard.extend(
                    read(&message, true).nlri().iter().map(|n| IpNet::V4(n.network().address())),
                );
            }
            assert_eq!(heard, v4(count));

            let mut heard = vec![];
            for message in encoder.announce(&v6(count.into()), attributes) {
                assert!(message.len() <= MAX, "{count}");
                for value in values(&message, true) {
                    if let PathAttributeValue::MpReach(MpReach::Ipv6Unicast { nlri, .. }) = value {
                        heard.extend(nlri.iter().map(|n| IpNet::V6(n.network().address())));
                    }
                }
            }
            assert_eq!(heard, v6(count.into()));
        }
    }
}

#[test]
fn an_announcement_is_these_bytes() {
    let attributes = Attributes {
        med: Some(50),
        communities: BTreeSet::from([Attributes::GRACEFUL_SHUTDOWN]),
        large_communities: BTreeSet::from([(65000, 1, 2)]),
        ..Attributes::default()
    };
    let sent = encoder(&ours()).announce(&v4(1), &attributes);
    #[rustfmt::skip]
    let body = [
        0, 0, 0, 49,
        0x40, 1, 1, 0, // ORIGIN: IGP
        0x40, 2, 6, 2, 1, 0xfa, 0x57, 0xe7, 0xe9, // AS_PATH: 4200065001
        0x40, 3, 4, 192, 0, 2, 11, // NEXT_HOP
        0x80, 4, 4, 0, 0, 0, 50, // MULTI_EXIT_DISC
        0xc0, 8, 4, 0xff, 0xff, 0, 0, // COMMUNITIES: 65535:0
        0xc0, 32, 12, 0, 0, 0xfd, 0xe8, 0, 0, 0, 1, 0, 0, 0, 2, // LARGE_COMMUNITY
        32, 198, 51, 100, 0,
    ];
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0][19..], body);
}

#[test]
fn within_an_as_there_is_no_path_but_a_preference() {
    let internal = Neighbor { peer_as: ours().local_as, ..ours() };
    for (local_pref, sent) in [(None, 100), (Some(7), 7)] {
        // What is prepended elsewhere would be a loop here.
        let attributes = Attributes { local_pref, prepend: 3, ..Attributes::default() };
        let values = values(&encoder(&internal).announce(&v4(1), &attributes)[0], true);
        let path = AsPath::As4PathSegments([].into());
        assert!(values.contains(&PathAttributeValue::AsPath(path)));
        let preference = LocalPreference::new(sent);
        assert!(values.contains(&PathAttributeValue::LocalPreference(preference)));
    }
}

#[test]
fn the_own_as_is_prepended_as_often_as_is_wished() {
    let length = |prepend| {
        let attributes = Attributes { prepend, ..Attributes::default() };
        let sent = encoder(&ours()).announce(&v4(1), &attributes);
        values(&sent[0], true).into_iter().find_map(|value| match value {
            PathAttributeValue::AsPath(AsPath::As4PathSegments(segments)) => {
                Some(segments.iter().map(|s| s.as_numbers().len()).sum::<usize>())
            }
            _ => None,
        })
    };
    // 256 do not fit into one segment.
    for prepend in [0, 1, 254, 255] {
        assert_eq!(length(prepend), Some(usize::from(prepend) + 1));
    }
}

#[test]
fn who_reads_two_octets_is_told_as_trans_and_hands_on_the_rest() {
    let old = Encoder::new(&ours(), Families::ALL, false, false);
    let all = values(&old.announce(&v4(1), &Attributes::default())[0], false);
    let two = As2PathSegment::new(AsPathSegmentType::AsSequence, [23456]);
    let four = As4PathSegment::new(AsPathSegmentType::AsSequence, [4_200_065_001]);
    assert!(all.contains(&PathAttributeValue::AsPath(AsPath::As2PathSegments([two].into()))));
    assert!(all.contains(&PathAttributeValue::As4Path(As4Path::new([four]))));

    let short = Neighbor { local_as: 65001, ..ours() };
    let old = Encoder::new(&short, Families::ALL, false, false);
    let all = values(&old.announce(&v4(1), &Attributes::default())[0], false);
    let two = As2PathSegment::new(AsPathSegmentType::AsSequence, [65001]);
    assert!(all.contains(&PathAttributeValue::AsPath(AsPath::As2PathSegments([two].into()))));
    assert!(!all.iter().any(|value| matches!(value, PathAttributeValue::As4Path(_))));
}

#[test]
fn ipv4_goes_with_an_ipv6_next_hop_where_that_was_agreed_on() {
    let extended = Neighbor { extended_next_hop: true, ..ours() };
    let encoder = encoder(&extended);
    let sent = encoder.announce(&v4(1), &Attributes::default());
    let all = values(&sent[0], true);
    let is_reach = |value: &PathAttributeValue| {
        matches!(value, PathAttributeValue::MpReach(MpReach::Ipv4Unicast { next_hop, .. })
            if *next_hop == "2001:db8::11".parse::<IpAddr>().unwrap())
    };
    assert!(all.iter().any(is_reach), "{all:?}");
    assert!(!all.iter().any(|value| matches!(value, PathAttributeValue::NextHop(_))));
    assert!(read(&sent[0], true).nlri().is_empty());
    // What went in MP_REACH_NLRI goes in MP_UNREACH_NLRI.
    let withdrawn = values(&encoder.withdraw(&v4(1))[0], true);
    let unreach = |value: &PathAttributeValue| {
        matches!(value, PathAttributeValue::MpUnreach(MpUnreach::Ipv4Unicast { nlri })
            if nlri.len() == 1)
    };
    assert!(withdrawn.iter().any(unreach));
}

#[test]
fn next_hops_are_the_ones_there_are() {
    let link_local: Ipv6Addr = "fe80::11".parse().unwrap();
    let global: Ipv6Addr = "2001:db8::11".parse().unwrap();
    for (v6_hop, local, expected) in [
        (Some(global), None, (global, None)),
        (Some(global), Some(link_local), (global, Some(link_local))),
        (None, Some(link_local), (link_local, None)),
    ] {
        let next_hops = NextHops { v4: None, v6: v6_hop, link_local: local };
        let encoder = encoder(&Neighbor { next_hops, ..ours() });
        let all = values(&encoder.announce(&v6(1), &Attributes::default())[0], true);
        assert!(all.iter().any(|value| matches!(value,
            PathAttributeValue::MpReach(MpReach::Ipv6Unicast { next_hop_global, next_hop_local, .. })
                if (*next_hop_global, *next_hop_local) == expected)), "{all:?}");
    }
}

#[test]
fn what_cannot_be_sent_is_known_before() {
    let attributes = Attributes::default();
    let can = |neighbor: &Neighbor, families, prefix: &str| {
        let encoder = Encoder::new(neighbor, families, true, neighbor.extended_next_hop);
        encoder.can_send(prefix.parse().unwrap(), &attributes)
    };
    let only = |v4: bool, v6: bool| Families { ipv4: v4, ipv6: v6 };
    let (one, six) = ("198.51.100.1/32", "2001:db8::1/128");
    assert!(can(&ours(), Families::ALL, one) && can(&ours(), Families::ALL, six));
    assert!(!can(&ours(), only(false, true), one) && !can(&ours(), only(true, false), six));
    assert!(!can(&ours(), Families::ALL, "224.0.0.1/32"));
    assert!(!can(&ours(), Families::ALL, "ff02::1/128"));
    assert!(!can(&ours(), Families::ALL, "255.255.255.255/32"));

    let v6_only = NextHops { v4: None, ..ours().next_hops };
    let v6_only = Neighbor { next_hops: v6_only, ..ours() };
    assert!(!can(&v6_only, Families::ALL, one) && can(&v6_only, Families::ALL, six));
    let extended = Neighbor { extended_next_hop: true, ..v6_only };
    assert!(can(&extended, Families::ALL, one));

    let endless = Attributes { communities: (0..2000).collect(), ..Attributes::default() };
    assert!(!encoder(&ours()).can_send(one.parse().unwrap(), &endless));
}

#[test]
fn end_of_rib_is_said_of_each_family() {
    let sent = Encoder::end_of_rib(Families::ALL);
    let ends: Vec<_> = sent.iter().map(|m| read(m, true).end_of_rib().is_some()).collect();
    assert_eq!(ends, [true, true]);
    assert_eq!(sent[0].len(), 23);
    assert_eq!(Encoder::end_of_rib(Families { ipv4: false, ipv6: true }), sent[1..]);
}
