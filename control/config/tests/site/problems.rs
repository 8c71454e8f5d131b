//! Each way to write a key wrong, and the exact line that tells.

mod bgp;
mod check;
mod node;
mod service;
mod site;
mod whole;

use crate::problems;

const SITE: &str = r#"[site]
name = "par1"
hash_key = { file = "/etc/palier/hash.key" }
"#;
const ROUTER: &str = r#"[[router]]
name = "r1"
"#;
const BGP: &str = r#"[bgp]
local_as = 65000
"#;
const L4: &str = r#"[[l4]]
name = "l4-1"
addresses = ["192.0.2.132", "2001:db8::c000:284"]
"#;
const L7: &str = r#"[[l7]]
name = "l7-1"
addresses = ["192.0.2.140", "2001:db8::c000:28c"]
index = 1
"#;
const OTHER_L7: &str = r#"[[l7]]
name = "l7-2"
addresses = ["192.0.2.141"]
index = 2
"#;
const SERVICE: &str = r#"[[service]]
name = "web"
vips = ["198.51.100.1", "2001:db8::c633:6401"]
protocol = "tcp"
ports = [80, 443]
"#;
const ANY_PORT: &str = r#"[[service]]
name = "all"
vips = ["198.51.100.2"]
protocol = "tcp"
ports = "any"
"#;

/// A case: lines that are added to an entry, in the place of those with the same keys, and what is
/// then wrong.
type Case = (&'static [&'static str], &'static [&'static str]);

/// Puts each case's entry before the rest of a good site.
#[track_caller]
fn bad(entry: &str, cases: &[Case]) {
    for (lines, expected) in cases {
        let replaced = |line: &&str| {
            let key = line.split_inclusive(" =").next();
            !lines.iter().any(|new| new.split_inclusive(" =").next() == key)
        };
        let kept = entry.lines().filter(replaced);
        let mut text: String = kept.chain(lines.iter().copied()).flat_map(|l| [l, "\n"]).collect();
        let rest = [SITE, L4, L7, OTHER_L7, SERVICE].into_iter().filter(|other| *other != entry);
        text.extend(rest);
        assert_eq!(problems(&text), *expected, "{lines:#?}");
    }
}

/// What is wrong with a good site behind these entries, each of which may be one of its own, changed.
fn problems_of(entries: &[&str]) -> Vec<String> {
    let mut text = entries.concat();
    text.extend([SITE, L4, L7, OTHER_L7, SERVICE]);
    problems(&text)
}

#[test]
fn what_the_cases_start_from_is_good() {
    bad(SITE, &[(&[], &[])]);
    bad(ROUTER, &[(&["address = \"192.0.2.254\""], &[])]);
    bad(ANY_PORT, &[(&["check.tcp = { port = 80 }"], &[]), (&["check.icmp = true"], &[])]);
    bad(ANY_PORT, &[(&["check.command = { argv = [\"/bin/true\"] }"], &[])]);
}
