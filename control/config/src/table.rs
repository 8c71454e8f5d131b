//! Reads a TOML table by taking its keys out: what nobody asked for is unknown.
//!
//! A reader never stops at a problem. It puts it into [`Findings`] with its place and goes on, so that
//! an operator sees all of them at once; what a broken value is replaced with is never used, as
//! whoever has findings gives no configuration.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::place::{Findings, Place, Placed};
use crate::suggest;
use crate::value::Value;

/// A table that is being read.
#[must_use = "what is left in it is unknown: `finish` says so"]
pub(crate) struct Table<'a> {
    /// Nothing in a table that was written as `true`.
    entries: Option<&'a DeTable<'a>>,
    place: Place,
    findings: &'a Findings,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The table of `entries`, which stands at `place`.
    pub(crate) fn new(
        entries: Option<&'a DeTable<'a>>,
        place: Place,
        findings: &'a Findings,
    ) -> Self {
        Self { entries, place, findings, known: Vec::new() }
    }

    /// The same, called `entry` in problems.
    pub(crate) fn called(self, entry: &str) -> Self {
        Self { place: self.place.entry(entry), ..self }
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Adds a problem of the whole table.
    pub(crate) fn problem(&self, text: impl Into<String>) {
        self.findings.add(&self.place, text);
    }

    /// Adds a problem of a part of it.
    pub(crate) fn problem_at(&self, place: &Place, text: impl Into<String>) {
        self.findings.add(place, text);
    }

    /// A value, without taking it out.
    pub(crate) fn peek(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.entries?.get(key).map(Spanned::get_ref)
    }

    /// Takes a value out.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let value = self.entries?.get(key)?;
        let place = self.place.key(key, value.span().start);
        Some(Value::new(value.get_ref(), place, self.findings))
    }

    /// Takes a value that has to be there.
    pub(crate) fn demand(&mut self, key: &'static str) -> Option<Value<'a>> {
        let value = self.take(key);
        if value.is_none() {
            self.problem(format!("`{key}` is missing"));
        }
        value
    }

    /// What `read` makes of a value, if it is there.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|value| read(&value))
    }

    /// What `read` makes of a value that has to be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<T> {
        self.demand(key).and_then(|value| read(&value))
    }

    /// What `read` makes of a value, or `default` if it is not there.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// Refuses keys that mean nothing here, and says why.
    pub(crate) fn refuse(&mut self, keys: &[&'static str], why: &str) {
        for key in keys {
            if let Some(value) = self.take(key) {
                value.problem(why);
            }
        }
    }

    /// Every key with its value, in the order of the text, for tables whose keys are names.
    pub(crate) fn into_entries(self) -> Vec<(Placed<&'a str>, Value<'a>)> {
        let mut entries: Vec<_> = self
            .entries
            .into_iter()
            .flatten()
            .map(|(key, value)| {
                let name: &str = key.get_ref();
                let place = self.place.key(name, value.span().start);
                let placed = Placed { value: name, place: place.at(key.span().start) };
                (placed, Value::new(value.get_ref(), place, self.findings))
            })
            .collect();
        entries.sort_by_key(|(name, _)| name.place.offset());
        entries
    }

    /// Says of every key that was not taken that it is unknown.
    pub(crate) fn finish(self) {
        for (key, _) in self.entries.into_iter().flatten() {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let meant = suggest::nearest(name, &self.known);
                let meant = meant.map(|known| format!(" (did you mean `{known}`?)"));
                let text =
                    format!("`{}` is unknown{}", name.escape_debug(), meant.unwrap_or_default());
                self.findings.add(&self.place.at(key.span().start), text);
            }
        }
    }
}
