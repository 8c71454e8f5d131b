//! `[[pool]]`

use std::time::Duration;

use ::proxy::balance::Method;
use ::proxy::proxy_protocol::Version;
use ::proxy::settings::{Affinity, Key, Queue, ServerTimeouts};

use crate::check;
use crate::duration::{DAY, days};
use crate::name;
use crate::place::{Place, Placed};
use crate::server;
use crate::settings::Pool;
use crate::suggest;
use crate::table::Table;
use crate::tls;
use crate::value::{Value, quoted};

/// Most tries of a request at other servers.
const MAX_RETRIES: u32 = 100;
/// Most connections, and most requests that wait.
pub(crate) const MANY: u32 = 10_000_000;
/// Longest life of a cookie.
const YEAR: Duration = days(400);
/// No deadline of a server is shorter.
const SHORTEST: Duration = Duration::from_millis(1);

/// A pool, and where its name stands.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    /// The name of the pool that answers while no server of this one takes requests.
    sorry: Option<Placed<String>>,
    pub(crate) pool: Pool,
}

/// Reads one.
pub(crate) fn read(table: Table<'_>, position: usize) -> Entry {
    let (mut table, name) = name::entry(table, "pool", position);
    let limit = table.optional("max_connections", |value| value.number(1..=MANY));
    let servers = server::all(&mut table, limit);
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
        retry_budget: table.or("retry_budget", 20, percent),
        quorum,
        affinity: table.optional("affinity", affinity),
        slow_start: table.or("slow_start", Duration::ZERO, |v| v.duration(Duration::ZERO..=DAY)),
        queue: table.optional("queue", queue).unwrap_or_default(),
        sorry: None,
        timeouts: table.optional("timeouts", timeouts).unwrap_or_default(),
        checks: table.take("check").map(|value| check::of_pool(&value)).unwrap_or_default(),
    };
    let sorry = table.optional("sorry_pool", |value| {
        let name = value.text("the name of a [[pool]]")?.to_owned();
        Some(Placed { value: name, place: value.place().clone() })
    });
    table.finish();
    Entry { name, sorry, pool }
}

/// Finds the sorry pools, and tells of names that are there twice or not at all.
pub(crate) fn resolve(entries: &mut [Entry], tell: impl Fn(&Place, String)) {
    let names: Vec<String> = entries.iter().map(|entry| entry.name.value.clone()).collect();
    for (own, entry) in entries.iter_mut().enumerate() {
        let name = &entry.name;
        if !name.value.is_empty() && names[..own].contains(&name.value) {
            tell(&name.place, "another [[pool]] has this name".into());
        }
        let Some(sorry) = &entry.sorry else { continue };
        match names.iter().position(|name| *name == sorry.value) {
            Some(place) if place == own => tell(&sorry.place, "a pool is not its own".into()),
            Some(place) => entry.pool.sorry = Some(place),
            None => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let meant = suggest::nearest(&sorry.value, &names);
                let meant = meant.map(|name| format!(" (did you mean \"{name}\"?)"));
                let meant = meant.unwrap_or_default();
                let text = format!("{} is not the name of a [[pool]]{meant}", quoted(&sorry.value));
                tell(&sorry.place, text);
            }
        }
    }
}

/// `"20%"`
fn percent(value: &Value<'_>) -> Option<u32> {
    const EXPECTED: &str = "a share of all requests from \"0%\" to \"100%\"";
    let text = value.text(EXPECTED)?;
    let number = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
    number.filter(|percent| *percent <= 100).or_else(|| value.is_not(EXPECTED))
}

/// `{ cookie = "SRV", max_age = "1h", secure = true }`
fn affinity(value: &Value<'_>) -> Option<Affinity> {
    let mut table = value.table()?;
    let cookie = table.required("cookie", cookie_name);
    let max_age = table.optional("max_age", |value| value.duration(Duration::from_secs(1)..=YEAR));
    let secure = table.or("secure", false, Value::boolean);
    table.finish();
    Some(Affinity { cookie: cookie?, max_age, secure })
}

/// `{ length = 1024, timeout = "5s" }`
fn queue(value: &Value<'_>) -> Option<Queue> {
    let mut table = value.table()?;
    let default = Queue::default();
    let length = table.or("length", default.length, |value| value.number(0..=MANY));
    let timeout = table.or("timeout", default.timeout, |value| value.duration(SHORTEST..=DAY));
    table.finish();
    Some(Queue { length, timeout })
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
        body: time("body", default.body),
        keep_alive: time("keep_alive", default.keep_alive),
    };
    table.finish();
    Some(timeouts)
}
