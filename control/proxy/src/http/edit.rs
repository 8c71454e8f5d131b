//! What is changed of headers, and what they can be told of a request.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{HeaderMap, HeaderValue};

use crate::settings::{HeaderEdits, HeaderText, Part};

/// What headers can be told of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) client: IpAddr,
    pub(super) host: &'a str,
    pub(super) scheme: &'static str,
    pub(super) unique_id: Option<&'a str>,
}

/// Changes them.
pub(super) fn apply(edits: &HeaderEdits, headers: &mut HeaderMap, known: &Known<'_>) {
    for name in &edits.remove {
        headers.remove(name);
    }
    // A host may be such that no header can have it: then it is not told.
    for (name, text) in &edits.set {
        if let Some(value) = value(text, known) {
            headers.insert(name, value);
        }
    }
    for (name, text) in &edits.add {
        if let Some(value) = value(text, known) {
            headers.append(name, value);
        }
    }
}

fn value(text: &HeaderText, known: &Known<'_>) -> Option<HeaderValue> {
    let parts = match text {
        HeaderText::Fixed(value) => return Some(value.clone()),
        HeaderText::Parts(parts) => parts,
    };
    let told: String = parts.iter().map(|part| told(part, known)).collect();
    HeaderValue::try_from(told).ok()
}

fn told<'a>(part: &'a Part, known: &Known<'a>) -> Cow<'a, str> {
    match part {
        Part::Text(text) => text.into(),
        Part::Client => known.client.to_string().into(),
        Part::Host => known.host.into(),
        Part::Scheme => known.scheme.into(),
        Part::UniqueId => known.unique_id.unwrap_or_default().into(),
    }
}
