use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes(), None).unwrap()
}

/// Resolvers that there are.
fn resolver(plugin: &str, resource: &str) -> Option<usize> {
    ["multifo!web", "geoip!pubwww"].iter().position(|it| *it == format!("{plugin}!{resource}"))
}

/// Reads files that are no files.
fn load_all(apex: &str, files: &[(&str, &str)]) -> Result<Loaded, Vec<Problem>> {
    let files: BTreeMap<PathBuf, &str> =
        files.iter().map(|(path, text)| (path.into(), *text)).collect();
    let read = |path: &Path| -> io::Result<Vec<u8>> {
        Ok(files.get(path).ok_or(io::ErrorKind::NotFound)?.as_bytes().to_vec())
    };
    Zone::load_by(&name(apex), Path::new("z"), 86_400, &read, &resolver)
}

fn load(text: &str) -> Result<Loaded, Vec<Problem>> {
    load_all("example.org.", &[("z", text)])
}

const HEAD: &str = "@ SOA ns1 host 1 7200 1800 259200 900\n@ NS ns1\nns1 A 192.0.2.1\n";

fn zone(records: &str) -> Zone {
    let loaded = load(&format!("{HEAD}{records}")).unwrap();
    assert_eq!(loaded.warnings, []);
    loaded.zone
}

/// What is found, in words: the data of the records, or where else to go.
fn find(zone: &Zone, text: &str, rtype: Rtype) -> String {
    match zone.find(name(text).wire(), rtype) {
        Found::Nothing => "no name".into(),
        Found::Referral(node, at) => format!("cut after {at}: {}", node.sets().len()),
        Found::Node(node) => match (node.set(rtype), node.dynamic()) {
            (Some(set), _) => format!("{:?}", set.iter().collect::<Vec<_>>()),
            (None, Some(dynamic)) if rtype.is_address() => format!("resolver {}", dynamic.resolver),
            (None, _) => "no data".into(),
        },
    }
}

#[test]
fn the_zone_of_gdnsds_manual_is_read_as_it_is() {
    let text = "\
$TTL 86400
@     SOA ns1 dns-admin (
      1      ; serial
      7200   ; refresh
      30M    ; retry
      3D     ; expire
      900    ; ncache
)
@     NS      ns1.example.org.
@     NS      ns2
@     NS      ns.example.net.
ns1   A       192.0.2.1 ; a comment
ns2.example.org.      A       192.0.2.2
@     7200    MX      10 mail-a
@     7200    MX      100 mail-b
$ttl 86400
mail-a        A 192.0.2.3
mail-b        A 192.0.2.4
subz          NS      ns1.subz
subz          NS      ns2.subz
ns1.subz      A       192.0.2.5
ns2.subz      A       192.0.2.6
www   600/10  DYNA    multifo!web
foo DYNA geoip!pubwww
foo MX 10 mail-a
alias         CNAME   www
_http._tcp    1800    SRV     5 500 80 www
txt           TXT     \"blah blah\" \"blah\"
_spf          TXT     \"v=spf1 ...\"
TYPE31337x    TYPE31337 \\# 10 0123456789 ABCDEF0123
";
    let Loaded { zone, warnings } = load(text).unwrap();
    assert_eq!(warnings, []);
    let dynamic = |text: &str| *zone.node(name(text).wire()).unwrap().dynamic().unwrap();
    let www = Dynamic { resolver: 0, most: 600, least: 10, may_alias: false };
    assert_eq!(dynamic("www.example.org."), www);
    assert_eq!(dynamic("foo.example.org.").least, 43_200);
    // The SOA lives no longer than it says that there is nothing.
    assert_eq!(zone.soa().ttl(), 900);
    let srv = zone.node(name("_http._tcp.example.org.").wire()).unwrap().set(Rtype::SRV).unwrap();
    assert_eq!((srv.ttl(), srv.count()), (1800, 1));
    assert_eq!(find(&zone, "foo.example.org.", Rtype::A), "resolver 1");
    assert_eq!(find(&zone, "_tcp.example.org.", Rtype::A), "no data");
    assert!(find(&zone, "x.subz.example.org.", Rtype::A).starts_with("cut after 2"));
}

#[test]
fn wildcards_are_those_of_rfc_4592() {
    // Section 2.2.1.
    let text = "\
$ORIGIN example.
example.                 3600 IN  SOA ns.example.com. host 1 2 3 4 5
example.                 3600     NS    ns.example.com.
example.                 3600     NS    ns.example.net.
*.example.               3600     TXT   \"this is a wildcard\"
*.example.               3600     MX    10 host1.example.
sub.*.example.           3600     TXT   \"this is not a wildcard\"
host1.example.           3600     A     192.0.2.1
_ssh._tcp.host1.example. 3600     SRV   0 0 22 host1
_ssh._tcp.host2.example. 3600     SRV   0 0 22 host1
subdel.example.          3600     NS    ns.example.com.
subdel.example.          3600     NS    ns.example.net.
";
    let zone = load_all("example.", &[("z", text)]).unwrap().zone;
    let host1 = b"\0\x0a\x05host1\x07example\0";
    let wildcard = format!("{:?}", [host1]);
    let text = format!("{:?}", [b"\x12this is a wildcard"]);
    for (asked, rtype, expected) in [
        ("host3.example.", Rtype::MX, &*wildcard),
        ("host3.example.", Rtype::A, "no data"),
        ("foo.bar.example.", Rtype::TXT, &text),
        ("host1.example.", Rtype::MX, "no data"),
        ("sub.*.example.", Rtype::MX, "no data"),
        ("_telnet._tcp.host1.example.", Rtype::SRV, "no name"),
        ("host.subdel.example.", Rtype::A, "cut after 5: 1"),
        ("ghost.*.example.", Rtype::MX, "no name"),
        // An empty name in between, and the wildcard itself.
        ("_tcp.host2.example.", Rtype::TXT, "no data"),
        ("host2.example.", Rtype::TXT, "no data"),
        ("*.example.", Rtype::TXT, &text),
    ] {
        assert_eq!(find(&zone, asked, rtype), expected, "{asked} {rtype}");
    }
}

#[test]
fn delegations_hide_what_is_below_them_but_for_their_ds() {
    let zone = zone(
        "sub NS ns.sub\nsub NS ns.other.net.\nsub DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123\n\
         ns.sub A 192.0.2.9\n*.x A 192.0.2.7\n\
         a.b.deep NS ns1\n",
    );
    for (asked, rtype, is_referral) in [
        ("sub.example.org.", Rtype::A, true),
        ("sub.example.org.", Rtype::NS, true),
        ("ns.sub.example.org.", Rtype::A, true),
        ("no.ns.sub.example.org.", Rtype::DS, true),
        ("sub.example.org.", Rtype::DS, false),
        ("deep.example.org.", Rtype::A, false),
        ("b.deep.example.org.", Rtype::NS, false),
        ("q.a.b.deep.example.org.", Rtype::NS, true),
        ("example.org.", Rtype::NS, false),
    ] {
        let found = find(&zone, asked, rtype);
        assert_eq!(found.starts_with("cut"), is_referral, "{asked} {rtype}: {found}");
    }
    let long = format!("{}x.example.org.", "a.".repeat(119));
    assert_eq!(find(&zone, &long, Rtype::A), format!("{:?}", [[192, 0, 2, 7]]));
}

#[test]
fn origins_and_included_files_are_those_of_gdnsds_manual() {
    let files = [
        (
            "z",
            "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n$INCLUDE i/foo foo\nafter A 192.0.2.8\n",
        ),
        (
            "i/foo",
            "$ORIGIN bar\nasdf A 192.0.2.1\n$ORIGIN baz.@F\nasdf A 192.0.2.2\n$ORIGIN quux.@Z\nasdf A 192.0.2.3\n\
             $INCLUDE more @F\n$TTL 7\n",
        ),
        ("i/more", "m CNAME asdf.bar.@F\n@ TXT \"@Z\"\n"),
    ];
    let zone = load_all("example.org.", &files).unwrap().zone;
    for (asked, last) in [
        ("asdf.bar.foo.example.org.", 1),
        ("asdf.baz.foo.example.org.", 2),
        ("asdf.quux.example.org.", 3),
        ("after.example.org.", 8),
    ] {
        assert_eq!(find(&zone, asked, Rtype::A), format!("{:?}", [[192, 0, 2, last]]));
    }
    let first = [("z", &*format!("{HEAD}$INCLUDE i/foo foo\n")), ("i/foo", " TXT a\nb TXT b\n")];
    let zone_of_first = load_all("example.org.", &first).unwrap().zone;
    // As with gdnsd a file begins with the zone's name, whatever its origin.
    assert_eq!(find(&zone_of_first, "example.org.", Rtype::TXT), format!("{:?}", [b"\x01a"]));
    let alias = b"\x04asdf\x03bar\x03foo\x07example\x03org\0";
    assert_eq!(find(&zone, "m.foo.example.org.", Rtype::CNAME), format!("{:?}", [alias]));
    assert_eq!(find(&zone, "foo.example.org.", Rtype::TXT), format!("{:?}", [b"\x02@Z"]));
    let after = zone.node(name("after.example.org.").wire()).unwrap();
    assert_eq!(after.sets()[0].ttl(), 86_400, "what an included file says holds there");
}

/// Line and text of what is wrong with a zone that ends in this.
fn problems(records: &str) -> Vec<(usize, String)> {
    let problems = load(&format!("{HEAD}{records}")).expect_err(records);
    problems.into_iter().map(|problem| (problem.place.line, problem.why.to_string())).collect()
}

#[test]
fn everything_that_is_wrong_is_told_with_its_line() {
    for (records, line, expected) in [
        ("x A 1.2.3", 4, "no IPv4 address"),
        ("x BOGUS y", 4, "BOGUS"),
        ("x 60", 4, "ends before its type"),
        ("x CH TXT y", 4, "class CH"),
        ("x TYPE255 \\# 0", 4, "ANY is not for zone files"),
        ("x.example.com. A 192.0.2.1", 4, "not within the zone"),
        ("x 99999999999 A 192.0.2.1", 4, "no time"),
        ("x 10/20 DYNA multifo!web", 4, "no range"),
        ("x DYNA multifo", 4, "no resolver multifo "),
        ("x DYNA multifo!", 4, "PLUGIN!RESOURCE"),
        ("x DYNA !web", 4, "PLUGIN!RESOURCE"),
        ("x DYNA multifo!web web", 4, "PLUGIN!RESOURCE"),
        ("x DYNA multifo!none", 4, "no resolver multifo!none"),
        ("x DYNA multifo!web\nx A 192.0.2.1", 5, "exclude each other"),
        ("x AAAA ::1\nx DYNA multifo!web", 5, "exclude each other"),
        ("x DYNA multifo!web\nx DYNA multifo!web", 5, "more than one"),
        ("x DYNA multifo!web\nx CNAME y", 5, "CNAME record, and others"),
        ("x CNAME y\nx DYNA multifo!web", 5, "CNAME record, and others"),
        ("x CNAME y\nx TXT a", 5, "CNAME record, and others"),
        ("x TXT a\nx CNAME y", 5, "CNAME record, and others"),
        ("x CNAME y\nx CNAME z", 5, "more than one CNAME"),
        ("x DYNC multifo!web\nx TXT a", 5, "DYNC record, and others"),
        ("x TXT a\nx DYNC multifo!web", 5, "DYNC record, and others"),
        ("@ DYNC multifo!web", 4, "at the apex"),
        ("x SOA a b 1 2 3 4 5", 4, "at its apex"),
        ("@ SOA a b 1 2 3 4 5", 4, "at its apex"),
        ("x NS y.x", 4, "the name server y.x.example.org."),
        ("@ NS y", 4, "the name server y.example.org."),
        ("@ NS y\ny DYNA multifo!web", 4, "the name server y.example.org."),
        ("x NS ns1\ny.x TXT a", 5, "below the delegation x.example.org."),
        ("x NS ns1\ny.x DYNA multifo!web", 5, "below the delegation"),
        ("$ORIGIN example.com.", 4, "not within the zone"),
        ("$INCLUDE none", 4, "none cannot be read"),
        ("$INCLUDE z", 4, "16 deep"),
        ("$TTL", 4, "takes one time"),
        ("$GENERATE 1-2 a$ A 192.0.2.$", 4, "$TTL, $ORIGIN and $INCLUDE"),
        ("x TXT \"a", 4, "a quotation does not end"),
        ("*.x NS ns1", 4, "nothing can be delegated there"),
        ("x DNAME example.net.", 4, "DNAME is not served"),
        ("x TYPE1 \\# 4 01020304", 4, "write the data of A as what they mean"),
        ("x NS y.w\n*.w TXT a", 4, "the name server y.w.example.org."),
        ("x (", 4, "not closed"),
    ] {
        let all = problems(records);
        let found = all.iter().any(|(at, why)| *at == line && why.contains(expected));
        assert!(found, "{records:?}: {all:?}");
    }
    let why =
        |text: &str| load(text).unwrap_err().iter().map(ToString::to_string).collect::<String>();
    assert!(why("ns A 192.0.2.1\n").contains("z:0: the zone example.org. has no SOA record"));
    assert!(why("@ SOA a b 1 2 3 4 5\n").contains("has no NS records"));
    assert!(load_all("example.org.", &[]).unwrap_err()[0].to_string().contains("z cannot be read"));
}

#[test]
fn what_looks_odd_is_told_and_served() {
    let text = format!("{HEAD}x 60 A 192.0.2.1\nx 30 A 192.0.2.2\nx A 192.0.2.1\n");
    let Loaded { zone, warnings } = load(&text).unwrap();
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert!(said[0].starts_with("z:5: ") && said[0].contains("60 s is taken"), "{said:?}");
    assert!(said[1].starts_with("z:6: ") && said[1].contains("already"), "{said:?}");
    let x = zone.node(name("x.example.org.").wire()).unwrap().set(Rtype::A).unwrap();
    assert_eq!((x.count(), x.ttl()), (2, 60));
}

#[test]
fn records_that_no_message_could_carry_are_refused() {
    let one = format!("x TXT {}\n", vec!["a".repeat(255); 60].join(" "));
    let all: String = (0..5).map(|n| one.replace("x TXT a", &format!("x TXT {n}"))).collect();
    let why = &problems(&all)[0].1;
    assert!(why.contains("do not fit into a message"), "{why}");
}

#[test]
fn mutated_files_are_refused_or_read_and_nothing_panics() {
    let seed = format!(
        "{HEAD}www 600/10 DYNA multifo!web\nx TXT \"a b\\\"c\" d ( e\n f )\ns SRV 1 2 3 www\n\
         sub NS ns.sub\nns.sub A 192.0.2.9\nt TYPE31337 \\# 3 01 02FF\n*.w A 192.0.2.7\n$ORIGIN o\n\
         n NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:i@e!\" .\nc CAA 0 issue \"ca\"\nh HTTPS 1 . alpn=h2"
    );
    let mut random = fastrand::Rng::with_seed(7);
    let pieces = [
        "\"",
        "\\",
        "(",
        ")",
        ";",
        "\n",
        " ",
        ".",
        "@Z",
        "\\#",
        "\\255",
        "$TTL ",
        "\u{e9}",
        "\0",
        "99999999999",
    ];
    let (mut read, mut panics) = (0, 0);
    for _ in 0..20_000 {
        let mut text = seed.clone().into_bytes();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..text.len().max(1));
            if text.is_empty() {
                break;
            }
            match random.u8(..4) {
                0 => text[at] = random.u8(..),
                1 => drop(text.remove(at)),
                2 => text.truncate(at + 1),
                _ => drop(text.splice(at..at, random.choice(pieces).unwrap().bytes())),
            }
        }
        let file = |_: &Path| -> io::Result<Vec<u8>> { Ok(text.clone()) };
        match Zone::load_by(&name("example.org."), Path::new("z"), 86_400, &file, &resolver) {
            Ok(loaded) => {
                read += 1;
                assert!(loaded.zone.soa().count() == 1);
            }
            Err(problems) => {
                panics += usize::from(problems.iter().any(|problem| problem.why == Why::Panic));
                assert!(!problems.is_empty());
            }
        }
    }
    assert!(read > 100 && panics == 0, "{read} read, {panics} panics");
}
