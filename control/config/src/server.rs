//! `servers` of a `[[pool]]`.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::address::is_peer;
use crate::check::tls::is_host_name;
use crate::pool::MANY;
use crate::settings::{Address, Family, Host, Server};
use crate::table::Table;
use crate::value::Value;

/// Highest weight of a server (HAProxy's).
const MAX_WEIGHT: u32 = 256;

/// `servers`: addresses, or tables of them.
pub(crate) fn all(table: &mut Table<'_>, limit: Option<u32>) -> Vec<Server> {
    let mut names = BTreeSet::new();
    let Some(list) = table.demand("servers") else { return Vec::new() };
    if list.is_empty_list() {
        list.problem("the list is empty: it needs at least one");
    }
    let read = |value: &Value<'_>| {
        let server = match value.raw().as_table() {
            Some(_) => server(value)?,
            None => plain(value, address(value, Family::Any)?),
        };
        let max_connections = server.max_connections.or(limit);
        let server = Server { max_connections, ..server };
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
fn plain(value: &Value<'_>, address: Address) -> Server {
    let name = value.raw().as_str().unwrap_or_default().to_owned();
    Server { name, address, weight: 1, backup: false, max_connections: None }
}

/// `{ name = "web1", address = "192.0.2.1:80", weight = 2, backup = true }`
fn server(value: &Value<'_>) -> Option<Server> {
    let mut table = value.table()?;
    let at = table.demand("address");
    let family = table.optional("family", |value| {
        Some((value.choice(&[("v4", Family::V4), ("v6", Family::V6)])?, value.place().clone()))
    });
    let wanted = family.as_ref().map_or(Family::Any, |(family, _)| *family);
    let address = at.as_ref().and_then(|value| address(value, wanted));
    if let (Some(Address::At(_)), Some((_, place))) = (&address, family) {
        table.problem_at(&place, "an address is of its family: `family` is for names");
    }
    let name = table.optional("name", |value| {
        value.text_that("a name without blanks and `/`", |text| {
            let good = |c: char| c.is_ascii_graphic() && c != '/' && c != '"';
            (1..=63).contains(&text.len()) && text.chars().all(good)
        })
    });
    let weight = table.or("weight", 1, |value| value.number(0..=MAX_WEIGHT));
    let backup = table.or("backup", false, Value::boolean);
    let max_connections = table.optional("max_connections", |value| value.number(1..=MANY));
    table.finish();
    let (at, address) = (at?, address?);
    let server = plain(&at, address);
    let name = name.unwrap_or(server.name);
    Some(Server { name, weight, backup, max_connections, ..server })
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`, `app.example.org:80`
fn address(value: &Value<'_>, family: Family) -> Option<Address> {
    const EXPECTED: &str = "ADDRESS:PORT or NAME:PORT, as \"192.0.2.1:80\", \"[2001:db8::1]:80\" or \"app.example.org:80\"";
    let text = value.text(EXPECTED)?;
    if let Ok(at) = text.parse::<SocketAddr>() {
        return is_peer(&at).then_some(Address::At(at)).or_else(|| value.is_not(EXPECTED));
    }
    let named = || {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let name = host.to_ascii_lowercase();
        is_host(&name).then_some(Address::Named(Host { name, family }, port))
    };
    named().or_else(|| value.is_not(EXPECTED))
}

/// Whether this can be looked up (RFC 1123 section 2.1); what ends in a number is a misspelt address.
fn is_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    is_host_name(name)
        && name.split('.').all(|label| !label.starts_with('-') && !label.ends_with('-'))
        && !name.rsplit('.').next().is_some_and(is_number)
}
