//! Side by side with gdnsd: the same zone, the same health, the same questions, the same answers; where they
//! differ it is said here, and why.

use system_tests::SOON;
use system_tests::dns::gdnsd::{Gdnsd, exchange, told};
use system_tests::dns::{A, AAAA, DnsNode, Files, Message, free, question};

/// What gdnsd's manuals and the article have, and what is easily done otherwise.
const ZONE: &str = "\
$TTL 1H
@ SOA ns1 hostmaster ( 1 7200 30M 259200 900 )
@ NS ns1
@ NS ns2.example.com.
@ MX 10 smtp
@ MX 20 smtp2.example.net.
@ 60/60 DYNA multifo!web
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
www 300/300 DYNA multifo!web
dyc 300/300 DYNC multifo!web
simple 300/300 DYNA simplefo!two
meta 300/300 DYNA metafo!www
direct 300/300 DYNA metafo!www/lon1
fixed 300/300 DYNA static!one
smtp A 198.51.100.99
smtp2 CNAME smtp
chain CNAME smtp2
out CNAME www.example.com.
todyna CNAME www
txt TXT \"one\" \"two \\\" three\"
long TXT \"LONG\" \"LONG\" \"LONG\"
srv._tcp SRV 1 2 80 www
naptr NAPTR 10 20 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.org!\" .
caa CAA 0 issue \"ca.example.net\"
ptr PTR www
type TYPE65280 \\# 4 01020304
*.wild A 192.0.2.33
*.wild TXT \"w\"
known.wild A 192.0.2.34
a.b.deep A 192.0.2.35
*.dynwild 300/300 DYNA multifo!web
sub NS ns.sub
ns.sub A 192.0.2.53
sub NS ns.other
other NS ns.other
ns.other A 192.0.2.54
ns.other AAAA 2001:db8::54
away NS ns.example.net.
inzone NS ns1
inzone NS x.wild
MiXeD A 192.0.2.77
many A 192.0.2.101
many A 192.0.2.102
many A 192.0.2.103
";

const SITE: &str = "\
rate_limit = false
max_nocookie_response = 1232
max_udp_response = 1410
id = \"\"
[[zone]]
name = \"example.org\"
file = \"example.org\"
[[resolver]]
name = \"web\"
plugin = \"multifo\"
addresses = [\"198.51.100.1\", \"198.51.100.2\", \"198.51.100.3\", \"2001:db8::c633:6401\", \"2001:db8::c633:6402\"]
check.file = { path = \"FOLDER/ext\", content = \"words\" }
check.interval = \"200ms\"
check.timeout = \"100ms\"
check.rise = 1
check.fall = 1
[[resolver]]
name = \"two\"
plugin = \"simplefo\"
addresses = [\"198.51.100.2\", \"198.51.100.4\", \"2001:db8::c633:6401\"]
check.file = { path = \"FOLDER/ext\", content = \"words\" }
check.interval = \"200ms\"
check.timeout = \"100ms\"
check.rise = 1
check.fall = 1
[[resolver]]
name = \"www\"
plugin = \"metafo\"
check.file = { path = \"FOLDER/ext\", content = \"words\" }
check.interval = \"200ms\"
check.timeout = \"100ms\"
check.rise = 1
check.fall = 1
datacenters = [
  { name = \"par1\", addresses = [\"198.51.100.2\", \"198.51.100.5\"] },
  { name = \"lon1\", addresses = [\"203.0.113.1\", \"2001:db8::113:1\"] },
]
[[resolver]]
name = \"one\"
plugin = \"static\"
addresses = [\"192.0.2.200\"]
";

const GDNSD: &str = "\
service_types => { ext => { plugin => extfile, file => FOLDER/ext, direct => true, def_down => false } }
plugins => {
  extfile => { }
  multifo => { web => {
    service_types => [ ext ]
    addrs_v4 => [ 198.51.100.1, 198.51.100.2, 198.51.100.3 ]
    addrs_v6 => [ 2001:db8::c633:6401, 2001:db8::c633:6402 ]
  } }
  simplefo => { two => {
    service_types => [ ext ]
    addrs_v4 => { primary => 198.51.100.2, secondary => 198.51.100.4 }
    addrs_v6 => { primary => 2001:db8::c633:6401, secondary => 2001:db8::c633:6401 }
  } }
  static => { one => 192.0.2.200 }
  metafo => { resources => { www => {
    datacenters => [ par1, lon1 ]
    dcmap => {
      par1 => { service_types => [ ext ], addrs_v4 => [ 198.51.100.2, 198.51.100.5 ] }
      lon1 => { service_types => [ ext ], addrs_v4 => [ 203.0.113.1 ], addrs_v6 => [ 2001:db8::113:1 ] }
    }
  } } }
}
";

const HEALTH: &str = "\
198.51.100.1 => UP
198.51.100.2 => DOWN
198.51.100.5 => DOWN
2001:db8::c633:6401 => UP
2001:db8::c633:6402 => DOWN
";

const NAMES: [&str; 49] = [
    "example.org",
    "EXAMPLE.org",
    "www.example.org",
    "dyc.example.org",
    "simple.example.org",
    "meta.example.org",
    "direct.example.org",
    "fixed.example.org",
    "ns1.example.org",
    "smtp.example.org",
    "smtp2.example.org",
    "chain.example.org",
    "out.example.org",
    "todyna.example.org",
    "txt.example.org",
    "long.example.org",
    "srv._tcp.example.org",
    "_tcp.example.org",
    "naptr.example.org",
    "caa.example.org",
    "ptr.example.org",
    "type.example.org",
    "wild.example.org",
    "x.wild.example.org",
    "y.x.wild.example.org",
    "known.wild.example.org",
    "z.known.wild.example.org",
    "*.wild.example.org",
    "deep.example.org",
    "b.deep.example.org",
    "a.b.deep.example.org",
    "c.b.deep.example.org",
    "q.dynwild.example.org",
    "dynwild.example.org",
    "sub.example.org",
    "x.sub.example.org",
    "ns.sub.example.org",
    "other.example.org",
    "x.other.example.org",
    "ns.other.example.org",
    "away.example.org",
    "inzone.example.org",
    "x.inzone.example.org",
    "x.away.example.org",
    "mixed.example.org",
    "nothing.example.org",
    "many.example.org",
    "example.net",
    "",
];
/// A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, NAPTR, DS, HTTPS, ANY, CAA, TYPE65280, IXFR, AXFR, MAILB, OPT, 0
const TYPES: [u16; 20] =
    [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 65, 255, 257, 65_280, 251, 252, 253, 41, 0];

fn sorted(mut addresses: Vec<String>) -> Vec<String> {
    addresses.sort();
    addresses
}

/// Why an answer is another one; nothing if it is not to be.
fn justified(rtype: u16) -> Option<&'static str> {
    const DS: u16 = 43;
    (rtype == DS).then_some(
        "gdnsd has no DNSSEC; where another zone begins it is we who know whether it is signed (RFC 4035 section \
         3.1.4.1): a referral would send whoever asks in a circle",
    )
}

#[test]
fn every_answer_is_gdnsds_or_another_for_a_reason() {
    let zone = ZONE.replace("LONG", &"l".repeat(200));
    let at = free();
    let files = Files::new(at, SITE);
    files.write("example.org", &zone);
    files.write("ext", HEALTH);
    let node = DnsNode::start(at, files);
    let gdnsd = Gdnsd::start(free(), GDNSD, &[("example.org", zone)], &[("ext", HEALTH)]);

    let mut wrong = Vec::new();
    for (health, v4, v6, second, site) in [
        (HEALTH.to_owned(), 2, 1, "198.51.100.4", &["203.0.113.1"][..]),
        // Too few are up: all are given.
        (HEALTH.replace("UP", "DOWN"), 3, 2, "198.51.100.4", &["203.0.113.1"]),
        (HEALTH.replace("DOWN", "UP"), 3, 2, "198.51.100.2", &["198.51.100.2", "198.51.100.5"]),
    ] {
        node.files.write("ext", &health);
        gdnsd.write("ext", &health);
        for at in [node.at, gdnsd.at] {
            lab::wait_until("both follow the file", SOON, || {
                let ask = |name, rtype| exchange(at, &question(1, name, rtype).finish());
                let said = |name, rtype| ask(name, rtype).and_then(|reply| Message::parse(&reply));
                let addresses =
                    |name, rtype| said(name, rtype).map(|it| it.addresses()).unwrap_or_default();
                addresses("www.example.org", A).len() == v4
                    && addresses("www.example.org", AAAA).len() == v6
                    && addresses("simple.example.org", A) == [second]
                    && sorted(addresses("meta.example.org", A)) == site
            });
        }
        for (name, rtype) in NAMES.iter().flat_map(|name| TYPES.map(|rtype| (*name, rtype))) {
            for asked in [question(77, name, rtype), question(77, name, rtype).edns(1232)] {
                let message = asked.finish();
                let theirs = told(gdnsd.try_exchange(&message).as_deref());
                let ours = told(exchange(node.at, &message).as_deref());
                if theirs != ours && justified(rtype).is_none() {
                    wrong.push(format!("{name} {rtype}\ngdnsd: {theirs}\nhere: {ours}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
