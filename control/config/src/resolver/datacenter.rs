//! `datacenters` of `metafo` and `geoip`.

use super::{Manner, targets};
use crate::check::{self};
use crate::name;
use crate::place::Placed;
use crate::service;
use crate::settings::{Multifo, Plugin};
use crate::table::Table;
use crate::value::Value;

/// One of several sites, as it stands in the file.
pub(crate) struct Site {
    pub(super) name: String,
    pub(super) gives: Gives,
    /// Latitude and longitude, in millionths of a degree.
    pub(super) coordinates: Option<(i32, i32)>,
}

/// What a site gives.
pub(crate) enum Gives {
    /// What another resolver gives: `web`, or `multifo!web`.
    Other(Placed<String>),
    /// Addresses of its own.
    Own(Box<Plugin>),
    /// Nothing that could be read, which was told.
    Nothing,
}

/// Reads them, with what the resolver says for all of them.
pub(super) fn all(table: &mut Table<'_>, services: &[service::Entry], is_geo: bool) -> Vec<Site> {
    let manner = Manner::read(table, Manner::default());
    let common = table.take("check");
    let sites = table.required("datacenters", |value| {
        if value.is_empty_list() {
            value.problem("the list is empty: it needs at least one");
            return None;
        }
        value.list(|value| site(value, services, manner, common.as_ref(), is_geo))
    });
    let sites = sites.unwrap_or_default();
    for (own, Placed { value: site, place }) in sites.iter().enumerate() {
        if sites[..own].iter().any(|other| other.value.name == site.name) {
            table.problem_at(place, format!("another datacenter has the name {}", site.name));
        }
    }
    sites.into_iter().map(|site| site.value).collect()
}

/// `{ name = "par1", service = "web" }`, `{ name = "lon1", addresses = [...] }`, `{ name = "nyc1", resolver = "web" }`
fn site(
    value: &Value<'_>,
    services: &[service::Entry],
    manner: Manner,
    common: Option<&Value<'_>>,
    is_geo: bool,
) -> Option<Site> {
    let mut table = value.table()?;
    let name = table.required("name", name::read);
    let coordinates = if is_geo {
        table.optional("coordinates", coordinates)
    } else {
        table.refuse(&["coordinates"], "this is for `plugin = \"geoip\"`");
        None
    };
    let gives = if table.peek("resolver").is_some() {
        let own = ["service", "addresses", "check", "up_thresh", "too_few", "answers", "sticky"];
        table.refuse(&own, "this is of no use with `resolver`, which has its own");
        let other = table.optional("resolver", |value| {
            let text = value.text("the name of a [[resolver]]")?.to_owned();
            Some(Placed { value: text, place: value.place().clone() })
        });
        other.map_or(Gives::Nothing, Gives::Other)
    } else {
        let mut checks = |port| Some(check::of_addresses(common?, port));
        let targets = targets::read_or(&mut table, services, &mut checks);
        let Manner { up_thresh, too_few, answers, sticky } = Manner::read(&mut table, manner);
        let ignore_health = false;
        let own = Multifo { targets, up_thresh, too_few, ignore_health, answers, sticky };
        Gives::Own(Box::new(Plugin::Multifo(own)))
    };
    table.finish();
    Some(Site { name: name?, gives, coordinates })
}

/// `[48.85, 2.35]`
fn coordinates(value: &Value<'_>) -> Option<(i32, i32)> {
    const EXPECTED: &str = "[LATITUDE, LONGITUDE] in degrees, such as [48.85, 2.35]";
    let parts = value.elements()?;
    let [latitude, longitude] = &parts[..] else { return value.is_not(EXPECTED) };
    let degrees = |value: &Value<'_>, most: f64| {
        let number = value.float().or_else(|| value.integer().map(|whole| whole as f64));
        let number = number.filter(|number| number.abs() <= most);
        number.map(|number| (number * 1e6).round() as i32)
    };
    let both = degrees(latitude, 90.0).zip(degrees(longitude, 180.0));
    both.or_else(|| value.is_not(EXPECTED))
}
