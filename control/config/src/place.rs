//! Places in the text, and what was found there.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::problem::{Finding, Problems};

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(RefCell<Vec<Finding>>);

impl Findings {
    /// Adds a problem at this place.
    pub(crate) fn add(&self, place: &Place, text: impl Into<String>) {
        let finding = Finding { offset: place.offset, path: place.to_string(), text: text.into() };
        self.0.borrow_mut().push(finding);
    }

    /// All of them, if there are any.
    pub(crate) fn into_problems(self, text: &str) -> Option<Problems> {
        Problems::of(text, self.0.into_inner())
    }
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    offset: usize,
    entry: Rc<str>,
    keys: String,
}

impl Place {
    /// The whole document.
    pub(crate) fn root() -> Self {
        Self { offset: 0, entry: "".into(), keys: String::new() }
    }

    /// An entry of the document, `service web`.
    pub(crate) fn entry(&self, entry: &str) -> Self {
        Self { entry: entry.into(), keys: String::new(), ..*self }
    }

    /// The same path at another byte of the text.
    pub(crate) fn at(&self, offset: usize) -> Self {
        Self { offset, ..self.clone() }
    }

    /// Byte of the text.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The value of a key in the table that stands here.
    pub(crate) fn key(&self, key: &str, offset: usize) -> Self {
        // A key may be any text, and a problem is one line.
        let key = key.escape_debug();
        let keys = match self.keys.as_str() {
            "" => key.to_string(),
            keys => format!("{keys}.{key}"),
        };
        Self { offset, entry: self.entry.clone(), keys }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.entry, self.keys.as_str()) {
            (one, "") | ("", one) => f.write_str(one),
            (entry, keys) => write!(f, "{entry}: {keys}"),
        }
    }
}

/// A value that is remembered with its place, for what only the whole site can tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    /// It.
    pub(crate) value: T,
    /// Where it stands.
    pub(crate) place: Place,
}
