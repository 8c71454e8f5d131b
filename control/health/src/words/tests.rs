use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Words<'_> {
    Words::parse(line.as_bytes())
}

#[test]
fn words_of_each_sort_come_in_any_order_case_and_separation() {
    for line in ["up drain 75%", "DRAIN,75%,UP", "  75%\t,, Up ,dRaIn  ", "75% drain up maxconn:30"]
    {
        let words = parse(line);
        assert_eq!(words.healthy, Some(true), "{line}");
        assert_eq!(words.admin, Some(Admin::Drain), "{line}");
        assert_eq!(words.weight, Some(75), "{line}");
        assert_eq!(words.unknown, None, "{line}");
    }
}

#[test]
fn each_word_means_what_it_means_with_haproxy() {
    for (line, healthy) in [("up", true), ("down", false), ("stopped", false), ("fail", false)] {
        assert_eq!(parse(line), Words { healthy: Some(healthy), ..Words::default() });
    }
    let admins = [("ready", Admin::Ready), ("drain", Admin::Drain), ("maint", Admin::Maintenance)];
    for (line, admin) in admins {
        assert_eq!(parse(line), Words { admin: Some(admin), ..Words::default() });
    }
    let weights = [
        ("0%", 0),
        ("100%", 100),
        ("250%", 250),
        ("weight:0", 0),
        ("weight:128", 128),
        ("weight:257", 256),
        ("weight:30%", 30),
        ("99999999999999999999%", MAX_WEIGHT),
    ];
    for (line, weight) in weights {
        assert_eq!(parse(line), Words { weight: Some(weight), ..Words::default() }, "{line}");
    }
    let limits = [("0", 0), ("100", 100), ("4294967296", u32::MAX)];
    for (limit, most) in limits {
        let line = format!("maxconn:{limit}");
        let expected = Words { max_connections: Some(most), ..Words::default() };
        assert_eq!(parse(&line), expected);
    }
    assert_eq!(parse(""), Words::default());
}

#[test]
fn the_last_word_of_a_sort_holds() {
    let words = parse("up drain 10% down ready 20%");
    assert_eq!(words.healthy, Some(false));
    assert_eq!(words.admin, Some(Admin::Ready));
    assert_eq!(words.weight, Some(20));
}

#[test]
fn an_unknown_word_is_told_and_spoils_nothing() {
    // HAProxy has no "failed".
    for unknown in
        ["failed", "75", "-5%", "%", "7.5%", "weight:", "weight:x", "maxconn:", "u\u{0}p"]
    {
        let line = format!("drain {unknown} 50%");
        let words = parse(&line);
        assert_eq!(words.unknown, Some(unknown.as_bytes()));
        assert_eq!((words.admin, words.weight), (Some(Admin::Drain), Some(50)));
        assert!(!words.is_meaningless());
        assert!(parse(unknown).is_meaningless());
    }
}

#[test]
fn a_description_begins_a_word_and_is_not_read() {
    let words = parse("down # disk full, up 100%");
    assert_eq!(words.healthy, Some(false));
    assert_eq!(words.weight, None);
    assert_eq!(words.description, Some(&b"disk full, up 100%"[..]));
    assert_eq!(parse("up#x").unknown, Some(&b"up#x"[..]));
}

#[test]
fn a_report_says_what_was_said() {
    let line = b"down 20% #disk full\x07";
    let report = Words::parse(line).report(line);
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.weight, Some(20));
    assert_eq!(report.admin, None);
    assert_eq!(report.reason, r#""down 20% #disk full\u{7}""#);

    let report = Words::parse(b"50% fine").report(b"50% fine");
    assert_eq!(report.outcome, Outcome::Silent);
    assert_eq!(report.reason, r#""50% fine", of which "fine" is no known word"#);
}

#[test]
fn a_line_ends_at_the_first_end_and_one_without_end_is_none() {
    assert_eq!(first_line(b"up\ndown\n"), Some(&b"up"[..]));
    assert_eq!(first_line(b"up\r\n"), Some(&b"up"[..]));
    assert_eq!(first_line(b"up\0"), Some(&b"up"[..]));
    assert_eq!(first_line(b"\n"), Some(&b""[..]));
    assert_eq!(first_line(b"up"), None);
    assert_eq!(first_line(b""), None);
}

#[test]
fn a_file_names_nodes_by_name_or_address_in_any_spelling() {
    let file = b"# who is out\r\n\
        l7-1 => DOWN\n\
        2001:DB8:0:0::28c=>drain 10%\n\
        \n\
        ::ffff:192.0.2.9 => down\n\
        l7-3 => UP\n\
        l7-3 => MAINT\n";
    let v6 = "2001:db8::28c".parse().unwrap();
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
    assert_eq!(line_about(file, "l7-1", other), Some(&b"DOWN"[..]));
    assert_eq!(line_about(file, "l7-2", v6), Some(&b"drain 10%"[..]));
    assert_eq!(line_about(file, "l7-3", other), Some(&b"MAINT"[..]));
    assert_eq!(line_about(file, "l7-4", other), None);
    assert_eq!(line_about(file, "l7", other), None);
}

#[test]
fn a_line_without_a_name_is_about_every_node_unless_a_later_one_names_it() {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert_eq!(line_about(b"DRAIN", "l7-1", address), Some(&b"DRAIN"[..]));
    assert_eq!(line_about(b"down\nl7-1 => up\n", "l7-1", address), Some(&b"up"[..]));
    assert_eq!(line_about(b"l7-1 => up\ndown\n", "l7-1", address), Some(&b"down"[..]));
    assert_eq!(line_about(b"\n# nothing\n", "l7-1", address), None);
}

/// Lines that are nearly right: good words with bytes changed, cut and doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let good = "up down drain maint ready 75% weight:3% weight:256 maxconn:9 # x => \n";
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    prop::collection::vec(edit, 0..20).prop_map(move |edits| {
        let mut line = good.as_bytes().to_vec();
        for (place, byte, what) in edits {
            if line.is_empty() {
                break;
            }
            let place = place.index(line.len());
            match what {
                0 => line[place] = byte,
                1 => line.insert(place, byte),
                2 => line.truncate(place),
                _ => line.extend_from_within(place..),
            }
        }
        line
    })
}

proptest! {
    #[test]
    fn mutated_lines_never_panic(line in mutated()) {
        let words = Words::parse(&line);
        let report = words.report(&line);
        prop_assert!(report.weight.is_none_or(|w| w <= MAX_WEIGHT));
        prop_assert!(report.reason.chars().all(|c| !c.is_control()));
        first_line(&line);
        line_about(&line, "l7-1", IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn what_is_appended_after_a_word_changes_nothing_that_it_does_not_name(line in "[a-z0-9%: ,]{0,40}") {
        let appended = format!("{line},unheard-of");
        let (before, after) = (Words::parse(line.as_bytes()), Words::parse(appended.as_bytes()));
        prop_assert_eq!(before.healthy, after.healthy);
        prop_assert_eq!(before.admin, after.admin);
        prop_assert_eq!(before.weight, after.weight);
        prop_assert!(after.unknown.is_some());
    }
}
