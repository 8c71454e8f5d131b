//! What `plugin = "geoip"` says of the earth.

use std::path::PathBuf;

use api::Prefix;

use super::datacenter::Site;
use crate::frontend::named;
use crate::table::Table;
use crate::value::Value;
use crate::zone;

/// Which datacenters are wanted where; they are places in the list of all.
pub(crate) struct Written {
    pub(super) database: Option<PathBuf>,
    pub(super) nets: Vec<(Prefix, Vec<usize>)>,
    pub(super) places: Vec<(String, Vec<usize>)>,
    pub(super) default: Vec<usize>,
    pub(super) coordinates: Vec<(i32, i32)>,
    pub(super) nearest: Option<u16>,
    pub(super) ignore_ecs: bool,
}

/// Reads it, of a resolver that has these datacenters.
pub(super) fn read(table: &mut Table<'_>, sites: &[Site]) -> Written {
    let database = table.optional("database", zone::file);
    let nets = table.optional("nets", |value| {
        let entries = value.table()?.into_entries();
        let net = |(key, value): (crate::place::Placed<&str>, Value<'_>)| {
            let Ok(prefix) = key.value.parse::<Prefix>() else {
                value.problem_at(&key.place, "this is not ADDRESS/LENGTH");
                return None;
            };
            Some((prefix, list(&value, sites)?))
        };
        Some(entries.into_iter().filter_map(net).collect::<Vec<_>>())
    });
    let mut default = None;
    let places = table.optional("places", |value| {
        let mut places = Vec::new();
        for (key, value) in value.table()?.into_entries() {
            let Some(sites) = list(&value, sites) else { continue };
            match key.value {
                "default" => default = Some(sites),
                place if is_place(place) => places.push((place.to_owned(), sites)),
                _ => value.problem_at(
                    &key.place,
                    "this is not a place: `EU`, `EU/FR`, `NA/US/NY`, `NA/US/NY/Buffalo` or `default`",
                ),
            }
        }
        Some(places)
    });
    let places = places.unwrap_or_default();
    if database.is_none() && !places.is_empty() {
        table.problem("`places` is of no use without `database`, which says who is where");
    }
    let coordinates: Vec<_> = sites.iter().filter_map(|site| site.coordinates).collect();
    if !coordinates.is_empty() && coordinates.len() != sites.len() {
        table.problem("some datacenters have `coordinates` and some do not: all or none");
    }
    let nearest = table.take("nearest");
    if let (Some(nearest), true) = (&nearest, coordinates.is_empty()) {
        nearest.problem("this is of no use without `coordinates`");
    }
    Written {
        database,
        nets: nets.unwrap_or_default(),
        places,
        default: default.unwrap_or_else(|| (0..sites.len()).collect()),
        coordinates,
        nearest: nearest.and_then(|value| value.number(1..=255)),
        ignore_ecs: table.or("ignore_ecs", false, Value::boolean),
    }
}

/// `["par1", "nyc1"]`, by their places.
fn list(value: &Value<'_>, sites: &[Site]) -> Option<Vec<usize>> {
    let names = || sites.iter().map(|site| site.name.as_str());
    let all = value.some(|value| named(value, "datacenter", names()))?;
    Some(all.into_iter().map(|one| one.value).collect())
}

/// Continent, country, subdivision, city: each below the one before.
fn is_place(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').collect();
    let is_code = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_uppercase());
    let is_short = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    match parts[..] {
        [continent] => is_code(continent),
        [continent, country] => is_code(continent) && is_code(country),
        [continent, country, region] => is_code(continent) && is_code(country) && is_short(region),
        [continent, country, region, city] => {
            is_code(continent) && is_code(country) && is_short(region) && !city.is_empty()
        }
        _ => false,
    }
}
