//! `[[dns]]`

use std::net::{IpAddr, SocketAddr};

use ::dns::limit::Rate;

use crate::address;
use crate::frontend;
use crate::name;
use crate::place::{Place, Placed};
use crate::settings::{Dns, DnsTls};
use crate::table::Table;
use crate::tls;
use crate::value::{Value, quoted};

/// Where DNS is spoken (RFC 1035 section 4.2), and over TLS (RFC 7858 section 3.1).
const PORT: u16 = 53;
const TLS_PORT: u16 = 853;
/// Bytes of a UDP answer: that everybody takes (RFC 1035 section 2.3.4), that come through without fragments
/// (RFC 9715 section 3.2), and that a question is read into.
const LEAST: u16 = 512;
const USUAL: u16 = 1232;
const MOST: u16 = 4096;
/// Most threads at an address.
const MAX_WORKERS: u16 = 512;
/// Most connections.
const MAX_CONNECTIONS: u32 = 1_000_000;
/// Connections where the file does not say.
const CONNECTIONS: u32 = 1000;

/// A node, and where its parts stand.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) dns: Dns,
}

/// Reads one, of a site that has these frontends.
pub(crate) fn read(table: Table<'_>, position: usize, frontends: &[frontend::Entry]) -> Entry {
    let (mut table, name) = name::entry(table, "dns", position);
    let listen = table.required("listen", |value| value.some(|value| at(value, PORT)));
    let listen = listen.unwrap_or_default();
    let addresses = addresses(&mut table, &listen);
    let tls = table.optional("tls", |value| over_tls(value, frontends));
    if let Some((tls, _)) = &tls {
        for Placed { value: at, place } in tls {
            if listen.iter().any(|plain| plain.value == *at) {
                table.problem_at(place, format!("at {at} DNS is spoken without TLS"));
            }
        }
    }
    let tls = tls.map(|(listen, tls)| DnsTls { listen: values(&listen), tls });
    let bytes = |value: &Value<'_>| value.number(LEAST..=MOST);
    let dns = Dns {
        name: name.value.clone(),
        listen: values(&listen),
        addresses,
        tls,
        workers: table.optional("workers", |value| value.number(1..=MAX_WORKERS)),
        id: table.or("id", Some(name.value.clone()), said),
        version: table.or("version", None, said),
        max_udp: table.or("max_udp_response", USUAL, bytes),
        max_nocookie: table.or("max_nocookie_response", LEAST, bytes),
        rate_limit: table.or("rate_limit", Some(Rate::default()), rate_limit),
        max_connections: table
            .or("max_connections", CONNECTIONS, |value| value.number(1..=MAX_CONNECTIONS)),
        forced: table.optional("forced_states", Value::path),
    };
    table.finish();
    Entry { name, dns }
}

fn values<T: Copy>(all: &[Placed<T>]) -> Vec<T> {
    all.iter().map(|one| one.value).collect()
}

/// `"192.0.2.3"`, `"192.0.2.3:5353"`, `"2001:db8::3"`, `"[2001:db8::3]:5353"`
fn at(value: &Value<'_>, port: u16) -> Option<SocketAddr> {
    const EXPECTED: &str = "ADDRESS or ADDRESS:PORT";
    let text = value.text(EXPECTED)?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
    let at = alone.or_else(|| text.parse().ok());
    if at.is_some_and(|at| at.ip().is_unspecified()) {
        value.problem("name each address: what is answered leaves from the one that was asked");
        return None;
    }
    let is_usable = |at: &SocketAddr| at.port() != 0 && !at.ip().is_multicast();
    at.filter(is_usable).or_else(|| value.is_not(EXPECTED))
}

/// Its own addresses; where it listens if it does not say.
fn addresses(table: &mut Table<'_>, listen: &[Placed<SocketAddr>]) -> Vec<IpAddr> {
    if let Some(own) = table.optional("addresses", address::of_node) {
        return own.into_iter().map(|one| one.value).collect();
    }
    let mut own: Vec<IpAddr> = Vec::new();
    for one in listen.iter().map(|one| one.value.ip()) {
        if own.iter().all(|other| other.is_ipv4() != one.is_ipv4()) {
            own.push(one);
        }
    }
    own
}

/// `{ listen = [...], certificates = [...] }` or `{ listen = [...], frontend = "web" }`
fn over_tls(
    value: &Value<'_>,
    frontends: &[frontend::Entry],
) -> Option<(Vec<Placed<SocketAddr>>, ::proxy::settings::ServerTls)> {
    let mut table = value.table()?;
    let listen = table.required("listen", |value| value.some(|value| at(value, TLS_PORT)));
    let shared = table.optional("frontend", |value| {
        let names = frontends.iter().map(|one| one.name.value.as_str());
        let place = frontend::named(value, "[[frontend]]", names)?;
        let tls = frontends[place].frontend.tls.clone();
        tls.or_else(|| value.is_not("a [[frontend]] that has `tls`"))
    });
    let is_shared = table.peek("frontend").is_some();
    let settings = match is_shared {
        true => {
            let why = "this is the frontend's: leave out the one or the other";
            table.refuse(&["certificates", "min_version", "ciphers"], why);
            table.finish();
            shared
        }
        false => tls::settings(table),
    };
    Some((listen?, settings?))
}

/// A text that is told to whoever asks; nothing is if it is empty.
fn said(value: &Value<'_>) -> Option<Option<String>> {
    const EXPECTED: &str = "a text of at most 255 characters";
    let text = value.text_that(EXPECTED, |text| {
        text.len() <= 255 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    })?;
    Some((!text.is_empty()).then_some(text))
}

/// `{ per_second = 200, slip = 2 }` or `false`
fn rate_limit(value: &Value<'_>) -> Option<Option<Rate>> {
    if value.raw().as_bool() == Some(false) {
        return Some(None);
    }
    let mut table = value.options()?;
    let default = Rate::default();
    let rate = Rate {
        per_second: table.or("per_second", default.per_second, |value| value.number(1..=u16::MAX)),
        slip: table.or("slip", default.slip, |value| value.number(0..=10)),
    };
    table.finish();
    Some(Some(rate))
}

/// Tells of names and places that are there twice.
pub(crate) fn check(entries: &[Entry], tell: impl Fn(&Place, String)) {
    for (own, Entry { name, .. }) in entries.iter().enumerate() {
        let before = entries[..own].iter().any(|other| other.name.value == name.value);
        if before && !name.value.is_empty() {
            tell(&name.place, format!("another [[dns]] has the name {}", quoted(&name.value)));
        }
    }
}
