//! The whole document: text to tables, tables to entries, entries to a [`Config`].

use toml::de::DeTable;

use crate::place::{Findings, Place};
use crate::problem::{Finding, Problems};
use crate::secret::Secrets;
use crate::settings::Config;
use crate::table::Table;
use crate::whole::{self, Entries};
use crate::{bgp, dns, frontend, l4, l7, pool, proxy, resolver, router, service, site, zone};

impl Config {
    /// The configuration that `text` is, with what `secrets` it names.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it. Where the text is not even TOML, only that is told, as nothing
    /// can be said of the rest.
    pub fn parse(text: &str, secrets: &dyn Secrets) -> Result<Self, Problems> {
        let document = document(text)?;
        let findings = Findings::default();
        let root = Table::new(Some(&document), Place::root(), &findings);
        let config = read(root, &findings, secrets);
        match findings.into_problems(text) {
            Some(problems) => Err(problems),
            None => Ok(config),
        }
    }
}

/// The tables of a text.
///
/// The parser goes on after an error, and may then take the rest of a line for something else: one
/// error a line is told.
pub(crate) fn document(text: &str) -> Result<DeTable<'_>, Problems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut errors: Vec<_> =
        errors.iter().map(|e| (e.span().map_or(0, |span| span.start), e.message())).collect();
    errors.sort_unstable();
    let mut next_line = 0;
    errors.retain(|(offset, _)| {
        let first = *offset >= next_line;
        if first {
            let rest = text.as_bytes().get(*offset..).unwrap_or_default();
            let length = rest.iter().position(|byte| *byte == b'\n');
            next_line = length.map_or(usize::MAX, |length| offset + length + 1);
        }
        first
    });
    let finding = |(offset, message): (usize, &str)| {
        let text = format!("this is not TOML: {message}");
        Finding { offset, path: String::new(), text }
    };
    match Problems::of(text, errors.into_iter().map(finding).collect()) {
        Some(problems) => Err(problems),
        None => Ok(document.into_inner()),
    }
}

/// Reads every table. What comes out is whole only if nothing was found.
fn read(mut root: Table<'_>, findings: &Findings, secrets: &dyn Secrets) -> Config {
    let site = root.demand("site").and_then(|value| value.table());
    // Without `[site]` an empty one is read in its place, and its problems forgotten: one is enough.
    let spare = Findings::default();
    let site = site.unwrap_or_else(|| Table::new(None, Place::root(), &spare));
    let (site, defaults) = site::read(site, secrets);

    let l4 = entries(&mut root, "l4", l4::read);
    let l7 = entries(&mut root, "l7", l7::read);
    let nodes: Vec<_> = l7.iter().map(l7::Entry::node).collect();
    let services = entries(&mut root, "service", |table, position| {
        service::read(table, position, &nodes, defaults)
    });
    let (bgp, peer_defaults) = bgp::read(root.optional("bgp", |value| value.table()));
    let everyone = bgp::Everyone {
        l4: l4.iter().map(|node| node.name.value.as_str()).collect(),
        services: services.iter().map(|service| service.name.value.as_str()).collect(),
    };
    let routers = entries(&mut root, "router", |table, position| {
        router::read(table, position, peer_defaults, &everyone, secrets)
    });
    let mut pools = entries(&mut root, "pool", pool::read);
    pool::resolve(&mut pools, |place, text| findings.add(place, text));
    let all = frontend::Everything { services: &services, pools: &pools };
    let frontends =
        entries(&mut root, "frontend", |table, position| frontend::read(table, position, &all));
    frontend::check(&frontends, &all, |name, text| findings.add(&name.place, text));
    let proxy = root.optional("proxy", proxy::read);
    let dns = entries(&mut root, "dns", |table, position| dns::read(table, position, &frontends));
    let resolvers = entries(&mut root, "resolver", |table, position| {
        resolver::read(table, position, &services)
    });
    let zones = entries(&mut root, "zone", zone::read);
    let tell = |place: &Place, text| findings.add(place, text);
    dns::check(&dns, tell);
    zone::check(&zones, tell);
    let resolvers = resolver::arrange(resolvers, &tell);
    whole::own_vips::check(&dns, &nodes, &services, &resolvers, findings);
    root.finish();

    let entries = Entries { l4, l7, routers, services };
    whole::check(&entries, site.times.startup_limit, bgp.as_ref(), findings);
    Config {
        site,
        bgp,
        routers: entries.routers.iter().map(router::Entry::router).collect(),
        l4: entries.l4.iter().map(l4::Entry::node).collect(),
        l7: nodes,
        services: entries.services.into_iter().map(|entry| entry.service).collect(),
        proxy: proxy.unwrap_or_default(),
        pools: pools.into_iter().map(|entry| entry.pool).collect(),
        frontends: frontends.into_iter().map(|entry| entry.frontend).collect(),
        dns: dns.into_iter().map(|entry| entry.dns).collect(),
        resolvers,
        zones: zones.into_iter().map(|entry| entry.zone).collect(),
    }
}

/// The entries of one kind: `[[l4]]`.
fn entries<'a, T>(
    root: &mut Table<'a>,
    key: &'static str,
    read: impl Fn(Table<'a>, usize) -> T,
) -> Vec<T> {
    let Some(value) = root.take(key) else { return Vec::new() };
    if value.raw().is_table() {
        value.problem(format!("this is one of a list: write [[{key}]]"));
        return Vec::new();
    }
    let elements = value.elements().unwrap_or_default();
    let tables = (1..).zip(&elements).filter_map(|(i, value)| Some((i, value.table()?)));
    tables.map(|(position, table)| read(table, position)).collect()
}
