//! `[[resolver]]`

mod datacenter;
mod geo;
mod order;
mod targets;
mod weighted;

use std::net::IpAddr;

use ::dns::resolve::{Few, Reflect};

use crate::address;
use crate::name;
use crate::place::Placed;
use crate::service;
use crate::settings::{Multifo, Plugin, Share, Targets};
use crate::table::Table;
use crate::value::Value;

use self::datacenter::Site;
pub(crate) use self::order::arrange;

/// A resolver, as it stands in the file: datacenters are not looked up yet.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) plugin: Placed<Written>,
}

/// What a resolver does.
pub(crate) enum Written {
    /// It needs no others.
    Alone(Plugin),
    /// It chooses among datacenters: these are what they are called and what they have.
    Metafo { sites: Vec<Site>, skip_first: bool },
    /// The same.
    Geoip { sites: Vec<Site>, geo: Box<geo::Written> },
    /// It could not be read, which was told.
    Nothing,
}

impl Entry {
    /// As zones name it.
    pub(crate) fn plugin(&self) -> &'static str {
        match &self.plugin.value {
            Written::Alone(plugin) => plugin.name(),
            Written::Metafo { .. } => "metafo",
            Written::Geoip { .. } => "geoip",
            Written::Nothing => "",
        }
    }
}

/// Keys of some plugins and not of others: of which.
const OWN: [(&str, &[&str]); 15] = [
    ("service", &["multifo", "simplefo"]),
    ("addresses", &["multifo", "simplefo", "static"]),
    ("check", &["multifo", "simplefo", "weighted", "metafo", "geoip"]),
    ("up_thresh", &["multifo", "weighted", "metafo", "geoip"]),
    ("too_few", &["multifo", "weighted", "metafo", "geoip"]),
    ("answers", &["multifo", "weighted", "metafo", "geoip"]),
    ("sticky", &["multifo", "weighted", "metafo", "geoip"]),
    ("ignore_health", &["multifo"]),
    ("members", &["weighted"]),
    ("multi", &["weighted"]),
    ("datacenters", &["metafo", "geoip"]),
    ("skip_first", &["metafo"]),
    ("gives", &["reflect"]),
    ("database", &["geoip"]),
    ("nets", &["geoip"]),
];
/// The rest of them.
const OF_GEO: [&str; 3] = ["places", "nearest", "ignore_ecs"];

const PLUGINS: [&str; 8] =
    ["multifo", "simplefo", "weighted", "metafo", "geoip", "static", "reflect", "null"];

/// Reads one, of a site that has these services.
pub(crate) fn read(table: Table<'_>, position: usize, services: &[service::Entry]) -> Entry {
    let (mut table, name) = name::entry(table, "resolver", position);
    let choices = PLUGINS.map(|plugin| (plugin, plugin));
    let place = table.place().clone();
    let plugin = table.required("plugin", |value| {
        Some(Placed { value: value.choice(&choices)?, place: value.place().clone() })
    });
    let Some(Placed { value: plugin, place }) = plugin else {
        // What the rest means is not known.
        return Entry { name, plugin: Placed { value: Written::Nothing, place } };
    };
    for (key, plugins) in OWN {
        if !plugins.contains(&plugin) {
            table.refuse(&[key], &format!("this is not for `plugin = \"{plugin}\"`"));
        }
    }
    if plugin != "geoip" {
        table.refuse(&OF_GEO, &format!("this is not for `plugin = \"{plugin}\"`"));
    }
    let written = match plugin {
        "multifo" => Some(Written::Alone(Plugin::Multifo(multifo(&mut table, services)))),
        "simplefo" => Some(Written::Alone(Plugin::Simplefo(simplefo(&mut table, services)))),
        "weighted" => weighted::read(&mut table).map(|it| Written::Alone(Plugin::Weighted(it))),
        "metafo" => {
            let sites = datacenter::all(&mut table, services, false);
            let skip_first = table.or("skip_first", false, Value::boolean);
            Some(Written::Metafo { sites, skip_first })
        }
        "geoip" => {
            let sites = datacenter::all(&mut table, services, true);
            let geo = geo::read(&mut table, &sites);
            Some(Written::Geoip { sites, geo: Box::new(geo) })
        }
        "static" => {
            let addresses = table.required("addresses", |value| value.some(Value::address));
            let addresses = addresses.unwrap_or_default();
            let addresses = addresses.into_iter().map(|one| one.value).collect();
            Some(Written::Alone(Plugin::Static(addresses)))
        }
        "reflect" => {
            let gives = table.or("gives", Reflect::default(), |value| {
                value.choice(&[
                    ("dns", Reflect::Dns),
                    ("edns", Reflect::Edns),
                    ("both", Reflect::Both),
                    ("best", Reflect::Best),
                ])
            });
            Some(Written::Alone(Plugin::Reflect(gives)))
        }
        _ => Some(Written::Alone(Plugin::Null)),
    };
    table.finish();
    Entry { name, plugin: Placed { value: written.unwrap_or(Written::Nothing), place } }
}

fn multifo(table: &mut Table<'_>, services: &[service::Entry]) -> Multifo {
    let targets = targets::read(table, services);
    let manner = Manner::read(table, Manner::default());
    Multifo {
        targets,
        up_thresh: manner.up_thresh,
        too_few: manner.too_few,
        ignore_health: table.or("ignore_health", false, Value::boolean),
        answers: manner.answers,
        sticky: manner.sticky,
    }
}

/// One or two of a family, the primary first.
fn simplefo(table: &mut Table<'_>, services: &[service::Entry]) -> Targets {
    let targets = targets::read(table, services);
    for (family, is_it) in
        [("IPv4", IpAddr::is_ipv4 as fn(&IpAddr) -> bool), ("IPv6", IpAddr::is_ipv6)]
    {
        if targets.addresses.iter().filter(|one| is_it(one)).count() > 2 {
            table.problem(format!(
                "more than two {family} addresses: `simplefo` has a primary and a secondary, `multifo` more"
            ));
        }
    }
    targets
}

/// How several are chosen among.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    up_thresh: Share,
    too_few: Few,
    answers: Option<u16>,
    sticky: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { up_thresh: Share::HALF, too_few: Few::All, answers: None, sticky: false }
    }
}

impl Manner {
    /// As the table says; where it does not, as `default`.
    fn read(table: &mut Table<'_>, default: Self) -> Self {
        let few = [
            ("all", Few::All),
            ("up", Few::Up),
            ("none", Few::Nothing),
            ("first", Few::First),
            ("last_known", Few::LastKnown),
        ];
        Self {
            up_thresh: table.or("up_thresh", default.up_thresh, share),
            too_few: table.or("too_few", default.too_few, |value| value.choice(&few)),
            answers: table.optional("answers", |value| value.number(1..=255)).or(default.answers),
            sticky: table.or("sticky", default.sticky, Value::boolean),
        }
    }
}

/// A part of 1: `0.5`.
fn share(value: &Value<'_>) -> Option<Share> {
    const EXPECTED: &str = "a share above 0, and up to 1.0";
    let number: Option<f64> = match value.integer() {
        Some(whole) => Some(whole as f64),
        None => value.float(),
    };
    let Some(number) = number else { return value.is_not(EXPECTED) };
    let millionths = (number * 1e6).round();
    if (1.0..=1e6).contains(&millionths) {
        Some(Share(millionths as u32))
    } else {
        value.is_not(EXPECTED)
    }
}

/// An address that clients can be given.
fn given(value: &Value<'_>) -> Option<IpAddr> {
    let address = value.address()?;
    let is_one = address::is_peer(&(address, 1).into()) && !address.is_multicast();
    if is_one { Some(address) } else { value.is_not("an address that anybody could go to") }
}
