//! `check.udp`

use health::{Kind, Udp};

use crate::table::Table;
use crate::value::Value;

/// Bytes of a datagram that fits through every tunnel.
const LONGEST: usize = 1024;

/// `check.udp`
pub(super) fn read(table: &mut Table<'_>) -> Option<Kind> {
    let payload = table.optional("payload", |value| bytes(value, 0));
    let expect = table.optional("expect", |value| bytes(value, 1));
    Some(Kind::Udp(Udp { payload: payload.unwrap_or_default(), expect }))
}

/// Pairs of hexadecimal digits with spaces where one likes, or `{ text = "..." }`.
fn bytes(value: &Value<'_>, least: usize) -> Option<Vec<u8>> {
    let expected =
        format!("{least} to {LONGEST} bytes in hexadecimal (\"00ff\") or {{ text = \"...\" }}");
    let bytes = if value.raw().is_table() {
        let mut table = value.table()?;
        let text = table.required("text", |value| value.text("a text"));
        table.finish();
        text?.as_bytes().to_vec()
    } else {
        let text = value.text(&expected)?;
        match hexadecimal(text) {
            Some(bytes) => bytes,
            None => return value.is_not(expected),
        }
    };
    if (least..=LONGEST).contains(&bytes.len()) { Some(bytes) } else { value.is_not(expected) }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| c.to_digit(16));
    let digits: Vec<u8> =
        digits.map(|digit| digit.map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
