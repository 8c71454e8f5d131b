use std::net::SocketAddr;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;

use super::*;
use crate::tests::{neighbor, route, route_with};

fn rib() -> AdjRibOut {
    let neighbor = neighbor("edge", "127.0.0.1", SocketAddr::from(([127, 0, 0, 2], 179)));
    AdjRibOut::new(Encoder::new(&neighbor, Families::ALL, true, false))
}

/// Of each message: withdrawn and announced IPv4 prefixes.
fn counts(changes: &Changes) -> Vec<(usize, usize)> {
    let count = |bytes: &Vec<u8>| {
        let mut context = BgpParsingContext::default();
        match BgpMessage::parse(&mut SliceReader::new(bytes), &mut context).unwrap() {
            BgpMessage::Update(update) => (update.withdraw_routes().len(), update.nlri().len()),
            other => panic!("{other:?}"),
        }
    };
    changes.updates.iter().map(count).collect()
}

#[test]
fn only_differences_are_told_withdrawals_first() {
    let [one, two, three] = ["198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32"].map(route);
    let mut rib = rib();
    assert_eq!(counts(&rib.change_to(&[one.clone(), two.clone()])), [(0, 2)]);
    assert_eq!(counts(&rib.change_to(&[one.clone(), two.clone()])), []);
    assert_eq!(counts(&rib.change_to(&[two.clone(), three.clone()])), [(1, 0), (0, 1)]);
    assert_eq!(*rib.routes(), [two, three]);
    assert_eq!(counts(&rib.change_to(&[])), [(2, 0)]);
    assert!(rib.routes().is_empty());
}

#[test]
fn equal_attributes_are_equal_whoever_holds_them() {
    let mut rib = rib();
    rib.change_to(&[route("198.51.100.1/32")]);
    assert_eq!(counts(&rib.change_to(&[route("198.51.100.1/32")])), []);
    let drained = Attributes { med: Some(1000), ..Attributes::default() };
    assert_eq!(counts(&rib.change_to(&[route_with("198.51.100.1/32", drained)])), [(0, 1)]);
}

#[test]
fn routes_that_are_alike_share_a_message() {
    let med = |med| Attributes { med: Some(med), ..Attributes::default() };
    let routes: Vec<_> =
        (0..100).map(|i| route_with(&format!("198.51.100.{i}/32"), med(i % 2))).collect();
    assert_eq!(counts(&rib().change_to(&routes)), [(0, 50), (0, 50)]);
}

#[test]
fn all_of_a_family_is_told_again_and_what_is_gone_is_still_withdrawn() {
    let routes = ["198.51.100.1/32", "198.51.100.2/32", "2001:db8::1/128"].map(route);
    let mut rib = rib();
    rib.change_to(&routes);
    rib.refresh(Families { ipv4: true, ipv6: false });
    assert!(rib.is_asked());
    assert_eq!(counts(&rib.change_to(&routes[1..])), [(1, 0), (0, 1)]);
    assert!(!rib.is_asked());
    assert_eq!(counts(&rib.change_to(&routes[1..])), []);
}

#[test]
fn of_two_routes_to_one_prefix_the_later_counts() {
    let med = |med| Attributes { med: Some(med), ..Attributes::default() };
    let mut rib = rib();
    // The same prefix, once its last bits are cut off.
    rib.change_to(&[route_with("198.51.100.7/24", med(1)), route_with("198.51.100.0/24", med(2))]);
    assert_eq!(*rib.routes(), [route_with("198.51.100.0/24", med(2))]);
}

#[test]
fn what_cannot_be_told_is_counted_and_withdrawn_if_it_was() {
    let mut rib = rib();
    let changes = rib.change_to(&[route("224.0.0.1/32"), route("198.51.100.1/32")]);
    assert_eq!((changes.withheld, counts(&changes)), (1, vec![(0, 1)]));
    let endless = Attributes { communities: (0..2000).collect(), ..Attributes::default() };
    let changes = rib.change_to(&[route_with("198.51.100.1/32", endless)]);
    assert_eq!((changes.withheld, counts(&changes)), (1, vec![(1, 0)]));
}
