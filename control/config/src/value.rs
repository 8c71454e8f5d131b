//! One value of the file, and what can be made of it.
//!
//! Each reader gives `None` where it found a problem, which it has then told.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use api::{Prefix, Rate};
use toml::Spanned;
use toml::de::DeValue;

use crate::duration;
use crate::place::{Findings, Place, Placed};
use crate::suggest;
use crate::table::Table;

/// Characters of a value that a problem repeats.
const QUOTED: usize = 40;

/// A value that is being read.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    value: &'a DeValue<'a>,
    place: Place,
    findings: &'a Findings,
}

impl<'a> Value<'a> {
    /// The value that stands at `place`.
    pub(crate) fn new(value: &'a DeValue<'a>, place: Place, findings: &'a Findings) -> Self {
        Self { value, place, findings }
    }

    /// A part of this value.
    pub(crate) fn part(&self, part: &'a Spanned<DeValue<'a>>) -> Self {
        Self::new(part.get_ref(), self.place.at(part.span().start), self.findings)
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What TOML says it is.
    pub(crate) fn raw(&self) -> &'a DeValue<'a> {
        self.value
    }

    /// Adds a problem of this value.
    pub(crate) fn problem(&self, text: impl Into<String>) {
        self.findings.add(&self.place, text);
    }

    /// Adds a problem of a part of this value.
    pub(crate) fn problem_at(&self, place: &Place, text: impl Into<String>) {
        self.findings.add(place, text);
    }

    /// Adds that it is not what was expected: `70000 is not a port (1 to 65535)`.
    pub(crate) fn is_not<T>(&self, expected: impl Display) -> Option<T> {
        self.problem(format!("{} is not {expected}", self.shown()));
        None
    }

    /// As [`is_not`](Self::is_not), of a value that nobody may see.
    pub(crate) fn secret_is_not<T>(&self, expected: impl Display) -> Option<T> {
        self.problem(format!("this is not {expected}"));
        None
    }

    /// The value as a problem repeats it.
    pub(crate) fn shown(&self) -> String {
        match self.value {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => shortened(&number.to_string()),
            DeValue::Float(number) => shortened(&number.to_string()),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(_) => "a list".into(),
            DeValue::Table(_) => "a table".into(),
        }
    }

    /// A text; `expected` says what it should tell.
    pub(crate) fn text(&self, expected: &str) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.is_not(expected))
    }

    /// A text that `good` likes.
    pub(crate) fn text_that(
        &self,
        expected: &str,
        good: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        let text = self.text(expected)?;
        if good(text) { Some(text.into()) } else { self.is_not(expected) }
    }

    /// A text that parses.
    fn parsed<T: FromStr>(&self, expected: &str) -> Option<T> {
        let text = self.text(expected)?;
        text.parse().ok().or_else(|| self.is_not(expected))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.is_not("true or false"))
    }

    /// The whole number that it is, if it is one.
    pub(crate) fn integer(&self) -> Option<i128> {
        let number = self.value.as_integer()?;
        i128::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// The number with a point that it is, if it is one.
    pub(crate) fn float(&self) -> Option<f64> {
        self.value.as_float()?.as_str().parse().ok()
    }

    /// A whole number of this range.
    pub(crate) fn number<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        self.numbered(range, "a number")
    }

    /// A TCP or UDP port.
    pub(crate) fn port(&self) -> Option<u16> {
        self.numbered(1..=u16::MAX, "a port")
    }

    fn numbered<T>(&self, range: RangeInclusive<T>, what: &str) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let number = self.integer().and_then(|number| T::try_from(number).ok());
        let within = number.filter(|number| range.contains(number));
        within.or_else(|| self.is_not(format!("{what} from {} to {}", range.start(), range.end())))
    }

    /// A duration of this range: `"5s"`.
    pub(crate) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = self.text("a duration with its unit, such as \"5s\"")?;
        let Ok(duration) = humantime::parse_duration(text) else {
            return self.is_not("a duration with its unit, such as \"5s\"");
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let (least, most) = (duration::shown(*range.start()), duration::shown(*range.end()));
        self.is_not(format!("a duration from {least} to {most}"))
    }

    /// A duration of this range, or `"never"`: nothing.
    pub(crate) fn duration_or_never(
        &self,
        range: RangeInclusive<Duration>,
    ) -> Option<Option<Duration>> {
        match self.value.as_str() {
            Some("never") => Some(None),
            Some(_) | None => self.duration(range).map(Some),
        }
    }

    /// One of these words.
    pub(crate) fn choice<T: Clone>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", listed(&words));
        let text = self.text(&expected)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(choice.clone());
        }
        match suggest::nearest(text, &words) {
            Some(word) => self.is_not(format!("{expected} (did you mean \"{word}\"?)")),
            None => self.is_not(expected),
        }
    }

    /// An address of a host.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.parsed("an IPv4 or IPv6 address")
    }

    /// An address or a prefix.
    pub(crate) fn prefix(&self) -> Option<Prefix> {
        let text = self.text("an address or ADDRESS/LENGTH")?;
        match text.parse() {
            Ok(prefix) => Some(prefix),
            Err(api::BadPrefix::Malformed(_)) => self.is_not("an address or ADDRESS/LENGTH"),
            Err(error @ (api::BadPrefix::TooLong(..) | api::BadPrefix::HostBits(..))) => {
                self.problem(error.to_string());
                None
            }
        }
    }

    /// An absolute path.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        const EXPECTED: &str = "an absolute path";
        let path = self.text_that(EXPECTED, |text| {
            Path::new(text).is_absolute() && !text.contains(char::is_control)
        });
        path.map(PathBuf::from)
    }

    /// A program and its arguments: `["/bin/touch", "/etc/lb/v6-ready"]`.
    pub(crate) fn argv(&self) -> Option<Vec<String>> {
        const PROGRAM: &str = "the absolute path of a program";
        let words = self.list(|word| word.text_that("a text", |text| !text.contains('\0')))?;
        match words.first() {
            None => self.problem("the list is empty: it is a program and its arguments"),
            Some(Placed { value: program, place }) if !Path::new(program).is_absolute() => {
                self.problem_at(place, format!("{} is not {PROGRAM}", quoted(program)));
            }
            Some(_) => {}
        }
        Some(words.into_iter().map(|word| word.value).collect())
    }

    /// A table.
    pub(crate) fn table(&self) -> Option<Table<'a>> {
        let entries = self.value.as_table().or_else(|| self.is_not("a table"))?;
        Some(Table::new(Some(entries), self.place.clone(), self.findings))
    }

    /// A table whose keys may all be left out: then `true` stands for it.
    pub(crate) fn options(&self) -> Option<Table<'a>> {
        match self.value.as_bool() {
            Some(true) => Some(Table::new(None, self.place.clone(), self.findings)),
            Some(false) => self.is_not("true or a table: leave it out if you do not want it"),
            None => self.table(),
        }
    }

    /// `{ per_second = 100, burst = 200 }`
    pub(crate) fn rate(&self) -> Option<Rate> {
        let mut table = self.table()?;
        let per_second = table.required("per_second", |value| value.number(0..=u32::MAX));
        let burst = table.required("burst", |value| value.number(0..=u32::MAX));
        table.finish();
        Some(Rate { per_second: per_second?, burst: burst? })
    }
}

/// A text in quotes, not longer than an operator needs to find it.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text).escape_debug())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

/// Words in quotes: `"a", "b" or "c"`.
pub(crate) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("\"{only}\""),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|word| format!("\"{word}\"")).collect();
            format!("{} or \"{last}\"", first.join(", "))
        }
    }
}
