//! `[proxy]`: what holds of the proxies of all L7 nodes.

use ::proxy::settings::{AccessLog, LogFormat, LogTo};

use crate::value::Value;

/// Lines that may wait, if nobody says.
const QUEUE: usize = 16_384;

/// The access log, if there is one.
pub(crate) fn read(value: &Value<'_>) -> Option<Option<AccessLog>> {
    let mut table = value.table()?.called("proxy");
    let log = table.optional("access_log", access_log);
    table.finish();
    Some(log)
}

/// `{ file = "/var/log/palier/access.log", format = "json", queue = 16384 }`; without a file it goes to
/// standard output.
fn access_log(value: &Value<'_>) -> Option<AccessLog> {
    let mut table = value.options()?;
    let to = table.optional("file", Value::path).map_or(LogTo::Stdout, LogTo::File);
    let format = table.or("format", LogFormat::Json, |value| {
        value.choice(&[("json", LogFormat::Json), ("combined", LogFormat::Combined)])
    });
    let queue = table.or("queue", QUEUE, |value| value.number(1..=10_000_000));
    table.finish();
    Some(AccessLog { format, to, queue })
}
