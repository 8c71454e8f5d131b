//! Names of sites, nodes, routers and services.

use toml::de::DeValue;

use crate::place::Placed;
use crate::table::Table;
use crate::value::Value;

/// What a name is.
const EXPECTED: &str = "a name: 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit";

/// Whether a text can be a name. Names stand in file names, certificates and patterns, so what means
/// something there is left out. The forwarder's table file has room for 63 bytes.
fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.chars().all(|c| word(c) || matches!(c, '-' | '_' | '.'))
        && text.starts_with(word)
        && text.ends_with(word)
}

/// A name.
pub(crate) fn read(value: &Value<'_>) -> Option<String> {
    value.text_that(EXPECTED, is_name)
}

/// The table of an entry, called by its name from here on (`service web`; `service[2]` if it has
/// none), and that name. An entry without one has the empty name, which nothing else is held against.
pub(crate) fn entry<'a>(
    table: Table<'a>,
    kind: &str,
    position: usize,
) -> (Table<'a>, Placed<String>) {
    let name = table.peek("name").and_then(DeValue::as_str).filter(|name| is_name(name));
    let called = match name {
        Some(name) => format!("{kind} {name}"),
        None => format!("{kind}[{position}]"),
    };
    let mut table = table.called(&called);
    let start = table.place().clone();
    let named = table.required("name", |value| {
        // The problem of a name is the whole entry's, told where the name stands.
        Some(Placed { value: read(value)?, place: start.at(value.place().offset()) })
    });
    let named = named.unwrap_or_else(|| Placed { value: String::new(), place: start });
    (table, named)
}
