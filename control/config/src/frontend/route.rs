//! `[[frontend.route]]`: which requests, and what becomes of them.

use ::proxy::settings::{
    Action, Condition, HeaderEdits, HeaderText, Pattern, Rewrite, Route, ValueMatch,
};
use http::HeaderName;

use super::Everything;
use crate::pool::header_name;
use crate::table::Table;
use crate::value::Value;

/// Statuses of redirects (RFC 9110, section 15.4).
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];
/// Headers that say where a message ends: they are nobody's to change.
const FRAMING: [HeaderName; 4] = [
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::CONNECTION,
    http::header::UPGRADE,
];

/// Reads one.
pub(super) fn read(mut table: Table<'_>, all: &Everything<'_>) -> Option<Route> {
    let mut conditions = conditions(&mut table);
    if let Some(value) = table.take("not") {
        for value in value.one_or_more() {
            let Some(mut table) = value.table() else { continue };
            let none = self::conditions(&mut table);
            table.finish();
            conditions.extend(none.into_iter().map(|one| Condition::Not(Box::new(one))));
        }
    }
    let rewrite = table.optional("rewrite", rewrite);
    let request_headers = table.optional("request_headers", edits).unwrap_or_default();
    let response_headers = table.optional("response_headers", edits).unwrap_or_default();
    let action = action(&mut table, all);
    table.finish();
    Some(Route { conditions, action: action?, rewrite, request_headers, response_headers })
}

fn conditions(table: &mut Table<'_>) -> Vec<Condition> {
    let mut all = Vec::new();
    all.extend(table.optional("host", hosts).map(Condition::Host));
    all.extend(table.optional("path", path).map(Condition::Path));
    all.extend(table.optional("path_prefix", path).map(Condition::PathPrefix));
    all.extend(table.optional("path_regex", pattern).map(Condition::PathPattern));
    all.extend(table.optional("method", methods).map(Condition::Method));
    for value in table.take("header").map(|value| value.one_or_more()).unwrap_or_default() {
        all.extend(header(&value));
    }
    all
}

/// `{ name = "X-Beta" }`, with `value`, `prefix` or `regex`.
fn header(value: &Value<'_>) -> Option<Condition> {
    let mut table = value.table()?;
    let name = table.required("name", header_name);
    let text = |value: &Value<'_>| value.text("a text").map(str::to_owned);
    let exact = table.optional("value", text).map(ValueMatch::Exact);
    let prefix = table.optional("prefix", text).map(ValueMatch::Prefix);
    let regex = table.optional("regex", pattern).map(ValueMatch::Pattern);
    let mut wanted = [exact, prefix, regex].into_iter().flatten();
    let (first, more) = (wanted.next(), wanted.next().is_some());
    table.finish();
    if more {
        value.problem("write one of `value`, `prefix` and `regex`");
    }
    Some(Condition::Header(name?, first.unwrap_or(ValueMatch::Any)))
}

fn pattern(value: &Value<'_>) -> Option<Pattern> {
    let text = value.text("a regular expression")?;
    match text.parse::<Pattern>() {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            value.is_not(format!("a regular expression: {reason}"))
        }
    }
}

/// `pool`, `redirect` or `answer`: one of them.
fn action(table: &mut Table<'_>, all: &Everything<'_>) -> Option<Action> {
    let pool = table.take("pool");
    let redirect = table.take("redirect");
    let answer = table.take("answer");
    let known = [&pool, &redirect, &answer].into_iter().flatten().count();
    if known != 1 {
        table.problem("it needs `pool`, `redirect` or `answer`, and one of them alone");
        return None;
    }
    if let Some(value) = pool {
        return all.pool(&value).map(Action::Pool);
    }
    match (redirect, answer) {
        (Some(value), _) => self::redirect(&value),
        (None, Some(value)) => self::answer(&value),
        (None, None) => None,
    }
}

/// `{ status = 403, text = "go away\n" }`
fn answer(value: &Value<'_>) -> Option<Action> {
    let mut table = value.table()?;
    let status = table
        .required("status", |value| http::StatusCode::from_u16(value.number(200..=599_u16)?).ok());
    let text = table.or("text", String::new(), |value| value.text("a text").map(str::to_owned));
    table.finish();
    Some(Action::Answer(status?, text.into()))
}

/// `{ strip_prefix = "/api", prefix = "/v2" }`
fn rewrite(value: &Value<'_>) -> Option<Rewrite> {
    let mut table = value.table()?;
    let strip = table.or("strip_prefix", "/".to_owned(), path);
    let put = table.or("prefix", String::new(), path);
    table.finish();
    Some(Rewrite { strip, put })
}

/// `{ set = { X-Real-IP = "{client}" }, add = { ... }, remove = ["Server"] }`
pub(super) fn edits(value: &Value<'_>) -> Option<HeaderEdits> {
    let mut table = value.table()?;
    let remove = table.or("remove", vec![], |value| {
        let names = value.list(|name| not_framing(name, header_name(name)?))?;
        Some(names.into_iter().map(|placed| placed.value).collect())
    });
    let set = table.optional("set", texts).unwrap_or_default();
    let add = table.optional("add", texts).unwrap_or_default();
    table.finish();
    Some(HeaderEdits { remove, set, add })
}

fn texts(value: &Value<'_>) -> Option<Vec<(HeaderName, HeaderText)>> {
    const EXPECTED: &str =
        "a header's value, in which {client}, {host}, {scheme} and {unique_id} may stand";
    let mut texts = Vec::new();
    for (name, value) in value.table()?.into_entries() {
        let Ok(header) = name.value.parse::<HeaderName>() else {
            value.problem_at(&name.place, "this is not the name of a header");
            continue;
        };
        let header = not_framing(&value, header);
        let text = value
            .text(EXPECTED)
            .and_then(|text| text.parse::<HeaderText>().ok().or_else(|| value.is_not(EXPECTED)));
        texts.extend(header.zip(text));
    }
    Some(texts)
}

fn not_framing(value: &Value<'_>, name: HeaderName) -> Option<HeaderName> {
    if FRAMING.contains(&name) {
        value.problem(format!("`{name}` says where a message ends: it cannot be changed"));
        return None;
    }
    Some(name)
}

/// `"https://{host}{path}"`, or `{ to = "...", status = 301 }`.
fn redirect(value: &Value<'_>) -> Option<Action> {
    const EXPECTED: &str = "a URL, in which {scheme}, {host} and {path} may stand";
    let target = |value: &Value<'_>| {
        value.text_that(EXPECTED, |text| {
            let filled = text.replace("{scheme}", "https").replace("{host}", "example.org");
            let filled = filled.replace("{path}", "/a?b");
            filled.parse::<http::Uri>().is_ok() && !filled.contains(['{', '}'])
        })
    };
    if !value.raw().is_table() {
        return Some(Action::Redirect(http::StatusCode::FOUND, target(value)?));
    }
    let mut table = value.table()?;
    let to = table.required("to", target);
    let status = table.or("status", http::StatusCode::FOUND, |value| {
        let known = value.integer().and_then(|number| u16::try_from(number).ok());
        let known = known.filter(|status| REDIRECTS.contains(status));
        let status = known.and_then(|status| http::StatusCode::from_u16(status).ok());
        status.or_else(|| value.is_not("a status of redirects: 301, 302, 303, 307 or 308"))
    });
    table.finish();
    Some(Action::Redirect(status, to?))
}

/// `"www.example.org"`, `["example.org", "*.example.org"]`
pub(super) fn hosts(value: &Value<'_>) -> Option<Vec<String>> {
    const EXPECTED: &str = "a host in lower case without port, or *.HOST for all below it";
    let read = |value: &Value<'_>| {
        value.text_that(EXPECTED, |text| {
            let bare = text.strip_prefix("*.").unwrap_or(text);
            let good =
                |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && !"*/@\\[]".contains(c);
            !bare.is_empty() && bare.chars().all(good)
        })
    };
    some_or_one(value, read)
}

fn methods(value: &Value<'_>) -> Option<Vec<http::Method>> {
    const EXPECTED: &str = "a method, as \"GET\"";
    some_or_one(value, |value| {
        let text = value.text(EXPECTED)?;
        let good = text.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = http::Method::from_bytes(text.as_bytes()).ok().filter(|_| good);
        method.or_else(|| value.is_not(EXPECTED)).map(|method| method.to_string())
    })
    .map(|names| names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// A list of what `read` reads, or one alone.
fn some_or_one(
    value: &Value<'_>,
    read: impl Fn(&Value<'_>) -> Option<String>,
) -> Option<Vec<String>> {
    if value.raw().is_array() {
        return Some(value.some(read)?.into_iter().map(|placed| placed.value).collect());
    }
    Some(vec![read(value)?])
}

pub(super) fn path(value: &Value<'_>) -> Option<String> {
    value.text_that("a path that begins with `/`, without query or blanks", |text| {
        text.starts_with('/')
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#')
    })
}
