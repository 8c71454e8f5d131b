//! Gives an index to every L7 node that has none, by writing it into the file's text.
//!
//! The text is inserted into, not written anew, so that every other byte stays: comments, order, line
//! ends (`toml_edit` would take the carriage returns away).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::document;
use crate::l7::MAX_INDEX;
use crate::problem::{Finding, Problems};

/// A site file in which every L7 node has an index.
#[derive(Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The text, which may hold the hash key: not for output or logs.
    pub text: String,
    /// What was given: name (empty if the entry has none) and index, in the order of the file.
    pub given: Vec<(String, u16)>,
}

/// The text with an `index` in each `[[l7]]` entry that has none.
///
/// A node gets the lowest index above all that are in the file or `reserved`: indexes of nodes that
/// left within `removal_time`, with their names. A node that returns under its name gets its old one
/// back. Only if there is none above is a gap filled. Once more, it changes nothing.
///
/// # Errors
///
/// The text is not TOML, or no index is free. Whatever else is wrong with it does not matter here.
pub fn assign(text: &str, reserved: &BTreeMap<u16, String>) -> Result<Assigned, Problems> {
    let document = document(text)?;
    let nodes: Vec<_> = nodes(&document).collect();
    let mut free = Free::new(nodes.iter().filter_map(|node| node.index()), reserved);
    let (mut insertions, mut given, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for node in nodes.iter().filter(|node| !node.table.contains_key("index")) {
        let name = node.name().map(|(name, _)| name).unwrap_or_default();
        match free.take(name) {
            Some(index) => {
                insertions.push(node.insertion(text, index));
                given.push((name.into(), index));
            }
            None => findings.push(Finding {
                offset: node.span.start,
                path: "l7".into(),
                text: format!(
                    "no index up to {MAX_INDEX} is free: wait until nodes that left are forgotten"
                ),
            }),
        }
    }
    match Problems::of(text, findings) {
        Some(problems) => Err(problems),
        None => Ok(Assigned { text: inserted(text, &insertions), given }),
    }
}

/// Indexes that nobody has.
struct Free<'r> {
    taken: BTreeSet<u16>,
    reserved: &'r BTreeMap<u16, String>,
    next: u16,
}

impl<'r> Free<'r> {
    fn new(in_file: impl Iterator<Item = u16>, reserved: &'r BTreeMap<u16, String>) -> Self {
        let taken: BTreeSet<_> = in_file.collect();
        let highest =
            taken.iter().chain(reserved.keys()).filter(|index| **index <= MAX_INDEX).max();
        let next = highest.map_or(1, |highest| highest + 1);
        Self { taken, reserved, next }
    }

    fn take(&mut self, name: &str) -> Option<u16> {
        let own = self.reserved.iter().find(|(_, of)| !name.is_empty() && *of == name);
        let own = own.map(|(index, _)| *index);
        let is_free = |index: &u16| !self.taken.contains(index);
        let not_reserved = |index: &u16| is_free(index) && !self.reserved.contains_key(index);
        let index = own.filter(is_free).or_else(|| {
            let mut from_here = (self.next..=MAX_INDEX).chain(1..self.next);
            from_here.find(not_reserved)
        })?;
        self.taken.insert(index);
        if own != Some(index) {
            self.next = index;
        }
        Some(index)
    }
}

/// An `[[l7]]` entry in the text.
struct Node<'a> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
}

fn nodes<'a>(document: &'a DeTable<'a>) -> impl Iterator<Item = Node<'a>> {
    let nodes = document.get("l7").and_then(|nodes| nodes.get_ref().as_array());
    nodes.into_iter().flat_map(|nodes| nodes.iter()).filter_map(|node: &Spanned<DeValue<'_>>| {
        Some(Node { table: node.get_ref().as_table()?, span: node.span() })
    })
}

/// Text that goes in at an offset.
type Insertion = (usize, String);

impl Node<'_> {
    fn index(&self) -> Option<u16> {
        let index = self.table.get("index")?.get_ref().as_integer()?;
        u16::from_str_radix(index.as_str(), index.radix()).ok()
    }

    fn name(&self) -> Option<(&str, Range<usize>)> {
        let name = self.table.get("name")?;
        Some((name.get_ref().as_str()?, name.span()))
    }

    /// Behind the name, or at the front: on a line of its own, or in the same inline table.
    fn insertion(&self, text: &str, index: u16) -> Insertion {
        let name = self.name().map(|(_, span)| span);
        let inline = text[self.span.clone()].starts_with('{');
        match (inline, name) {
            (true, Some(name)) => (name.end, format!(", index = {index}")),
            (true, None) if self.table.is_empty() => {
                (self.span.start + 1, format!(" index = {index} "))
            }
            (true, None) => (self.span.start + 1, format!(" index = {index},")),
            (false, name) => {
                let line = name.unwrap_or_else(|| self.span.clone());
                let begin = text[..line.start].rfind('\n').map_or(0, |end| end + 1);
                let indent =
                    text[begin..line.start].chars().take_while(|c| matches!(c, ' ' | '\t'));
                let indent: String = indent.collect();
                let rest = &text[line.end..];
                let end = rest.find('\n').map_or(text.len(), |end| line.end + end);
                let end = if text[..end].ends_with('\r') { end - 1 } else { end };
                let newline = if text[end..].starts_with('\r') { "\r\n" } else { "\n" };
                (end, format!("{newline}{indent}index = {index}"))
            }
        }
    }
}

fn inserted(text: &str, insertions: &[Insertion]) -> String {
    let mut whole = String::with_capacity(text.len() + insertions.len() * 16);
    let mut done = 0;
    for (offset, insertion) in insertions {
        whole += &text[done..*offset];
        whole += insertion;
        done = *offset;
    }
    whole + &text[done..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assigned(text: &str, reserved: &[(u16, &str)]) -> Assigned {
        let reserved = reserved.iter().map(|(index, name)| (*index, (*name).into())).collect();
        assign(text, &reserved).unwrap()
    }

    #[test]
    fn an_index_goes_behind_the_name_and_nothing_else_changes() {
        let text = "# nodes\n[[l7]] # one\n  name = \"a\"   # the first\n  addresses = []\n\n[[l7]]\nindex = 7\nname = \"b\"\n[[l7]]\naddresses=[]\n[[l7]]\nname = 'd'";
        let after = assigned(text, &[]);
        assert_eq!(
            after.text,
            "# nodes\n[[l7]] # one\n  name = \"a\"   # the first\n  index = 8\n  addresses = []\n\n[[l7]]\nindex = 7\nname = \"b\"\n[[l7]]\nindex = 9\naddresses=[]\n[[l7]]\nname = 'd'\nindex = 10"
        );
        let given = [("a".into(), 8), (String::new(), 9), ("d".into(), 10)];
        assert_eq!(after.given, given);
        let again = assigned(&after.text, &[]);
        assert_eq!((again.text, again.given), (after.text, vec![]));
    }

    #[test]
    fn line_ends_and_inline_tables_are_kept() {
        let windows = assigned("[[l7]]\r\nname = \"a\"\r\nweight = 1\r\n", &[]);
        assert_eq!(windows.text, "[[l7]]\r\nname = \"a\"\r\nindex = 1\r\nweight = 1\r\n");
        let inline = assigned("l7 = [{ name = \"a\", weight = 1 }, {}, { weight = 2 }]\n", &[]);
        assert_eq!(
            inline.text,
            "l7 = [{ name = \"a\", index = 1, weight = 1 }, { index = 2 }, { index = 3, weight = 2 }]\n"
        );
    }

    #[test]
    fn indexes_of_nodes_that_left_are_not_given_to_others() {
        let text =
            "[[l7]]\nname = \"a\"\n[[l7]]\nname = \"b\"\nindex = 2\n[[l7]]\nname = \"back\"\n";
        let given = assigned(text, &[(5, "gone"), (3, "back")]).given;
        assert_eq!(given, [("a".into(), 6), ("back".into(), 3)]);
        let text = "[[l7]]\nname = \"back\"\n[[l7]]\nname = \"new\"\n";
        let given = assigned(text, &[(5, "gone"), (3, "back")]).given;
        assert_eq!(given, [("back".into(), 3), ("new".into(), 6)]);
        let gaps =
            assigned("[[l7]]\nname = \"a\"\n[[l7]]\nname = \"b\"\n", &[(1023, "x"), (1, "y")]);
        assert_eq!(gaps.given, [("a".into(), 2), ("b".into(), 3)]);
    }

    #[test]
    fn when_all_are_taken_it_says_so() {
        let all: BTreeMap<u16, String> = (1..=1023).map(|i| (i, format!("gone-{i}"))).collect();
        let problems = assign("\n[[l7]]\nname = \"a\"\n", &all).err().unwrap();
        assert_eq!(
            problems.to_string(),
            "2:1: l7: no index up to 1023 is free: wait until nodes that left are forgotten"
        );
        assert!(assign("[[l7]", &all).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_file_looks_like_each_node_gets_an_index_of_its_own(
            entries in prop::collection::vec((any::<bool>(), 0..4_u8, prop::option::of(1..20_u16)), 0..12),
        ) {
            let mut text = String::from("# head\n");
            let mut indexes = BTreeSet::new();
            for (i, (comment, shape, index)) in entries.iter().enumerate() {
                text += "[[l7]]";
                text += if *comment { " # é\n" } else { "\r\n" };
                let index = index.filter(|index| indexes.insert(*index));
                match shape {
                    0 => text += &format!("name = \"n{i}\"\n"),
                    1 => text += &format!("\tname = \"\"\"n{i}\"\"\" # \"\n"),
                    2 => text += &format!("addresses = [\n]\r\nname = 'n{i}'\r\n"),
                    _ => text += "weight = 1\n",
                }
                if let Some(index) = index {
                    text += &format!("index = {index}\n");
                }
            }
            let after = assigned(&text, &[]);
            let document = document(&after.text).unwrap();
            let all: Vec<_> = nodes(&document).map(|node| node.index().unwrap()).collect();
            prop_assert_eq!(all.len(), entries.len());
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), entries.len());
            // Without what was inserted it is the text that it was.
            let mut rest = after.text.clone();
            for (_, index) in &after.given {
                let line = format!("index = {index}");
                let at = rest.match_indices(&line).find(|(at, _)| {
                    !rest[at + line.len()..].starts_with(|c: char| c.is_ascii_digit())
                });
                let at = at.unwrap().0;
                let begin = rest[..at].rfind('\n').unwrap();
                let begin = if rest[..begin].ends_with('\r') { begin - 1 } else { begin };
                rest.replace_range(begin..at + line.len(), "");
            }
            prop_assert_eq!(rest, text);
            prop_assert_eq!(assigned(&after.text, &[]).text, after.text);
        }
    }
}
