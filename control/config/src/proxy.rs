//! `[proxy]`: what holds of the proxies of all L7 nodes.

use std::net::{IpAddr, SocketAddr};

use ::proxy::settings::{AccessLog, LogFormat, LogTo};

use crate::address::is_peer;
use crate::settings::Proxy;
use crate::value::Value;

/// Lines that may wait, if nobody says.
const QUEUE: usize = 16_384;

/// Where DNS is spoken.
const DNS: u16 = 53;

/// The table.
pub(crate) fn read(value: &Value<'_>) -> Option<Proxy> {
    let mut table = value.table()?.called("proxy");
    let access_log = table.optional("access_log", access_log);
    let nameservers = table.or("nameservers", Vec::new(), |value| {
        Some(value.list(nameserver)?.into_iter().map(|placed| placed.value).collect())
    });
    table.finish();
    Some(Proxy { access_log, nameservers })
}

/// `"192.0.2.53"`, `"[2001:db8::53]:5353"`
fn nameserver(value: &Value<'_>) -> Option<SocketAddr> {
    const EXPECTED: &str = "an address, or ADDRESS:PORT, as \"192.0.2.53\" or \"192.0.2.53:5353\"";
    let text = value.text(EXPECTED)?;
    let plain = || Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS));
    text.parse().ok().or_else(plain).filter(is_peer).or_else(|| value.is_not(EXPECTED))
}

/// `{ file = "/var/log/palier/access.log", format = "json", queue = 16384 }`; without a file it goes to
/// standard output.
fn access_log(value: &Value<'_>) -> Option<AccessLog> {
    let mut table = value.options()?;
    let to = table.optional("file", Value::path).map_or(LogTo::Stdout, LogTo::File);
    let format = table.or("format", LogFormat::Json, |value| {
        value.choice(&[("json", LogFormat::Json), ("combined", LogFormat::Combined)])
    });
    let queue = table.or("queue", QUEUE, |value| value.number(1..=10_000_000));
    table.finish();
    Some(AccessLog { format, to, queue })
}
