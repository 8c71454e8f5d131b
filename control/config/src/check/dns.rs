//! `check.dns`

use health::{Dns, Kind};

use crate::table::Table;
use crate::value::Value;

/// Types by name (RFC 1035, section 3.2.2; RFC 3596, RFC 2782).
const TYPES: [(&str, u16); 9] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
];
/// Response codes by name (RFC 1035, section 4.1.1; RFC 2136, section 2.2).
const RCODES: [(&str, u8); 6] = [
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
];

/// `check.dns`
pub(super) fn read(table: &mut Table<'_>) -> Option<Kind> {
    let name = table
        .optional("name", |value| value.text_that("a domain name", is_domain_name).map(absolute));
    Some(Kind::Dns(Dns {
        name: name.unwrap_or_else(|| ".".into()),
        qtype: table.or("type", 6, |value| match value.raw().as_integer() {
            Some(_) => value.number(1..=u16::MAX),
            None => value.choice(&TYPES),
        }),
        rcodes: table.or("rcodes", vec![0], |value| {
            let rcodes = value.some(|value| match value.raw().as_integer() {
                Some(_) => value.number(0..=15),
                None => value.choice(&RCODES),
            })?;
            Some(rcodes.into_iter().map(|rcode| rcode.value).collect())
        }),
        answer: table.or("answer", false, Value::boolean),
    }))
}

/// Limits of RFC 1035, section 2.3.4. Names with escapes are nothing that a check asks for.
fn is_domain_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    text == "." || (name.len() <= 253 && name.split('.').all(label))
}

fn absolute(name: String) -> String {
    if name.ends_with('.') { name } else { name + "." }
}
