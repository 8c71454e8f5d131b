//! `check.tcp` and `check.agent`

use health::{Agent, Kind, Tcp};

use crate::table::Table;
use crate::value::Value;

/// Bytes that are sent or waited for: a word, not a file.
const LONGEST: usize = 4096;

/// `check.tcp`
pub(super) fn tcp(table: &mut Table<'_>) -> Option<Kind> {
    Some(Kind::Tcp(Tcp {
        send: table.optional("send", bytes),
        expect: table.optional("expect", bytes),
    }))
}

/// `check.agent`
pub(super) fn agent(table: &mut Table<'_>) -> Option<Kind> {
    Some(Kind::Agent(Agent { send: table.optional("send", bytes) }))
}

/// A text as it goes over the wire, with the escapes of TOML.
fn bytes(value: &Value<'_>) -> Option<Vec<u8>> {
    let text = value.text_that(&format!("a text of 1 to {LONGEST} bytes"), |text| {
        (1..=LONGEST).contains(&text.len())
    })?;
    Some(text.into_bytes())
}
