//! Maps over databases that are written here.

mod choice;
mod damaged;
mod mmdb;

use std::net::IpAddr;
use std::sync::Arc;

use self::mmdb::{Value, Writer, city};
use super::*;

const PARIS: Option<(f64, f64)> = Some((48.9, 2.4));
const BUFFALO: Option<(f64, f64)> = Some((42.9, -78.9));

/// Cities of both families.
fn cities(width: u8) -> Writer {
    let mut writer = Writer::new(6, width);
    let paris = city("EU", "FR", &["IDF", "75"], "Paris", PARIS);
    writer.add(&["192.0.2.0/24", "2001:db8::/36"], &paris);
    writer.add(&["198.51.100.0/25"], &city("NA", "US", &["NY"], "Buffalo", BUFFALO));
    writer.add(&["198.51.100.128/28"], &city("NA", "US", &["NY"], "", None));
    writer.add(&["2001:db8:8000::/33"], &city("AS", "SG", &[], "", Some((1.3, 103.9))));
    writer.add(&["203.0.113.0/24"], &Value::Map(vec![]));
    writer
}

fn database(writer: &Writer) -> Option<Arc<Database>> {
    Some(Arc::new(Database::new(writer.finish()).unwrap()))
}

fn these(list: &[usize]) -> Wanted {
    Wanted::These(list.to_vec())
}

fn plan(places: &[(&str, Wanted)]) -> Plan {
    let places = places.iter().map(|(path, wanted)| ((*path).to_owned(), wanted.clone())).collect();
    Plan { places, elsewhere: these(&[7]), unknown: vec![8], ..Plan::default() }
}

/// Datacenters in Paris, New York and Singapore.
fn by_distance() -> Plan {
    let coordinates = vec![Some((48.8, 2.3)), Some((40.7, -74.0)), Some((1.3, 103.8)), None];
    let nearest = std::num::NonZeroUsize::new(2);
    Plan { elsewhere: Wanted::Nearest, coordinates, nearest, ..plan(&[]) }
}

fn find<'m>(map: &'m Map, address: &str) -> (&'m [usize], u8) {
    map.find(address.parse().unwrap())
}

#[test]
fn places_say_what_is_wanted_in_databases_of_all_widths() {
    let places = [
        ("EU", these(&[0])),
        ("EU/FR/Paris", these(&[1, 0])),
        ("NA/US", these(&[2])),
        ("NA/US/NY/buffalo", these(&[])),
    ];
    for width in [24, 28, 32] {
        let map = Map::new(&plan(&places), database(&cities(width))).unwrap();
        for (address, expected) in [
            ("192.0.2.77", (&[1, 0][..], 24)),
            ("2001:db8::1", (&[1, 0], 36)),
            ("198.51.100.1", (&[], 25)),
            ("198.51.100.130", (&[2], 28)),
            // Singapore: no place is.
            ("2001:db8:8000::1", (&[7], 33)),
            // A record that does not say where.
            ("203.0.113.9", (&[7], 24)),
            // No record: up to where one would begin.
            ("198.51.100.200", (&[8], 26)),
            ("10.0.0.1", (&[8], 1)),
            ("2001:db9::1", (&[8], 32)),
            // As IPv4.
            ("::ffff:192.0.2.77", (&[1, 0], 120)),
            ("2002:c000:24d::1", (&[1, 0], 40)),
        ] {
            assert_eq!(find(&map, address), expected, "{address} {width}");
        }
    }
}

#[test]
fn databases_of_one_family_are_of_use_for_that() {
    let mut v4 = Writer::new(4, 24);
    v4.add(&["192.0.2.0/24"], &city("EU", "FR", &[], "", None));
    let map = Map::new(&plan(&[("EU/FR", these(&[1]))]), database(&v4)).unwrap();
    assert_eq!(find(&map, "192.0.2.1"), (&[1][..], 24));
    assert_eq!(find(&map, "64:ff9b::192.0.2.1"), (&[1][..], 120));
    // All of IPv6 is unknown, but what is IPv4 inside.
    assert_eq!(find(&map, "2001:db8::1"), (&[8][..], 21));

    let mut v6 = Writer::new(6, 24);
    v6.add(&["2001:db8::/32"], &city("EU", "FR", &[], "", None));
    let map = Map::new(&plan(&[("EU/FR", these(&[1]))]), database(&v6)).unwrap();
    assert_eq!(find(&map, "2001:db8::1"), (&[1][..], 32));
    assert_eq!(find(&map, "192.0.2.1"), (&[8][..], 0));
    assert_eq!(find(&map, "::ffff:192.0.2.1"), (&[8][..], 96));
}

#[test]
fn the_nearest_are_wanted_where_no_place_says_otherwise() {
    let plan = Plan {
        places: plan(&[("EU/FR", these(&[3])), ("AS/SG", Wanted::Nearest)]).places,
        ..by_distance()
    };
    let map = Map::new(&plan, database(&cities(24))).unwrap();
    assert_eq!(find(&map, "192.0.2.77").0, [3]);
    assert_eq!(find(&map, "198.51.100.1").0, [1, 0]);
    assert_eq!(find(&map, "2001:db8:8000::1").0, [2, 0]);
    // Of the state of New York it is not said where that is.
    assert_eq!(find(&map, "198.51.100.130").0, [8]);
    let plan = Plan { nearest: None, ..by_distance() };
    let map = Map::new(&plan, database(&cities(24))).unwrap();
    assert_eq!(find(&map, "192.0.2.77").0, [0, 1, 2]);
}

#[test]
fn networks_come_before_places() {
    let net = |address: &str, length, list: &[usize]| {
        (address.parse::<IpAddr>().unwrap(), length, list.to_vec())
    };
    let nets =
        vec![net("192.0.2.64", 26, &[5]), net("198.51.0.0", 16, &[6]), net("10.1.0.0", 16, &[])];
    let map = Map::new(
        &Plan { nets: nets.clone(), ..plan(&[("EU", these(&[0]))]) },
        database(&cities(24)),
    );
    let map = map.unwrap();
    for (address, expected) in [
        ("192.0.2.77", (&[5][..], 26)),
        // Of the database, but not for the network beside it.
        ("192.0.2.1", (&[0], 26)),
        ("192.0.2.200", (&[0], 25)),
        // Whatever the database knows within it.
        ("198.51.100.1", (&[6], 16)),
        ("10.1.2.3", (&[], 16)),
        ("10.0.2.3", (&[8], 16)),
    ] {
        assert_eq!(find(&map, address), expected, "{address}");
    }
    // Without a database, too.
    let map = Map::new(&Plan { nets, ..plan(&[]) }, None).unwrap();
    assert_eq!(find(&map, "192.0.2.77"), (&[5][..], 26));
    assert_eq!(find(&map, "192.0.2.1"), (&[8][..], 26));
}

#[test]
fn what_cannot_work_is_refused() {
    let told = |plan: &Plan, database: Option<Arc<Database>>| {
        Map::new(plan, database).unwrap_err().to_string()
    };
    let net = |address: &str, length| (address.parse().unwrap(), length, vec![0]);
    let of_nets = |nets: Vec<_>| Plan { nets, ..plan(&[]) };
    assert_eq!(
        told(&of_nets(vec![net("10.0.0.0", 8), net("10.0.0.0", 8)]), None),
        "net 10.0.0.0/8 is there twice"
    );
    assert_eq!(
        told(&of_nets(vec![net("2002:a00::", 24)]), None),
        "net 2002:a00::/24 is IPv4 inside of IPv6: write it as a network of IPv4"
    );
    let france = plan(&[("EU/FR", these(&[1]))]);
    let nowhere = "without a database nobody knows where clients are: name one, or leave places and coordinates out";
    assert_eq!(told(&france, None), nowhere);
    assert_eq!(told(&by_distance(), None), nowhere);
    assert!(
        told(&plan(&[("FR", these(&[1]))]), None)
            .starts_with("place `FR` begins with no continent")
    );

    let mut networks = Writer::new(4, 24);
    networks.add(
        &["192.0.2.0/24"],
        &Value::Map(vec![("autonomous_system_number", Value::Number(6, 64500))]),
    );
    assert_eq!(
        told(&france, database(&networks)),
        "the database has no record with a continent: places need one of countries or cities"
    );
    let mut countries = Writer::new(4, 24);
    countries.add(&["192.0.2.0/24"], &city("EU", "FR", &[], "", None));
    assert_eq!(
        told(&by_distance(), database(&countries)),
        "the database has no record with coordinates: distances need one of cities"
    );
    assert!(Map::new(&france, database(&countries)).is_ok());
    let here_and_there = Plan { elsewhere: these(&[1]), ..plan(&[("EU", Wanted::Nearest)]) };
    assert!(told(&here_and_there, database(&countries)).contains("no record with coordinates"));
}
