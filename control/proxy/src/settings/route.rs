use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use regex::Regex;
use thiserror::Error;

/// Requests of a kind, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// All of these hold.
    pub conditions: Vec<Condition>,
    /// What becomes of them.
    pub action: Action,
    /// What becomes of the path, if they go to a server.
    pub rewrite: Option<Rewrite>,
    /// What is changed of them, after what the frontend changes.
    pub request_headers: HeaderEdits,
    /// What is changed of servers' answers, after what the frontend changes.
    pub response_headers: HeaderEdits,
}

impl Route {
    /// One that changes nothing of requests.
    pub fn new(conditions: Vec<Condition>, action: Action) -> Self {
        let (rewrite, request_headers, response_headers) = Default::default();
        Self { conditions, action, rewrite, request_headers, response_headers }
    }
}

/// Something about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its host is one of these, in lower case, without port; `*.example.org` stands for all below.
    Host(Vec<String>),
    /// Its path is this one or lies below: `/a` has `/a` and `/a/b`, not `/ab`.
    PathPrefix(String),
    /// Its path is this one.
    Path(String),
    /// Its path has a match of this.
    PathPattern(Pattern),
    /// Its method is one of these.
    Method(Vec<Method>),
    /// It has a header of this name with such a value.
    Header(HeaderName, ValueMatch),
    /// None of these holds.
    Not(Box<Self>),
}

/// Something about a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// Whatever it is.
    Any,
    /// It is this.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// It has a match of this.
    Pattern(Pattern),
}

/// A regular expression, in time that is linear whatever it is.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// What is no regular expression.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BadPattern(String);

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        Regex::new(text).map(Self).map_err(|error| BadPattern(error.to_string()))
    }
}

impl Pattern {
    /// Whether it is found there.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes to a server of the pool at this place.
    Pool(usize),
    /// The client is sent elsewhere: status, and where to, with `{scheme}`, `{host}`, and `{path}` for path
    /// and query.
    Redirect(StatusCode, String),
    /// The client is told this.
    Answer(StatusCode, Bytes),
}

/// What becomes of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// What is taken off its beginning, if it has that as whole segments.
    pub strip: String,
    /// What is put there.
    pub put: String,
}

/// What is changed of headers: first some are removed, then set, then added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// All of these names go.
    pub remove: Vec<HeaderName>,
    /// Each of these is there once, with this value.
    pub set: Vec<(HeaderName, HeaderText)>,
    /// Each of these comes to those that are there.
    pub add: Vec<(HeaderName, HeaderText)>,
}

impl HeaderEdits {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// A header's value, with what is known of a request in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderText {
    /// The same for all.
    Fixed(HeaderValue),
    /// Parts, one after the other.
    Parts(Vec<Part>),
}

/// A part of a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// The client's address.
    Client,
    /// The request's host, without port.
    Host,
    /// `http` or `https`, as the client speaks.
    Scheme,
    /// The request's own name.
    UniqueId,
}

/// Names that stand for parts.
const NAMED: [(&str, Part); 4] = [
    ("{client}", Part::Client),
    ("{host}", Part::Host),
    ("{scheme}", Part::Scheme),
    ("{unique_id}", Part::UniqueId),
];

/// What is no header's value.
#[derive(Debug, Error)]
pub struct BadText;

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no header has such a value: in braces stand {client}, {host}, {scheme} and {unique_id}")
    }
}

impl FromStr for HeaderText {
    type Err = BadText;

    /// Text in which `{client}`, `{host}`, `{scheme}` and `{unique_id}` may stand.
    fn from_str(text: &str) -> Result<Self, BadText> {
        let is_plain = |text: &str| {
            !text.contains(['{', '}']) && HeaderValue::from_str(text).is_ok() && text.is_ascii()
        };
        if is_plain(text) {
            return HeaderValue::from_str(text).map(Self::Fixed).map_err(|_| BadText);
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find('{') {
            let (before, named) = rest.split_at(open);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, part) =
                NAMED.iter().find(|(name, _)| named.starts_with(name)).ok_or(BadText)?;
            parts.push(part.clone());
            rest = &named[name.len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let good = |part: &Part| !matches!(part, Part::Text(text) if !is_plain(text));
        if parts.iter().all(good) { Ok(Self::Parts(parts)) } else { Err(BadText) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_parts() {
        let parse = |text: &str| text.parse::<HeaderText>().ok();
        assert_eq!(parse("max-age=5"), Some(HeaderText::Fixed("max-age=5".parse().unwrap())));
        let parts = vec![Part::Text("for=".into()), Part::Client, Part::Host];
        assert_eq!(parse("for={client}{host}"), Some(HeaderText::Parts(parts)));
        for bad in ["{", "}", "{cleint}", "a\nb", "{client}\r", "{client", "é"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
