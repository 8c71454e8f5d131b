//! Replies, as another implementation of DNS reads them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use domain::base::Message;
use domain::rdata::AllRecordData;

use super::*;
use crate::Jar;

const ZONE: &str = "\
$TTL 300
@ SOA ns1 host 1 7200 1800 259200 900
@ NS ns1
@ NS ns.example.net.
@ MX 10 mail
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
mail A 192.0.2.3
many A 192.0.2.1
many A 192.0.2.2
many A 192.0.2.3
big TXT aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
big TXT bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
big TXT cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
alias CNAME www
www 60/20 DYNA multifo!web
else 60 DYNC geoip!else
*.wild 60 DYNA multifo!web
sub NS ns.sub
sub NS ns1
sub DS 1 13 2 0123456789012345678901234567890123456789012345678901234567890123
ns.sub A 192.0.2.9
beside NS ns.sub
";

/// Resolvers: 0 gives two addresses of each kind, 1 a name.
struct Fixed;

impl Resolve for Fixed {
    fn resolve(&self, resolver: usize, question: &Question, into: &mut Resolved) {
        *into = match resolver {
            0 => Resolved {
                v4: vec![[198, 51, 100, 1].into(), [198, 51, 100, 2].into()],
                v6: vec!["2001:db8::c633:6401".parse().unwrap()],
                ttl: 5,
                scope: if question.told.is_some() { 16 } else { 0 },
                alias: None,
            },
            _ => Resolved {
                alias: Some(Name::parse(b"www.example.net.", None).unwrap()),
                ttl: 1000,
                ..Resolved::default()
            },
        };
    }
}

fn zones() -> Zones {
    let read = |_: &Path| -> std::io::Result<Vec<u8>> { Ok(ZONE.as_bytes().to_vec()) };
    let resolver = |plugin: &str, _: &str| ["multifo", "geoip"].iter().position(|it| *it == plugin);
    let apex = Name::parse(b"example.org.", None).unwrap();
    let zone =
        crate::zone::Zone::load_by(&apex, Path::new("z"), 86_400, &read, &resolver).unwrap().zone;
    [std::sync::Arc::new(zone)].into_iter().collect()
}

fn settings() -> Settings {
    Settings {
        jar: Jar::new([7; 16]),
        max_udp: 1232,
        max_nocookie: 512,
        id: Some("dns-1".into()),
        version: Some("palier".into()),
    }
}

const ASKER: Asker = Asker {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
    is_connected: false,
    now: 1000,
    turn: 0,
};

/// What is answered to these bytes.
fn answer_by(message: &[u8], asker: Asker) -> Option<(Outcome, Vec<u8>)> {
    let (zones, settings) = (zones(), settings());
    let server = Server { zones: &zones, resolvers: &Fixed, settings: &settings };
    let mut reply = Reply::default();
    let outcome = server.answer(message, &asker, &mut Scratch::default(), &mut reply)?;
    Some((outcome, reply.as_bytes().to_vec()))
}

/// A question, with an OPT record of these options if there are any.
fn question(name: &str, rtype: Rtype, class: u16, edns: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut all = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    for label in name.split('.') {
        all.push(label.len() as u8);
        all.extend_from_slice(label.as_bytes());
    }
    all.extend_from_slice(&rtype.0.to_be_bytes());
    all.extend_from_slice(&class.to_be_bytes());
    if let Some((size, options)) = edns {
        all.extend_from_slice(&[0, 0, 41]);
        all.extend_from_slice(&size.to_be_bytes());
        all.extend_from_slice(&[0, 0, 0, 0]);
        all.extend_from_slice(&(options.len() as u16).to_be_bytes());
        all.extend_from_slice(options);
    }
    all
}

/// A reply in words: flags, code, and the records of each section.
fn words(reply: &[u8]) -> String {
    let message = Message::from_octets(reply).unwrap();
    let header = message.header();
    let mut all = format!("{}", header.rcode());
    for (is_set, flag) in [(header.aa(), " aa"), (header.tc(), " tc"), (header.rd(), " rd")] {
        all.push_str(if is_set { flag } else { "" });
    }
    let (_, answer, authority, additional) = message.sections().unwrap();
    for (name, section) in [("an", answer), ("ns", authority), ("ar", additional)] {
        for record in section {
            let record = record.unwrap();
            if record.rtype() == domain::base::Rtype::OPT {
                continue;
            }
            let (owner, ttl) = (record.owner().to_string(), record.ttl().as_secs());
            let record = record.into_record::<AllRecordData<_, _>>().unwrap().unwrap();
            all.push_str(&format!("; {name} {owner} {ttl} {} {}", record.rtype(), record.data()));
        }
    }
    all
}

fn ask(name: &str, rtype: Rtype) -> String {
    words(&answer_by(&question(name, rtype, IN, None), ASKER).unwrap().1)
}

const SOA: &str =
    "ns example.org 300 SOA ns1.example.org. host.example.org. 1 7200 1800 259200 900";

#[test]
fn names_that_are_there_are_answered() {
    for (name, rtype, expected) in [
        ("ns1.example.org.", Rtype::A, "an ns1.example.org 300 A 192.0.2.1"),
        ("ns1.example.org.", Rtype::AAAA, "an ns1.example.org 300 AAAA 2001:db8::1"),
        ("example.org.", Rtype::MX, "an example.org 300 MX 10 mail.example.org."),
        (
            "example.org.",
            Rtype::NS,
            "an example.org 300 NS ns1.example.org.; an example.org 300 NS ns.example.net.",
        ),
        ("alias.example.org.", Rtype::A, "an alias.example.org 300 CNAME www.example.org."),
        ("alias.example.org.", Rtype::CNAME, "an alias.example.org 300 CNAME www.example.org."),
    ] {
        assert_eq!(ask(name, rtype), format!("NOERROR aa rd; {expected}"), "{name} {rtype}");
    }
    // The case of letters is the asker's.
    assert!(ask("Ns1.eXample.ORG.", Rtype::A).contains("an Ns1.eXample.ORG 300 A"));
    assert!(ask("example.org.", Rtype::ANY).contains("an example.org 3600 HINFO \"RFC8482\""));
}

#[test]
fn what_is_not_there_is_denied_for_so_long() {
    assert_eq!(ask("none.example.org.", Rtype::A), format!("NXDOMAIN aa rd; {SOA}"));
    assert_eq!(ask("ns1.example.org.", Rtype::MX), format!("NOERROR aa rd; {SOA}"));
    assert_eq!(ask("www.example.org.", Rtype::MX), format!("NOERROR aa rd; {SOA}"));
    assert_eq!(ask("wild.example.org.", Rtype::A), format!("NOERROR aa rd; {SOA}"));
    assert_eq!(ask("example.com.", Rtype::A), "REFUSED rd");
    assert_eq!(ask("xexample.org.", Rtype::A), "REFUSED rd");
    assert_eq!(ask("example.org.", Rtype(252)), "NOTIMP rd");
}

#[test]
fn dynamic_records_are_what_resolvers_say_and_live_within_their_limits() {
    assert_eq!(
        ask("www.example.org.", Rtype::A),
        "NOERROR aa rd; an www.example.org 20 A 198.51.100.1; an www.example.org 20 A 198.51.100.2"
    );
    assert_eq!(
        ask("a.b.wild.example.org.", Rtype::AAAA),
        "NOERROR aa rd; an a.b.wild.example.org 30 AAAA 2001:db8::c633:6401"
    );
    for rtype in [Rtype::A, Rtype::TXT, Rtype::CNAME] {
        let expected = "NOERROR aa rd; an else.example.org 60 CNAME www.example.net.";
        assert_eq!(ask("else.example.org.", rtype), expected);
    }
}

#[test]
fn delegations_are_referrals_with_the_addresses_that_are_needed() {
    for name in ["sub.example.org.", "x.y.sub.example.org."] {
        let said = ask(name, Rtype::A);
        assert!(
            said.starts_with("NOERROR rd; ns sub.example.org 300 NS ns.sub.example.org.; "),
            "{said}"
        );
        assert!(said.contains("ns sub.example.org 300 DS 1 13 2 "), "{said}");
        assert!(said.ends_with("; ar ns.sub.example.org 300 A 192.0.2.9"), "{said}");
    }
    assert!(
        ask("sub.example.org.", Rtype::DS).starts_with("NOERROR aa rd; an sub.example.org 300 DS")
    );
}

#[test]
fn of_several_records_each_asker_finds_another_first() {
    let first = |turn| {
        let message = question("many.example.org.", Rtype::A, IN, None);
        let reply = answer_by(&message, Asker { turn, ..ASKER }).unwrap().1;
        let said = words(&reply);
        assert_eq!(said.matches("; an ").count(), 3);
        said.split("; ").nth(1).unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    // Also for whoever always asks at every second turn, as of A and AAAA one after the other.
    for step in [1, 2, 3] {
        let all: Vec<_> = (0..300).map(|turn| first(turn * step)).collect();
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            let count = all.iter().filter(|one| *one == address).count();
            assert!((95..=105).contains(&count), "{address}: {count} of 300, every {step}");
        }
    }
}

/// Bytes of the reply about a large set, whether it is truncated, and whether the asker is known.
fn size(asker: Asker, edns: Option<(u16, &[u8])>) -> (usize, bool, bool) {
    let message = question("big.example.org.", Rtype::TXT, IN, edns);
    let (outcome, reply) = answer_by(&message, asker).unwrap();
    let is_truncated = words(&reply).contains(" tc");
    assert_eq!(words(&reply).contains("; an"), !is_truncated);
    (reply.len(), is_truncated, outcome.is_known)
}

#[test]
fn replies_are_no_longer_than_askers_take_and_strangers_get() {
    assert_eq!(size(ASKER, None), (33, true, false));
    assert_eq!(size(ASKER, Some((4096, &[]))), (44, true, false));
    let connected = Asker { is_connected: true, ..ASKER };
    assert!(matches!(size(connected, None), (600.., false, true)));
    // With a cookie of ours they get what they take, and no more than 1232 bytes.
    let cookie = |server: &[u8]| {
        let length = (8 + server.len()) as u8;
        [&[0, 10, 0, length, 1, 2, 3, 4, 5, 6, 7, 8], server].concat()
    };
    let message = question("big.example.org.", Rtype::TXT, IN, Some((1232, &cookie(&[]))));
    let (_, reply) = answer_by(&message, ASKER).unwrap();
    let ours = &reply[reply.len() - 16..];
    assert!(matches!(size(ASKER, Some((1232, &cookie(ours)))), (600.., false, true)));
    assert!(matches!(size(ASKER, Some((600, &cookie(ours)))), (_, true, true)));
    let other = Asker { address: [192, 0, 2, 78].into(), ..ASKER };
    assert!(matches!(size(other, Some((1232, &cookie(ours)))), (_, true, false)));
}

/// The options of a reply.
fn options(reply: &[u8]) -> Vec<u8> {
    let message = Message::from_octets(reply).unwrap();
    assert_eq!(message.opt().unwrap().udp_payload_size(), 1232);
    // They are what comes last.
    let record = message.additional().unwrap().last().unwrap().unwrap();
    reply[reply.len() - usize::from(record.rdlen())..].to_vec()
}

#[test]
fn options_are_answered_if_they_were_asked() {
    let answer = |name: &str, given: &[u8]| {
        let message = question(name, Rtype::A, IN, Some((1232, given)));
        options(&answer_by(&message, ASKER).unwrap().1)
    };
    assert_eq!(answer("ns1.example.org.", &[]), b"");
    assert_eq!(answer("ns1.example.org.", &[0, 3, 0, 0]), b"\0\x03\0\x05dns-1");
    let subnet = [0, 8, 0, 7, 0, 1, 20, 0, 192, 0, 0x20];
    assert_eq!(answer("ns1.example.org.", &subnet), subnet, "it holds for all");
    let scoped = [0, 8, 0, 7, 0, 1, 20, 16, 192, 0, 0x20];
    assert_eq!(answer("www.example.org.", &subnet), scoped);
    let nobody = [0, 8, 0, 4, 0, 1, 0, 0];
    assert_eq!(answer("www.example.org.", &nobody), nobody);
}

#[test]
fn what_is_asked_of_the_server_itself_is_said_if_it_shall_be() {
    let about =
        |name: &str| words(&answer_by(&question(name, Rtype::TXT, CHAOS, None), ASKER).unwrap().1);
    assert_eq!(about("version.bind."), "NOERROR aa rd; an version.bind 0 TXT \"palier\"");
    assert_eq!(about("ID.server."), "NOERROR aa rd; an ID.server 0 TXT \"dns-1\"");
    assert_eq!(about("authors.bind."), "REFUSED rd");
    let other = question("ns1.example.org.", Rtype::A, 4, None);
    assert_eq!(words(&answer_by(&other, ASKER).unwrap().1), "REFUSED rd");
}

#[test]
fn answers_to_what_is_no_question_say_so_or_are_not_sent() {
    let good = question("ns1.example.org.", Rtype::A, IN, Some((1232, &[])));
    let with = |at: usize, byte: u8| {
        let mut message = good.clone();
        message[at] = byte;
        message
    };
    let code = |message: &[u8]| {
        answer_by(message, ASKER).map(|(outcome, reply)| {
            assert!(reply.len() >= 12 && reply[..2] == message[..2] && reply[2] & 0x80 != 0);
            outcome.rcode
        })
    };
    assert_eq!(code(&[]), None);
    assert_eq!(code(&good[..11]), None);
    assert_eq!(code(&with(2, 0x80)), None, "answers get no answer");
    assert_eq!(code(&with(2, 0x28)), Some(Rcode::NOT_IMP));
    for (what, message) in [
        ("no question", with(5, 0)),
        ("two", with(5, 2)),
        ("an answer", with(7, 1)),
        ("an authority", with(9, 1)),
        ("too few records", with(11, 2)),
        ("a pointer", with(12, 0xc0)),
        ("no end", good[..20].to_vec()),
    ] {
        assert_eq!(code(&message), Some(Rcode::FORM_ERR), "{what}");
    }
    let twice = [&with(11, 2)[..], &good[good.len() - 11..]].concat();
    assert_eq!(code(&twice), Some(Rcode::FORM_ERR), "two OPT records");
    let at = good.len() - 6;
    let (outcome, reply) = answer_by(&with(at + 1, 1), ASKER).unwrap();
    assert_eq!(outcome.rcode, Rcode::BAD_VERS, "{reply:?}");
    let message = Message::from_octets(&*reply).unwrap();
    assert_eq!(message.opt().unwrap().rcode(message.header()).to_int(), 16);
    let broken = question("ns1.example.org.", Rtype::A, IN, Some((1232, &[0, 10, 0, 1, 7])));
    assert_eq!(code(&broken), Some(Rcode::FORM_ERR));
}

#[test]
fn mutated_questions_never_panic_and_replies_can_be_read() {
    let (zones, settings) = (zones(), settings());
    let server = Server { zones: &zones, resolvers: &Fixed, settings: &settings };
    let (mut reply, mut scratch) = (Reply::default(), Scratch::default());
    let mut random = fastrand::Rng::with_seed(7);
    let options =
        [0, 3, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 8, 0, 7, 0, 1, 20, 0, 192, 0, 0x20];
    let names = [
        "www.example.org.",
        "example.org.",
        "x.sub.example.org.",
        "big.example.org.",
        "version.bind.",
    ];
    let types = [Rtype::A, Rtype::AAAA, Rtype::NS, Rtype::SOA, Rtype::TXT, Rtype::ANY, Rtype::DS];
    let (mut answered, rounds) = (0, 1_000_000);
    for round in 0..rounds {
        let class = if random.u8(..16) == 0 { CHAOS } else { IN };
        let edns = random.bool().then_some((random.u16(..), &options[..]));
        let rtype = random.choice(types).unwrap();
        let mut message = question(random.choice(names).unwrap(), rtype, class, edns);
        for _ in 0..random.usize(..4) {
            let at = random.usize(..message.len());
            match random.u8(..5) {
                0 => message[at] = random.u8(..),
                1 => message[at] ^= 1 << random.u8(..8),
                2 if message.len() > 1 => drop(message.remove(at)),
                3 => message.truncate(at + 1),
                _ => message.insert(at, random.choice([0, 0xc0, 0xff, 12]).unwrap()),
            }
        }
        let asker = Asker { turn: round, is_connected: random.bool(), ..ASKER };
        if server.answer(&message, &asker, &mut scratch, &mut reply).is_none() {
            continue;
        }
        answered += 1;
        let bytes = reply.as_bytes();
        assert!(asker.is_connected || bytes.len() <= 1232);
        assert_ne!(bytes[2] & 0x80, 0);
        if round % 16 == 0 {
            words(bytes);
        }
    }
    assert!(answered > rounds / 2);
}

#[test]
fn whoever_asks_for_anything_gets_the_alias_or_one_record() {
    assert!(ask("alias.example.org.", Rtype::ANY).contains("CNAME"));
    assert!(ask("many.example.org.", Rtype::ANY).contains("HINFO"));
}

#[test]
fn of_a_server_in_a_zone_beside_it_the_address_is_told_too() {
    let said = ask("x.beside.example.org.", Rtype::A);
    assert!(said.ends_with("; ar ns.sub.example.org 300 A 192.0.2.9"), "{said}");
}

#[test]
fn texts_of_challenges_are_answered_at_names_that_need_not_be_there() {
    let name = |text: &str| Name::parse(text.as_bytes(), None).unwrap();
    let proof = name("_acme-challenge.example.org.");
    let zones = zones().with_challenges([(proof.clone(), "one"), (proof, "two")]);
    let ask = |rtype| {
        let message = question("_acme-challenge.example.org.", rtype, IN, None);
        let mut reply = Reply::default();
        let settings = settings();
        let server = Server { zones: &zones, resolvers: &Fixed, settings: &settings };
        server.answer(&message, &ASKER, &mut Scratch::default(), &mut reply).unwrap();
        words(reply.as_bytes())
    };
    let said = ask(Rtype::TXT);
    assert!(said.starts_with("NOERROR aa") && said.matches("; an ").count() == 2, "{said}");
    assert!(said.contains(" 0 TXT"), "{said}");
    let said = ask(Rtype::A);
    assert!(said.starts_with("NOERROR aa") && said.contains("SOA"), "{said}");
}

#[test]
fn it_is_explained_how_a_name_is_found_and_what_it_gets() {
    let (zones, settings) = (zones(), settings());
    let server = Server { zones: &zones, resolvers: &Fixed, settings: &settings };
    let way = |text: &str| {
        let name = Name::parse(text.as_bytes(), None).unwrap();
        server.explain(&name, Rtype::A, Some([192, 0, 2, 7].into())).way
    };
    assert_eq!(way("mail.example.org."), Way::Exact);
    assert_eq!(way("x.wild.example.org."), Way::Wildcard("*.wild.example.org.".into()));
    assert_eq!(way("wild.example.org."), Way::Empty);
    assert_eq!(way("x.sub.example.org."), Way::Delegated("sub.example.org.".into()));
    assert_eq!(way("none.example.org."), Way::Nothing);
    assert_eq!(way("example.net."), Way::Outside);
    let name = Name::parse(b"www.example.org.", None).unwrap();
    let explained = server.explain(&name, Rtype::A, None);
    assert_eq!(explained.dynamic.map(|it| (it.resolver, it.most, it.least)), Some((0, 60, 20)));
    assert_eq!(
        explained.reply,
        [
            "NOERROR aa",
            "answer: www.example.org. 20 A 198.51.100.1",
            "answer: www.example.org. 20 A 198.51.100.2"
        ]
    );
}
