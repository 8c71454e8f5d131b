//! `[[frontend]]`

mod route;

use std::collections::BTreeMap;
use std::time::Duration;

use ::proxy::settings::{
    Action, ClientTimeouts, ErrorPage, HeaderLimits, Http, Mode, Route, TcpRoute,
};
use api::{Ports, Protocol};

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
/// Most connections of a frontend.
const MOST: u32 = 10_000_000;

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
pub(crate) fn named<'a>(
    value: &Value<'_>,
    kind: &str,
    names: impl Iterator<Item = &'a str>,
) -> Option<usize> {
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
        limits: table.optional("header_limits", limits).unwrap_or_default(),
        max_connections: table.optional("max_connections", |value| value.number(1..=MOST)),
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
    const OF_HTTP: [&str; 6] = [
        "health_uri",
        "trusted_proxies",
        "request_headers",
        "response_headers",
        "unique_id",
        "error_page",
    ];
    table.refuse(&OF_HTTP, "this is for `mode = \"http\"`");
    let mut routes = Vec::new();
    for value in table.take("route").map(|value| value.one_or_more()).unwrap_or_default() {
        let Some(mut table) = value.table() else { continue };
        let hosts = table.required("sni", route::hosts);
        let pool = table.required("pool", |value| all.pool(value));
        table.finish();
        if let (Some(hosts), Some(pool)) = (hosts, pool) {
            routes.push(TcpRoute { hosts, pool });
        }
    }
    match table.take("pool") {
        Some(value) => {
            let pool = all.pool(&value);
            routes.extend(pool.map(|pool| TcpRoute { hosts: vec![], pool }));
        }
        None if routes.is_empty() => {
            table.problem("neither `pool` nor a `route`: connections have nowhere to go");
        }
        None => {}
    }
    Mode::Tcp(routes)
}

fn http(table: &mut Table<'_>, all: &Everything<'_>) -> Mode {
    let mut routes: Vec<Route> = table
        .take("route")
        .map(|value| {
            let tables = value.one_or_more();
            tables.iter().filter_map(|value| route::read(value.table()?, all)).collect()
        })
        .unwrap_or_default();
    match table.take("pool") {
        Some(value) => {
            let action = all.pool(&value).map(Action::Pool);
            routes.extend(action.map(|action| Route::new(vec![], action)));
        }
        None if routes.is_empty() => {
            table.problem("neither `pool` nor a `route`: requests have nowhere to go");
        }
        None => {}
    }
    Mode::Http(Box::new(Http {
        routes,
        health_uri: table.optional("health_uri", route::path),
        trusted_proxies: table.or("trusted_proxies", vec![], |value| value.set(Value::prefix)),
        request_headers: table.optional("request_headers", route::edits).unwrap_or_default(),
        response_headers: table.optional("response_headers", route::edits).unwrap_or_default(),
        unique_id: table.optional("unique_id", pool::header_name),
        error_pages: table.optional("error_page", error_pages).unwrap_or_default(),
    }))
}

/// `[{ status = 503, file = "/etc/palier/503.html", content_type = "text/html" }]`: files are read by the L7 nodes.
fn error_pages(value: &Value<'_>) -> Option<Vec<ErrorPage>> {
    let mut pages = Vec::new();
    for value in value.one_or_more() {
        let Some(mut table) = value.table() else { continue };
        let status = table.required("status", |value| {
            let status = value.number(400..=599_u16)?;
            http::StatusCode::from_u16(status).ok()
        });
        let content_type = table.or(
            "content_type",
            http::HeaderValue::from_static("text/html; charset=utf-8"),
            |value| {
                const EXPECTED: &str = "a media type, as \"text/html\"";
                value.text(EXPECTED)?.parse().ok().or_else(|| value.is_not(EXPECTED))
            },
        );
        let file = table.required("file", Value::path);
        table.finish();
        if let (Some(status), Some(file)) = (status, file) {
            pages.push(ErrorPage { status, content_type, file });
        }
    }
    Some(pages)
}

/// `{ count = 128, bytes = 32768 }`
fn limits(value: &Value<'_>) -> Option<HeaderLimits> {
    let mut table = value.table()?;
    let default = HeaderLimits::default();
    let limits = HeaderLimits {
        count: table.or("count", default.count, |value| value.number(1..=10_000)),
        // hyper takes no less.
        bytes: table.or("bytes", default.bytes, |value| value.number(8192..=1 << 20)),
    };
    table.finish();
    Some(limits)
}

fn timeouts(value: &Value<'_>) -> Option<ClientTimeouts> {
    let mut table = value.table()?;
    let default = ClientTimeouts::default();
    let mut time = |key, default| table.or(key, default, |value| value.duration(SHORTEST..=DAY));
    let timeouts = ClientTimeouts {
        idle: time("idle", default.idle),
        handshake: time("handshake", default.handshake),
        header: time("header", default.header),
        body: time("body", default.body),
        tunnel: time("tunnel", default.tunnel),
        total: table.optional("total", |value| value.duration(SHORTEST..=DAY)),
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
