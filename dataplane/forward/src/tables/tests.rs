use super::*;

const SITE: &str = r#"{
        "generation": 7,
        "addresses": ["192.0.2.132", "2001:db8::c000:284"],
        "routers": ["192.0.2.128/29", "2001:db8::82"],
        "management": ["10.0.0.0/8"],
        "nodes": [
            {"name": "both", "index": 1, "addresses": ["192.0.2.140", "2001:db8::c000:28c"],
             "probe_ports": {"first": 20010, "last": 20019}},
            {"name": "four", "index": 2, "addresses": ["192.0.2.141"],
             "probe_ports": {"first": 20000, "last": 20009}},
            {"name": "six", "index": 1023, "addresses": ["2001:db8::c000:28d"],
             "probe_ports": {"first": 20030, "last": 20030}}
        ],
        "services": [
            {"name": "web", "vips": ["198.51.100.1"], "protocol": "tcp", "ports": {"list": [80]},
             "rows": 1009, "nodes": [{"node": 1}, {"node": 2}, {"node": 1023}]}
        ]
    }"#;

fn site() -> Snapshot {
    serde_json::from_str(SITE).unwrap()
}

fn key() -> HashKey {
    "000102030405060708090a0b0c0d0e0f".parse().unwrap()
}

/// Numbers services from 0 in the order of their names' appearance.
#[derive(Default)]
struct Names(Vec<String>, CellNumbers);

impl Names {
    fn build(
        &mut self,
        snapshot: &Snapshot,
        previous: Option<&Tables>,
        now: u32,
    ) -> Result<Tables, Vec<String>> {
        let Self(names, cells) = self;
        let mut number = |name: &str| {
            let known = names.iter().position(|n| n == name);
            let number = known.unwrap_or_else(|| {
                names.push(name.into());
                names.len() - 1
            });
            (number < 3).then_some(number as u16)
        };
        let mut numbers = Numbers { service: &mut number, cells };
        Tables::build(snapshot, key(), previous, &mut numbers, Tick::new(now))
    }
}

fn tables(snapshot: &Snapshot) -> Tables {
    Names::default().build(snapshot, None, 1).unwrap()
}

#[test]
fn a_probes_source_port_tells_its_node() {
    let tables = tables(&site());
    for (port, node) in [
        (0, None),
        (19_999, None),
        (20_000, Some(2)),
        (20_009, Some(2)),
        (20_010, Some(1)),
        (20_019, Some(1)),
        (20_020, None),
        (20_029, None),
        (20_030, Some(1023)),
        (20_031, None),
        (65_535, None),
    ] {
        assert_eq!(tables.probed(port), node, "{port}");
    }
}

#[test]
fn a_packet_is_tunnelled_over_its_own_family_where_both_ends_have_it() {
    let (own4, own6) = ("192.0.2.132", "2001:db8::c000:284");
    let (four, six) = ("192.0.2.140", "2001:db8::c000:28c");
    for (own, node, ipv6, expected) in [
        (&[own4, own6][..], 1, false, Some((own4, four))),
        (&[own4, own6], 1, true, Some((own6, six))),
        (&[own6, own4], 1, false, Some((own4, four))),
        (&[own4, own6], 2, true, Some((own4, "192.0.2.141"))),
        (&[own4, own6], 1023, false, Some((own6, "2001:db8::c000:28d"))),
        (&[own4], 1, true, Some((own4, four))),
        (&[own6], 1, false, Some((own6, six))),
        (&[own4, own6], 3, false, None),
        (&[own4, own6], 1024, false, None),
    ] {
        let mut tables = tables(&site());
        tables.own = own.iter().map(|address| address.parse().unwrap()).collect();
        let found = tables.tunnel(node, ipv6).map(|(from, to)| (from.to_string(), to.to_string()));
        let expected = expected.map(|(from, to)| (from.to_string(), to.to_string()));
        assert_eq!(found, expected, "{own:?} {node} {ipv6}");
    }
    let mut apart = tables(&site());
    apart.own = vec![own4.parse().unwrap()];
    assert_eq!(apart.tunnel(1023, true), None, "no family in common");
}

#[test]
fn flows_are_released_in_the_first_tick_that_begins_no_sooner() {
    for (state, release, tick) in [
        (State::Down, Release::At(0), Tick::new(0)),
        (State::Down, Release::At(1), Tick::new(1)),
        (State::Down, Release::At(256), Tick::new(1)),
        (State::Maintenance, Release::At(257), Tick::new(2)),
        (State::Maintenance, Release::At(512), Tick::new(2)),
        (State::Down, Release::At(u64::MAX), Tick::from_boot_ms(u64::MAX)),
        (State::Down, Release::Never, Tick::NEVER),
        (State::Maintenance, Release::Never, Tick::NEVER),
        (State::Up, Release::Never, Tick::NEVER),
        (State::Joining, Release::Never, Tick::NEVER),
        (State::Drain, Release::Never, Tick::NEVER),
    ] {
        let mut site = site();
        let member = &mut site.services[0].nodes[1];
        (member.state, member.release) = (state, release);
        let tables = tables(&site);
        assert_eq!(tables.services[0].members[2].release, tick, "{state:?} {release:?}");
        let service = &tables.services[0];
        let before = tick.number().checked_sub(1).map(Tick::new);
        assert!(before.is_none_or(|before| service.holds(2, before).is_some()));
        assert!(service.holds(2, tick).is_none());
    }
}

#[test]
fn who_is_not_in_a_service_holds_none_of_its_flows() {
    let mut site = site();
    site.services[0].nodes.remove(1);
    let tables = tables(&site);
    for node in [0, 2, 3, 1024, u16::MAX] {
        assert!(tables.services[0].holds(node, Tick::new(0)).is_none(), "{node}");
    }
}

#[test]
fn routers_and_operators_are_known_by_their_prefixes() {
    let tables = tables(&site());
    for (address, router, management) in [
        ("192.0.2.130", true, false),
        ("192.0.2.136", false, false),
        ("2001:db8::82", true, false),
        ("10.255.0.1", false, true),
        ("2001:db8::83", false, false),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(tables.is_router(address), router, "{address}");
        assert_eq!(tables.is_management(address), management, "{address}");
    }
}

fn served(allow: &[&str], deny: &[&str], source: &str) -> bool {
    let mut site = site();
    let prefixes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    (site.services[0].allow, site.services[0].deny) = (prefixes(allow), prefixes(deny));
    let tables = tables(&site);
    let service = &tables.services[0];
    assert_eq!(service.sources.is_none(), allow.is_empty() && deny.is_empty());
    service.serves(source.parse().unwrap())
}

#[test]
fn the_longest_prefix_of_both_lists_decides_who_is_served() {
    for (allow, deny, source, expected) in [
        (&[][..], &[][..], "203.0.113.1", true),
        (&["203.0.113.0/24"], &[], "203.0.113.1", true),
        (&["203.0.113.0/24"], &[], "203.0.114.1", false),
        (&["203.0.113.0/24"], &[], "2001:db8::1", false),
        (&[], &["203.0.113.0/24"], "203.0.113.1", false),
        (&[], &["203.0.113.0/24"], "203.0.114.1", true),
        (&[], &["203.0.113.0/24"], "2001:db8::1", true),
        (&[], &["::/0"], "2001:db8::1", false),
        (&[], &["0.0.0.0/0"], "203.0.113.1", false),
        (&["203.0.113.0/24"], &["203.0.113.128/25"], "203.0.113.127", true),
        (&["203.0.113.0/24"], &["203.0.113.128/25"], "203.0.113.128", false),
        (&["203.0.113.128/25"], &["203.0.113.0/24"], "203.0.113.128", true),
        (&["203.0.113.128/25"], &["203.0.113.0/24"], "203.0.113.127", false),
        (&["203.0.113.0/24"], &["203.0.113.0/24"], "203.0.113.1", false),
        (&["2001:db8::/32"], &["2001:db8:1::/48"], "2001:db8:1::1", false),
        (&["2001:db8::/32"], &["2001:db8:1::/48"], "2001:db8:2::1", true),
    ] {
        assert_eq!(served(allow, deny, source), expected, "{allow:?} {deny:?} {source}");
    }
}

#[test]
fn services_of_equal_nodes_and_rows_share_their_table() {
    let mut site = site();
    let mut other = site.services[0].clone();
    (other.name, other.vips) = ("other".into(), vec!["198.51.100.2".parse().unwrap()]);
    let mut third = other.clone();
    (third.name, third.vips) = ("third".into(), vec!["198.51.100.3".parse().unwrap()]);
    third.nodes[0].weight = 2;
    site.services.extend([other, third]);
    let tables = tables(&site);
    let balance = |i: usize| tables.services[i].balance.as_ref().unwrap();
    assert!(Arc::ptr_eq(&balance(0).maglev, &balance(1).maglev));
    assert!(!Arc::ptr_eq(&balance(0).maglev, &balance(2).maglev));
}

#[test]
fn a_table_that_did_not_change_is_taken_over_from_the_snapshot_before() {
    let mut names = Names::default();
    let before = names.build(&site(), None, 1).unwrap();
    let mut changed = site();
    changed.generation = 8;
    changed.services[0].nodes.reverse();
    let after = names.build(&changed, Some(&before), 2).unwrap();
    assert_eq!(after.generation, 8);
    let balance = |tables: &Tables| tables.services[0].balance.clone().unwrap();
    assert!(Arc::ptr_eq(&balance(&before), &balance(&after)));

    changed.services[0].nodes[0].weight = 0;
    let later = names.build(&changed, Some(&after), 3).unwrap();
    let (old, new) = (balance(&after), balance(&later));
    for row in 0..new.maglev.rows() {
        let moved = old.maglev.owner(row) != new.maglev.owner(row);
        assert_eq!(new.changed(row), Tick::new(if moved { 3 } else { 1 }));
    }
}

#[test]
fn services_that_come_to_share_a_table_have_their_own_histories() {
    let mut names = Names::default();
    let mut site = site();
    let mut other = site.services[0].clone();
    (other.name, other.vips) = ("other".into(), vec!["198.51.100.2".parse().unwrap()]);
    other.nodes.pop();
    site.services.push(other);
    let before = names.build(&site, None, 1).unwrap();
    site.services[1].nodes = site.services[0].nodes.clone();
    let after = names.build(&site, Some(&before), 2).unwrap();
    let [old, new] = [&before, &after].map(|tables| {
        let balance = |i: usize| tables.services[i].balance.clone().unwrap();
        [balance(0), balance(1)]
    });
    assert!(Arc::ptr_eq(&new[0].maglev, &new[1].maglev));
    for row in 0..new[1].maglev.rows() {
        let moved = old[1].maglev.owner(row) != new[1].maglev.owner(row);
        assert_eq!(new[0].changed(row), Tick::new(1));
        assert_eq!(new[1].changed(row), Tick::new(if moved { 2 } else { 1 }));
    }
}

#[test]
fn of_services_with_one_name_each_goes_on_from_its_own_table() {
    let mut names = Names::default();
    let mut split = site();
    let mut second = split.services[0].clone();
    second.vips = vec!["198.51.100.2".parse().unwrap()];
    second.nodes[0].weight = 3;
    split.services.push(second);
    let before = names.build(&split, None, 1).unwrap();
    assert_eq!(before.services[0].index, before.services[1].index);
    split.services.reverse();
    let after = names.build(&split, Some(&before), 2).unwrap();
    for (i, j) in [(0, 1), (1, 0)] {
        let [old, new] = [&before.services[i], &after.services[j]].map(|s| &s.balance);
        assert!(Arc::ptr_eq(old.as_ref().unwrap(), new.as_ref().unwrap()));
    }
}

#[test]
fn a_service_without_a_number_is_refused() {
    let mut site = site();
    for i in 2..=4 {
        let mut service = site.services[0].clone();
        service.name = format!("service {i}");
        service.vips = vec![format!("198.51.100.{i}").parse().unwrap()];
        site.services.push(service);
    }
    let error = Names::default().build(&site, None, 1).unwrap_err();
    assert_eq!(error, ["service service 4: there are too many services"]);
}

#[test]
fn a_bad_snapshot_numbers_nothing() {
    let mut names = Names::default();
    let mut bad = site();
    bad.services[0].rows = 4;
    let error = names.build(&bad, None, 1).unwrap_err();
    assert_eq!(error.len(), 1);
    assert!(names.0.is_empty() && names.1.iter().next().is_none());
}

#[test]
fn a_node_that_left_is_still_counted_in_its_cell() {
    let mut names = Names::default();
    let before = names.build(&site(), None, 1).unwrap();
    let cell = before.services[0].members[1023].cell;
    let mut without = site();
    without.services[0].nodes.pop();
    let after = names.build(&without, Some(&before), 2).unwrap();
    assert_eq!(after.cell(0, 1023), cell);
    without.services.clear();
    let after = names.build(&without, Some(&after), 3).unwrap();
    assert_eq!((after.cell(0, 1023), after.cell(0, 3)), (cell, Cell::OVERFLOW));
}
