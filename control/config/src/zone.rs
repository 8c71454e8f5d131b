//! `[[zone]]`

use std::path::PathBuf;
use std::time::Duration;

use ::dns::{Name, zone::LONGEST_TTL};

use crate::place::{Place, Placed};
use crate::settings::Zone;
use crate::table::Table;
use crate::value::Value;

/// Seconds that records live where nothing says so: as with gdnsd.
const TTL: u32 = 86_400;

/// A zone, and where its name stands.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) zone: Zone,
}

/// Reads one.
pub(crate) fn read(table: Table<'_>, position: usize) -> Entry {
    let named = table.peek("name").and_then(|name| name.as_str()).and_then(domain);
    let called = named.map_or_else(|| format!("zone[{position}]"), |name| format!("zone {name}"));
    let mut table = table.called(&called);
    let place = table.place().clone();
    let name = table.required("name", |value| {
        let name = domain(value.text(NAME)?).or_else(|| value.is_not(NAME))?;
        Some(Placed { value: name, place: place.at(value.place().offset()) })
    });
    let name = name.unwrap_or(Placed { value: String::new(), place });
    let seconds = |value: &Value<'_>| {
        value.duration(Duration::ZERO..=Duration::from_secs(LONGEST_TTL.into()))
    };
    let ttl = table.or("default_ttl", Duration::from_secs(TTL.into()), seconds);
    let zone = Zone {
        name: name.value.clone(),
        file: table.required("file", file).unwrap_or_default(),
        default_ttl: ttl.as_secs() as u32,
        strict: table.or("strict", false, Value::boolean),
    };
    table.finish();
    Entry { name, zone }
}

const NAME: &str = "the name of a zone, such as \"example.org\"";

/// A name in lower case, without a dot at its end.
pub(crate) fn domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let name = Name::parse(text.as_bytes(), Some(&Name::root())).ok()?;
    let name = name.to_string();
    name.strip_suffix('.').filter(|name| !name.is_empty()).map(str::to_owned)
}

/// A path, which may be one from where the site file lies.
pub(crate) fn file(value: &Value<'_>) -> Option<PathBuf> {
    let path = value.text_that("the path of a file", |text| {
        !text.is_empty() && !text.contains(char::is_control)
    });
    path.map(PathBuf::from)
}

/// Tells of names that are there twice.
pub(crate) fn check(entries: &[Entry], tell: impl Fn(&Place, String)) {
    for (own, Entry { name, .. }) in entries.iter().enumerate() {
        let before = entries[..own].iter().any(|other| other.name.value == name.value);
        if before && !name.value.is_empty() {
            tell(&name.place, "another [[zone]] has this name".into());
        }
    }
}
