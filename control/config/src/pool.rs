//! `[[pool]]`

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use proxy::balance::Method;
use proxy::proxy_protocol::Version;
use proxy::settings::{Key, Server, ServerTimeouts};

use crate::check;
use crate::duration::DAY;
use crate::name;
use crate::place::Placed;
use crate::settings::Pool;
use crate::table::Table;
use crate::tls;
use crate::value::Value;

/// Highest weight of a server (HAProxy's).
const MAX_WEIGHT: u32 = 256;
/// Most tries of a request at other servers.
const MAX_RETRIES: u32 = 100;
/// No deadline of a server is shorter.
const SHORTEST: Duration = Duration::from_millis(1);

/// A pool, and where its name stands.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) pool: Pool,
}

/// Reads one.
pub(crate) fn read(table: Table<'_>, position: usize) -> Entry {
    let (mut table, name) = name::entry(table, "pool", position);
    let servers = servers(&mut table);
    let (method, key) = table.or("balance", (Method::RoundRobin, Key::Source), balance);
    let quorum = table.or("quorum", 1, |value| {
        let quorum = value.number(1..=u32::MAX)?;
        if !servers.is_empty() && quorum as usize > servers.len() {
            value.problem(format!("there are {} servers: it is never reached", servers.len()));
        }
        Some(quorum)
    });
    let pool = Pool {
        name: name.value.clone(),
        servers,
        method,
        key,
        send_proxy: table.optional("send_proxy", |value| {
            value.choice(&[("v1", Version::V1), ("v2", Version::V2)])
        }),
        tls: table.optional("tls", tls::of_servers),
        retries: table.or("retries", 2, |value| value.number(0..=MAX_RETRIES)),
        quorum,
        timeouts: table.optional("timeouts", timeouts).unwrap_or_default(),
        checks: table.take("check").map(|value| check::of_pool(&value)).unwrap_or_default(),
    };
    table.finish();
    Entry { name, pool }
}

/// `servers`: addresses, or tables of them.
fn servers(table: &mut Table<'_>) -> Vec<Server> {
    let mut names = BTreeSet::new();
    let Some(list) = table.demand("servers") else { return Vec::new() };
    if list.is_empty_list() {
        list.problem("the list is empty: it needs at least one");
    }
    let read = |value: &Value<'_>| {
        let server = match value.raw().as_table() {
            Some(_) => server(value)?,
            None => plain(value, address(value)?),
        };
        if !names.insert(server.name.clone()) {
            value.problem(format!("another server has the name {}", server.name));
        }
        Some(server)
    };
    let servers: Vec<_> =
        list.list(read).unwrap_or_default().into_iter().map(|placed| placed.value).collect();
    if !servers.is_empty() && servers.iter().all(|one| one.weight == 0 || one.backup) {
        list.problem("every server is a backup or has weight 0: nobody would take requests");
    }
    servers
}

/// A server of which nothing but its address is said: that is its name.
fn plain(value: &Value<'_>, address: SocketAddr) -> Server {
    let name = value.raw().as_str().map_or_else(|| address.to_string(), str::to_owned);
    Server { name, address, weight: 1, backup: false }
}

/// `{ name = "web1", address = "192.0.2.1:80", weight = 2, backup = true }`
fn server(value: &Value<'_>) -> Option<Server> {
    let mut table = value.table()?;
    let at = table.demand("address");
    let address = at.as_ref().and_then(address);
    let name = table.optional("name", |value| {
        value.text_that("a name without blanks and `/`", |text| {
            let good = |c: char| c.is_ascii_graphic() && c != '/' && c != '"';
            (1..=63).contains(&text.len()) && text.chars().all(good)
        })
    });
    let weight = table.or("weight", 1, |value| value.number(0..=MAX_WEIGHT));
    let backup = table.or("backup", false, Value::boolean);
    table.finish();
    let (at, address) = (at?, address?);
    let server = plain(&at, address);
    Some(Server { name: name.unwrap_or(server.name), weight, backup, ..server })
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`
fn address(value: &Value<'_>) -> Option<SocketAddr> {
    const EXPECTED: &str = "ADDRESS:PORT, as \"192.0.2.1:80\" or \"[2001:db8::1]:80\"";
    let address: Option<SocketAddr> = value.text(EXPECTED)?.parse().ok();
    let good = |at: &SocketAddr| at.port() != 0 && !at.ip().is_unspecified();
    address.filter(good).or_else(|| value.is_not(EXPECTED))
}

/// `"round_robin"`, `"least_connections"`, `"random_two"`, `{ hash = "source" }`,
/// `{ hash = { header = "X-User" } }`, `{ hash = { cookie = "sid" } }`.
fn balance(value: &Value<'_>) -> Option<(Method, Key)> {
    if value.raw().is_table() {
        let mut table = value.table()?;
        let key = table.required("hash", hash_key);
        table.finish();
        return Some((Method::Hash, key?));
    }
    let method = value.choice(&[
        ("round_robin", Method::RoundRobin),
        ("least_connections", Method::LeastConnections),
        ("random_two", Method::RandomTwo),
    ])?;
    Some((method, Key::Source))
}

fn hash_key(value: &Value<'_>) -> Option<Key> {
    if !value.raw().is_table() {
        return value.choice(&[("source", Key::Source)]);
    }
    let mut table = value.table()?;
    let header = table.optional("header", header_name);
    let cookie = table.optional("cookie", cookie_name);
    let both = header.is_some() && cookie.is_some();
    table.finish();
    match (header, cookie) {
        (Some(header), None) => Some(Key::Header(header)),
        (None, Some(cookie)) => Some(Key::Cookie(cookie)),
        _ if both => value.is_not("a header or a cookie: it is both"),
        _ => value.is_not("{ header = \"NAME\" } or { cookie = \"NAME\" }"),
    }
}

/// The name of a header.
pub(crate) fn header_name(value: &Value<'_>) -> Option<http::HeaderName> {
    const EXPECTED: &str = "the name of a header";
    value.text(EXPECTED)?.parse().ok().or_else(|| value.is_not(EXPECTED))
}

/// The name of a cookie (RFC 6265, section 4.1.1: a token).
fn cookie_name(value: &Value<'_>) -> Option<String> {
    value.text_that("the name of a cookie", |text| text.parse::<http::HeaderName>().is_ok())
}

fn timeouts(value: &Value<'_>) -> Option<ServerTimeouts> {
    let mut table = value.table()?;
    let default = ServerTimeouts::default();
    let mut time = |key, default| table.or(key, default, |value| value.duration(SHORTEST..=DAY));
    let timeouts = ServerTimeouts {
        connect: time("connect", default.connect),
        response: time("response", default.response),
        keep_alive: time("keep_alive", default.keep_alive),
    };
    table.finish();
    Some(timeouts)
}
