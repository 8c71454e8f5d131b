//! `check.http` and `check.https`

use std::collections::BTreeSet;

use health::{BodyMatch, Http, Kind, StatusSet};
use regex::Regex;

use crate::check::tls;
use crate::table::Table;
use crate::value::Value;

/// Statuses that refuse new connections, unless they are said to be good.
const DRAIN: [u16; 2] = [503, 404];

/// `check.http`
pub(super) fn plain(table: &mut Table<'_>) -> Option<Kind> {
    Some(Kind::Http(request(table)))
}

/// `check.https`
pub(super) fn secure(table: &mut Table<'_>) -> Option<Kind> {
    let http = request(table);
    let name = http.host.as_deref().map(without_port).filter(|name| tls::is_host_name(name));
    let name = name.map(String::from);
    let tls = tls::options(table, name);
    Some(Kind::Http(Http { tls: Some(tls), ..http }))
}

fn request(table: &mut Table<'_>) -> Http {
    let method = table.optional("method", |value| {
        value.text_that("a method in capitals, such as \"HEAD\"", |text| {
            (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase())
        })
    });
    let path = table.optional("path", |value| {
        value.text_that("a path that begins with `/`, without spaces", |text| {
            text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic())
        })
    });
    let host = table.optional("host", |value| {
        value.text_that("a host name, with a port if need be", |text| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        })
    });
    let good = table.optional("status", statuses);
    let drain = table.take("drain_status");
    let status = StatusSet(good.unwrap_or_else(|| vec![(200, 299)]));
    let drain_status = StatusSet(match drain {
        Some(value) => drain_statuses(&value, &status),
        None => {
            let others = DRAIN.into_iter().filter(|drain| !status.contains(*drain));
            others.map(|drain| (drain, drain)).collect()
        }
    });
    Http {
        tls: None,
        method: method.unwrap_or_else(|| "GET".into()),
        path: path.unwrap_or_else(|| "/".into()),
        host,
        status,
        drain_status,
        body: body(table),
    }
}

/// What follows from an answer has to be clear: no status is in both sets.
fn drain_statuses(value: &Value<'_>, good: &StatusSet) -> Vec<(u16, u16)> {
    if value.is_empty_list() {
        return Vec::new();
    }
    let drain = statuses(value).unwrap_or_default();
    let both = good.0.iter().find_map(|&(first, last)| {
        let overlap = |&&(other, end): &&(u16, u16)| first <= end && other <= last;
        drain.iter().find(overlap).map(|(other, _)| first.max(*other))
    });
    if let Some(both) = both {
        value.problem(format!("{both} is in `status` too: it cannot mean both up and drain"));
    }
    drain
}

/// `200`, `"200-299"`, or a list of those.
fn statuses(value: &Value<'_>) -> Option<Vec<(u16, u16)>> {
    let ranges = if value.raw().is_array() {
        value.some(range)?.into_iter().map(|range| range.value).collect()
    } else {
        BTreeSet::from([range(value)?])
    };
    Some(ranges.into_iter().collect())
}

fn range(value: &Value<'_>) -> Option<(u16, u16)> {
    const EXPECTED: &str = "a status from 100 to 599 or a range of them, such as \"200-299\"";
    let parsed = match value.raw().as_str() {
        Some(text) => text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        }),
        None => {
            let status = value.integer().and_then(|status| status.try_into().ok());
            status.map(|status| (status, status))
        }
    };
    let good = parsed.filter(|(first, last): &(u16, u16)| {
        (100..=599).contains(first) && (100..=599).contains(last) && first <= last
    });
    good.or_else(|| value.is_not(EXPECTED))
}

fn body(table: &mut Table<'_>) -> Option<BodyMatch> {
    let contains = table.take("contains");
    let regex = table.take("regex");
    if let (Some(_), Some(regex)) = (&contains, &regex) {
        regex.problem("write `contains` or `regex`, not both");
    }
    let contains = contains
        .and_then(|value| value.text_that("a text that the body contains", |t| !t.is_empty()));
    let regex = regex.and_then(|value| {
        let text = value.text("a regular expression")?;
        match Regex::new(text) {
            Ok(_) => Some(text.to_owned()),
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                value.is_not(format!("a regular expression: {reason}"))
            }
        }
    });
    contains.map(BodyMatch::Contains).or_else(|| regex.map(BodyMatch::Regex))
}

/// `example.org` of `example.org:8443`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}
