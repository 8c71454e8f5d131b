//! `check.tls`, and the TLS keys of `check.https`

use std::net::IpAddr;

use health::{Kind, Tls};

use crate::table::Table;
use crate::value::Value;

/// `check.tls`
pub(super) fn read(table: &mut Table<'_>) -> Option<Kind> {
    Some(Kind::Tls(options(table, None)))
}

/// `sni`, `verify` and `ca`; without `sni` the name is `default`.
pub(super) fn options(table: &mut Table<'_>, default: Option<String>) -> Tls {
    let sni = table.optional("sni", |value| value.text_that("the name of a host", is_host_name));
    let verify = table.or("verify", true, Value::boolean);
    let ca = table.take("ca");
    if let (Some(ca), false) = (&ca, verify) {
        ca.problem("this is of no use with `verify = false`");
    }
    Tls { sni: sni.or(default), verify, ca: ca.and_then(|ca| ca.path()) }
}

/// Whether a certificate can be for it: a name of DNS, no address.
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(word)
    };
    text.len() <= 253 && text.split('.').all(label) && text.parse::<IpAddr>().is_err()
}
