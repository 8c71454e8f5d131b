//! `[[dns]]`, `[[zone]]` and `[[resolver]]`.

use std::time::Duration;

use config::{Config, Datacenter, Dns, Multifo, Plugin, Share, Targets, WeightedTarget};
use dns::limit::Rate;
use dns::resolve::{Few, Reflect};
use health::Kind;

use crate::{good, problems};

const EVERY_KEY: &str = include_str!("every_key.toml");
/// As much as a dns node with a file of its own needs.
const ALONE: &str = "\
[site]
name = \"world\"
hash_key = \"000102030405060708090a0b0c0d0e0f\"
[[dns]]
name = \"dns-1\"
listen = [\"192.0.2.53\"]
";

fn resolver<'c>(config: &'c Config, plugin: &str, resource: &str) -> &'c Plugin {
    &config.resolvers[config.resolver(plugin, resource).expect(resource)].plugin
}

#[test]
fn every_key_of_a_dns_node_and_its_zones() {
    let config = good(EVERY_KEY);
    let tls = config.dns[0].tls.clone().unwrap();
    assert_eq!(tls.listen, ["192.0.2.53:853".parse().unwrap()]);
    assert_eq!(tls.tls.certificates.len(), 1);
    let expected = Dns {
        name: "dns-1".into(),
        listen: vec!["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:5353".parse().unwrap()],
        addresses: vec!["192.0.2.3".parse().unwrap()],
        tls: Some(tls),
        workers: Some(2),
        id: Some("par-1".into()),
        version: Some("palier".into()),
        max_udp: 1400,
        max_nocookie: 600,
        rate_limit: Some(Rate { per_second: 100, slip: 3 }),
        max_connections: 50,
        forced: Some("/var/lib/palier/admin_state".into()),
    };
    assert_eq!(config.dns, [expected]);
    let zone = &config.zones[0];
    assert_eq!((zone.name.as_str(), zone.default_ttl, zone.strict), ("example.org", 3600, true));
    assert_eq!(zone.file.to_str(), Some("example.org.zone"));
}

#[test]
fn every_key_of_resolvers() {
    let config = good(EVERY_KEY);
    let Plugin::Multifo(all) = resolver(&config, "multifo", "all") else { panic!() };
    let Multifo { targets, up_thresh, too_few, ignore_health, answers, sticky } = all;
    assert_eq!((*up_thresh, *too_few), (Share(250_000), Few::LastKnown));
    assert_eq!((*ignore_health, *answers, *sticky), (true, Some(2), true));
    assert_eq!((targets.addresses.len(), targets.checks.len()), (2, 1));
    assert!(matches!(targets.checks[0].check.kind, Kind::Tcp(_)));
    assert_eq!(targets.checks[0].port, 80);
    let Plugin::Weighted(some) = resolver(&config, "weighted", "some") else { panic!() };
    assert!(some.multi && some.checks.is_empty());
    let members: Vec<_> =
        some.members.iter().map(|one| (one.weight, one.group.as_deref())).collect();
    assert_eq!(members, [(3, Some("a")), (1, None)]);
    assert_eq!(some.members[1].target, WeightedTarget::Address("203.0.113.2".parse().unwrap()));
    let Plugin::Metafo(www) = resolver(&config, "metafo", "www") else { panic!() };
    let own = config.resolver("metafo", "www").unwrap();
    assert!(www.skip_first && www.datacenters.iter().all(|one| one.resolver < own));
    assert_eq!(config.resolver("metafo", "www/par1"), config.resolver("multifo", "all"));
    let Plugin::Multifo(lon) = resolver(&config, "metafo", "www/lon1") else { panic!() };
    assert_eq!(lon.targets.addresses, ["203.0.113.9".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(resolver(&config, "reflect", "me"), &Plugin::Reflect(Reflect::Both));
    // What gdnsd has without a word of the file.
    assert_eq!(resolver(&config, "reflect", "dns"), &Plugin::Reflect(Reflect::Dns));
    assert_eq!(config.resolver("multifo", "www"), None);
    assert_eq!(config.resolver("metafo", "www/nyc1"), None);
}

#[test]
fn a_file_of_its_own_needs_little() {
    let config = good(&format!(
        "{ALONE}tls = {{ listen = [\"192.0.2.53:8853\"], certificates = [\"/c.pem\"] }}\n"
    ));
    let dns = &config.dns[0];
    assert_eq!(dns.addresses, ["192.0.2.53".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((dns.id.as_deref(), dns.version.as_deref()), (Some("dns-1"), None));
    assert_eq!((dns.max_udp, dns.max_nocookie, dns.max_connections), (1232, 512, 1000));
    assert_eq!(dns.rate_limit, Some(Rate { per_second: 200, slip: 2 }));
    let silent = good(&format!("{ALONE}id = \"\"\nrate_limit = false\n"));
    assert_eq!((&silent.dns[0].id, silent.dns[0].rate_limit), (&None, None));
}

#[test]
fn a_service_stands_for_its_vips_and_its_checks() {
    let least = include_str!("least.toml");
    let more = "check.http = { path = \"/up\" }\n[[resolver]]\nname = \"web\"\nplugin = \"multifo\"\nservice = \"web\"\n\
        [[resolver]]\nname = \"own\"\nplugin = \"multifo\"\nservice = \"web\"\naddresses = [\"203.0.113.1\"]\n\
        check.tcp = true\ncheck.interval = \"7s\"\n";
    let config = good(&[least, more].concat());
    let targets = |name: &str| -> Targets {
        let Plugin::Multifo(multifo) = resolver(&config, "multifo", name) else { panic!() };
        multifo.targets.clone()
    };
    let web = targets("web");
    assert_eq!(web.addresses, ["198.51.100.1".parse::<std::net::IpAddr>().unwrap()]);
    assert!(matches!(web.checks[0].check.kind, Kind::Http(_)));
    assert_eq!(web.checks[0].port, 80);
    let own = targets("own");
    assert_eq!((own.addresses.len(), own.checks.len(), own.checks[0].port), (2, 1, 80));
    assert_eq!(own.checks[0].check.timing.interval, Duration::from_secs(7));
}

#[test]
fn resolvers_stand_in_any_order() {
    let text = "[[resolver]]\nname = \"a\"\nplugin = \"metafo\"\ndatacenters = [{ name = \"x\", resolver = \"b\" }]\n\
        [[resolver]]\nname = \"b\"\nplugin = \"static\"\naddresses = [\"192.0.2.1\"]\n\
        [[resolver]]\nname = \"b\"\nplugin = \"null\"\n\
        [[resolver]]\nname = \"c\"\nplugin = \"metafo\"\ndatacenters = [{ name = \"x\", resolver = \"static!b\" }]\n";
    let said = problems(&[ALONE, text].concat());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("several plugins have a [[resolver]] of this name"), "{said:?}");
    let config =
        good(&[ALONE, &text.replace("resolver = \"b\"", "resolver = \"static!b\"")].concat());
    let b = config.resolver("static", "b").unwrap();
    for name in ["a", "c"] {
        let Plugin::Metafo(metafo) = resolver(&config, "metafo", name) else { panic!() };
        assert_eq!(metafo.datacenters, [Datacenter { name: "x".into(), resolver: b }]);
        assert!(b < config.resolver("metafo", name).unwrap());
    }
}

#[test]
fn everything_that_is_wrong_is_told_with_its_place() {
    let multifo =
        |keys: &str| format!("[[resolver]]\nname = \"r\"\nplugin = \"multifo\"\n{keys}\n");
    for (text, line, expected) in [
        ("listen = []".to_owned(), 7, "duplicate key"),
        ("[[dns]]\nname = \"dns-1\"\nlisten = [\"192.0.2.54\"]".into(), 8, "another [[dns]] has the name"),
        ("[[dns]]\nname = \"dns-2\"\nlisten = [\"0.0.0.0\"]".into(), 9, "name each address"),
        ("[[dns]]\nname = \"dns-2\"\nlisten = [\"192.0.2.54:0\"]".into(), 9, "is not ADDRESS or ADDRESS:PORT"),
        ("tls = { listen = [\"192.0.2.53:53\"], certificates = [\"/c.pem\"] }".into(), 7, "DNS is spoken without TLS"),
        ("tls = { listen = [\"192.0.2.53\"], frontend = \"web\" }".into(), 7, "is not the name of a [[frontend]]"),
        ("max_udp_response = 100".into(), 7, "from 512 to 4096"),
        ("[[zone]]\nname = \"a..b\"\nfile = \"z\"".into(), 8, "is not the name of a zone"),
        ("[[zone]]\nname = \"a\"\nfile = \"z\"\n[[zone]]\nname = \"A.\"\nfile = \"y\"".into(), 11, "another [[zone]]"),
        ("[[zone]]\nname = \"a\"".into(), 7, "`file` is missing"),
        (multifo(""), 7, "`service` or `addresses` is missing"),
        (multifo("service = \"web\""), 10, "is not the name of a [[service]]"),
        (multifo("addresses = [\"192.0.2.1\"]\nup_thresh = 1.5"), 11, "is not a share above 0"),
        (multifo("addresses = [\"192.0.2.1\"]\ntoo_few = \"some\""), 11, "is not one of"),
        (multifo("addresses = [\"192.0.2.1\"]\ncheck.http = true"), 11, "`port` is missing"),
        (multifo("addresses = [\"192.0.2.1\"]\nmulti = true"), 11, "this is not for `plugin = \"multifo\"`"),
        (multifo("addresses = [\"192.0.2.1\"]").replace("multifo", "multiof"), 9, "did you mean \"multifo\"?"),
        (multifo("addresses = [\"192.0.2.1\"]").repeat(2), 12, "another [[resolver]] of plugin multifo"),
        (multifo("addresses = [\"192.0.2.1\"]").replace("multifo", "geoip"), 10, "this is not for `plugin = \"geoip\"`"),
        (
            "[[resolver]]\nname = \"r\"\nplugin = \"geoip\"\ndatacenters = [{ name = \"x\", addresses = [\"192.0.2.1\"] }]\nnets = { \"10.0.0.0/8\" = [\"y\"] }".into(),
            11,
            "is not the name of a datacenter",
        ),
        (
            "[[resolver]]\nname = \"r\"\nplugin = \"geoip\"\ndatacenters = [{ name = \"x\", addresses = [\"192.0.2.1\"] }]\nplaces = { EU = [\"x\"] }".into(),
            7,
            "`places` is of no use without `database`",
        ),
        (
            "[[resolver]]\nname = \"r\"\nplugin = \"simplefo\"\naddresses = [\"192.0.2.1\", \"192.0.2.2\", \"192.0.2.3\"]".into(),
            7,
            "more than two IPv4 addresses",
        ),
        (
            "[[resolver]]\nname = \"r\"\nplugin = \"weighted\"\nmembers = [{ address = \"192.0.2.1\" }, { name = \"a.b\" }]".into(),
            10,
            "an answer is either",
        ),
        (
            "[[resolver]]\nname = \"r\"\nplugin = \"metafo\"\ndatacenters = [{ name = \"x\", resolver = \"rr\" }]".into(),
            10,
            "is not the name of a [[resolver]]",
        ),
        (
            "[[resolver]]\nname = \"r\"\nplugin = \"metafo\"\ndatacenters = [{ name = \"x\", resolver = \"r\" }]".into(),
            10,
            "they would never end",
        ),
    ] {
        let said = problems(&[ALONE, &text].concat());
        let place = format!("{line}:");
        let found = said.iter().any(|one| one.starts_with(&place) && one.contains(expected));
        assert!(found, "{text}\n{said:#?}");
    }
}

#[test]
fn a_node_does_not_check_what_it_holds_itself() {
    let least = include_str!("least.toml");
    let more = "check.http = { path = \"/up\" }\n[[dns]]\nname = \"l7-1\"\nlisten = [\"192.0.2.53\"]\n\
        [[resolver]]\nname = \"web\"\nplugin = \"multifo\"\nservice = \"web\"\n";
    let said = problems(&[least, more].concat());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("resolver web checks 198.51.100.1, a VIP of service web"), "{said:?}");
    good(&[least, &more.replace("\"l7-1\"\nlisten", "\"l4-1\"\nlisten")].concat());
    // A file says how it is without asking anybody.
    good(&[least, more, "check.file = { path = \"/etc/lb/ext\", content = \"words\" }\n"].concat());
}
