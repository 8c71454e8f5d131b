//! What is wrong with a site file: every problem at once, each with its place.

use std::fmt;

/// Problems that `Display` shows; what follows is only counted.
const SHOWN: usize = 50;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1 on.
    pub line: usize,
    /// Column in characters, from 1 on.
    pub column: usize,
    /// Entry and key: `service web: check.http.port`. Empty for what belongs to no entry.
    pub path: String,
    /// What is wrong, and how to mend it. Never a secret.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        match self.path.as_str() {
            "" => f.write_str(&self.text),
            path => write!(f, "{path}: {}", self.text),
        }
    }
}

/// Everything that is wrong with a site file, in the order of the text; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: Option<String>,
    all: Vec<Problem>,
}

impl Problems {
    /// Those of `all`, found at offsets of `text`. Nothing if there are none.
    pub(crate) fn of(text: &str, mut all: Vec<Finding>) -> Option<Self> {
        all.sort_by(|a, b| (a.offset, &a.path, &a.text).cmp(&(b.offset, &b.path, &b.text)));
        all.dedup();
        let mut lines = Lines::new(text);
        let all: Vec<_> = all.into_iter().map(|finding| lines.problem(finding)).collect();
        (!all.is_empty()).then_some(Self { file: None, all })
    }

    /// The same, shown with the name of the file: `site.toml:12:5: ...`.
    #[must_use]
    pub fn in_file(self, name: impl Into<String>) -> Self {
        Self { file: Some(name.into()), ..self }
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.all.iter()
    }

    /// One line each, without limit: `site.toml:12:5: service web: ...`.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = String> {
        self.all.iter().map(|problem| match &self.file {
            Some(file) => format!("{file}:{problem}"),
            None => problem.to_string(),
        })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, line) in self.lines().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&line)?;
        }
        match self.all.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// A problem that still has a byte offset for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Byte of the text; may lie behind its end.
    pub(crate) offset: usize,
    /// As in [`Problem`].
    pub(crate) path: String,
    /// As in [`Problem`].
    pub(crate) text: String,
}

/// Turns growing offsets into lines and columns, in one pass over the text.
struct Lines<'t> {
    text: &'t str,
    line: usize,
    start: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, line: 1, start: 0 }
    }

    fn problem(&mut self, finding: Finding) -> Problem {
        let end = self.text.floor_char_boundary(finding.offset.min(self.text.len()));
        while let Some(length) = self.text[self.start..end].find('\n') {
            self.start += length + 1;
            self.line += 1;
        }
        let column = self.text[self.start..end].chars().count() + 1;
        Problem { line: self.line, column, path: finding.path, text: finding.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: usize, text: &str) -> Finding {
        Finding { offset, path: String::new(), text: text.into() }
    }

    #[test]
    fn places_are_lines_and_characters_whatever_the_order_of_discovery() {
        let text = "a\r\n\u{e9}\u{e9}b\n\nc";
        let found = vec![at(99, "behind the end"), at(7, "b"), at(0, "a"), at(4, "inside é")];
        let problems = Problems::of(text, found).unwrap().in_file("site.toml");
        let lines: Vec<_> = problems.lines().collect();
        assert_eq!(
            lines,
            [
                "site.toml:1:1: a",
                "site.toml:2:1: inside é",
                "site.toml:2:3: b",
                "site.toml:4:2: behind the end"
            ]
        );
    }

    #[test]
    fn a_flood_of_problems_is_shown_in_part_and_counted() {
        let found: Vec<_> = (0..53).map(|i| at(i, "x")).collect();
        let problems = Problems::of(&" ".repeat(60), found).unwrap();
        let shown = problems.to_string();
        assert_eq!(shown.lines().count(), 51);
        assert!(shown.ends_with("1:50: x\nand 3 more"), "{shown}");
        assert_eq!(problems.lines().len(), 53);
    }

    #[test]
    fn nothing_wrong_is_no_problems() {
        assert_eq!(Problems::of("", vec![]), None);
    }
}
