//! `[[frontend]]`

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Ports, Protocol};
use proxy::settings::{Action, ClientTimeouts, Condition, Http, Mode, Route};

use crate::duration::DAY;
use crate::name;
use crate::place::Placed;
use crate::pool;
use crate::service;
use crate::settings::Frontend;
use crate::suggest;
use crate::table::Table;
use crate::tls;
use crate::value::{Value, quoted};

/// No deadline of a client is shorter.
const SHORTEST: Duration = Duration::from_millis(1);
/// Statuses of redirects (RFC 9110, section 15.4).
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// A frontend, and where its name stands.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) frontend: Frontend,
}

/// What frontends refer to.
pub(crate) struct Everything<'a> {
    pub(crate) services: &'a [service::Entry],
    pub(crate) pools: &'a [pool::Entry],
}

impl Everything<'_> {
    fn pool(&self, value: &Value<'_>) -> Option<usize> {
        let names = self.pools.iter().map(|pool| pool.name.value.as_str());
        named(value, "[[pool]]", names)
    }
}

/// The place of what has this name.
fn named<'a>(value: &Value<'_>, kind: &str, names: impl Iterator<Item = &'a str>) -> Option<usize> {
    let names: Vec<_> = names.collect();
    let expected = format!("the name of a {kind}");
    let text = value.text(&expected)?;
    names.iter().position(|name| *name == text).or_else(|| {
        let meant =
            suggest::nearest(text, &names).map(|name| format!(" (did you mean \"{name}\"?)"));
        value.is_not(format!("{expected}{}", meant.unwrap_or_default()))
    })
}

/// Reads one, of a site that has all this.
pub(crate) fn read(table: Table<'_>, position: usize, all: &Everything<'_>) -> Entry {
    let (mut table, name) = name::entry(table, "frontend", position);
    let service = table.required("service", |value| service(value, all));
    let ports = ports(&mut table, service.map(|place| &all.services[place]));
    let tls = table.optional("tls", |value| tls::of_clients(value, &ports));
    let (tls_ports, tls) = tls.unzip();
    let is_tcp = table.or("mode", false, |value| value.choice(&[("http", false), ("tcp", true)]));
    let mode = if is_tcp { tcp(&mut table, all) } else { http(&mut table, all) };
    let frontend = Frontend {
        name: name.value.clone(),
        service: service.unwrap_or(0),
        ports,
        tls_ports: tls_ports.unwrap_or_default(),
        tls,
        accept_proxy: table.or("accept_proxy", vec![], |value| value.set(Value::prefix)),
        mode,
        timeouts: table.optional("timeouts", timeouts).unwrap_or_default(),
    };
    table.finish();
    Entry { name, frontend }
}

/// A service of TCP whose VIPs are addresses, at ports that are told one by one: all of them are listened
/// on.
fn service(value: &Value<'_>, all: &Everything<'_>) -> Option<usize> {
    let names = all.services.iter().map(|service| service.name.value.as_str());
    let place = named(value, "[[service]]", names)?;
    let service = &all.services[place].service;
    if service.protocol != Protocol::Tcp {
        value.problem(format!("service {} is not of TCP", service.name));
    }
    if let Some(prefix) = service.vips.iter().find(|vip| !vip.is_host()) {
        value.problem(format!("{prefix} is not one address: it cannot be listened on"));
    }
    Some(place)
}

/// `ports`: some of the service's, or all of them.
fn ports(table: &mut Table<'_>, service: Option<&service::Entry>) -> Vec<u16> {
    let own = table.take("ports");
    let of_service = service.map(|entry| &entry.service.ports);
    match (own, of_service) {
        (Some(value), of_service) => {
            let ports = value.some(|port| {
                let number = port.port()?;
                if let Some(of_service) = of_service
                    && !takes(of_service, number)
                {
                    port.problem(format!("the service does not take port {number}"));
                }
                Some(number)
            });
            ports.unwrap_or_default().into_iter().map(|port| port.value).collect()
        }
        (None, Some(Ports::List(ports))) => ports.clone(),
        (None, Some(Ports::Range(..) | Ports::Any)) => {
            table.problem(
                "the service takes a range of ports: say by `ports` which of them are for this",
            );
            Vec::new()
        }
        (None, None) => Vec::new(),
    }
}

fn takes(ports: &Ports, port: u16) -> bool {
    match ports {
        Ports::List(ports) => ports.contains(&port),
        Ports::Range(first, last) => (*first..=*last).contains(&port),
        Ports::Any => true,
    }
}

fn tcp(table: &mut Table<'_>, all: &Everything<'_>) -> Mode {
    let why = "this is for `mode = \"http\"`";
    table.refuse(&["route", "health_uri", "trusted_proxies"], why);
    Mode::Tcp { pool: table.required("pool", |value| all.pool(value)).unwrap_or(0) }
}

fn http(table: &mut Table<'_>, all: &Everything<'_>) -> Mode {
    let mut routes: Vec<Route> = table
        .take("route")
        .map(|value| {
            let tables = value.one_or_more();
            tables.iter().filter_map(|value| route(value.table()?, all)).collect()
        })
        .unwrap_or_default();
    match table.take("pool") {
        Some(value) => {
            let action = all.pool(&value).map(Action::Pool);
            routes.extend(action.map(|action| Route { conditions: vec![], action }));
        }
        None if routes.is_empty() => {
            table.problem("neither `pool` nor a `route`: requests have nowhere to go");
        }
        None => {}
    }
    let health_uri = table.optional("health_uri", path);
    let trusted_proxies = table.or("trusted_proxies", vec![], |value| value.set(Value::prefix));
    Mode::Http(Http { routes, health_uri, trusted_proxies })
}

/// `[[frontend.route]]`
fn route(mut table: Table<'_>, all: &Everything<'_>) -> Option<Route> {
    let mut conditions = Vec::new();
    conditions.extend(table.optional("host", hosts).map(Condition::Host));
    conditions.extend(table.optional("path", path).map(Condition::Path));
    conditions.extend(table.optional("path_prefix", path).map(Condition::PathPrefix));
    conditions.extend(table.optional("method", methods).map(Condition::Method));
    let pool = table.take("pool");
    let redirect = table.take("redirect");
    let action = match (&pool, &redirect) {
        (Some(value), None) => all.pool(value).map(Action::Pool),
        (None, Some(value)) => self::redirect(value),
        (Some(_), Some(value)) => {
            value.problem("write `pool` or `redirect`, not both");
            None
        }
        (None, None) => {
            table.problem("neither `pool` nor `redirect`: what becomes of such requests?");
            None
        }
    };
    table.finish();
    Some(Route { conditions, action: action? })
}

/// `"https://{host}{path}"`, or `{ to = "...", status = 301 }`.
fn redirect(value: &Value<'_>) -> Option<Action> {
    const EXPECTED: &str = "a URL, in which {host} and {path} may stand";
    let target = |value: &Value<'_>| {
        value.text_that(EXPECTED, |text| {
            let filled = text.replace("{host}", "example.org").replace("{path}", "/a?b");
            filled.parse::<http::Uri>().is_ok() && !filled.contains(['{', '}'])
        })
    };
    if !value.raw().is_table() {
        return Some(Action::Redirect(http::StatusCode::FOUND, target(value)?));
    }
    let mut table = value.table()?;
    let to = table.required("to", target);
    let status = table.or("status", http::StatusCode::FOUND, |value| {
        let known = value.integer().and_then(|number| u16::try_from(number).ok());
        let known = known.filter(|status| REDIRECTS.contains(status));
        let status = known.and_then(|status| http::StatusCode::from_u16(status).ok());
        status.or_else(|| value.is_not("a status of redirects: 301, 302, 303, 307 or 308"))
    });
    table.finish();
    Some(Action::Redirect(status, to?))
}

/// `"www.example.org"`, `["example.org", "*.example.org"]`
fn hosts(value: &Value<'_>) -> Option<Vec<String>> {
    const EXPECTED: &str = "a host in lower case without port, or *.HOST for all below it";
    let read = |value: &Value<'_>| {
        value.text_that(EXPECTED, |text| {
            let bare = text.strip_prefix("*.").unwrap_or(text);
            let good =
                |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && !"*/@\\[]".contains(c);
            !bare.is_empty() && bare.chars().all(good)
        })
    };
    some_or_one(value, read)
}

fn methods(value: &Value<'_>) -> Option<Vec<http::Method>> {
    const EXPECTED: &str = "a method, as \"GET\"";
    some_or_one(value, |value| {
        let text = value.text(EXPECTED)?;
        let good = text.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = http::Method::from_bytes(text.as_bytes()).ok().filter(|_| good);
        method.or_else(|| value.is_not(EXPECTED)).map(|method| method.to_string())
    })
    .map(|names| names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// A list of what `read` reads, or one alone.
fn some_or_one(
    value: &Value<'_>,
    read: impl Fn(&Value<'_>) -> Option<String>,
) -> Option<Vec<String>> {
    if value.raw().is_array() {
        return Some(value.some(read)?.into_iter().map(|placed| placed.value).collect());
    }
    Some(vec![read(value)?])
}

fn path(value: &Value<'_>) -> Option<String> {
    value.text_that("a path that begins with `/`, without query or blanks", |text| {
        text.starts_with('/')
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#')
    })
}

fn timeouts(value: &Value<'_>) -> Option<ClientTimeouts> {
    let mut table = value.table()?;
    let default = ClientTimeouts::default();
    let mut time = |key, default| table.or(key, default, |value| value.duration(SHORTEST..=DAY));
    let timeouts = ClientTimeouts {
        idle: time("idle", default.idle),
        handshake: time("handshake", default.handshake),
        header: time("header", default.header),
        tunnel: time("tunnel", default.tunnel),
    };
    table.finish();
    Some(timeouts)
}

/// Tells of addresses and ports that two frontends would listen on, and of names that are there twice.
pub(crate) fn check(
    entries: &[Entry],
    all: &Everything<'_>,
    tell: impl Fn(&Placed<String>, String),
) {
    let mut names = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for Entry { name, frontend } in entries {
        if !name.value.is_empty() && names.insert(&name.value, ()).is_some() {
            tell(name, "another [[frontend]] has this name".into());
        }
        let Some(service) = all.services.get(frontend.service) else { continue };
        for vip in &service.service.vips {
            for &port in &frontend.ports {
                if let Some(other) = taken.insert((*vip, port), &name.value) {
                    let text =
                        format!("frontend {} listens on port {port} of {vip}", quoted(other));
                    tell(name, text);
                }
            }
        }
    }
}
