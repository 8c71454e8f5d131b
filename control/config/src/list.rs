//! Lists, and single values in the place of lists.

use std::collections::BTreeSet;

use crate::place::Placed;
use crate::value::Value;

impl Value<'_> {
    /// The elements of a list; those with problems are left out.
    pub(crate) fn list<T>(
        &self,
        mut read: impl FnMut(&Self) -> Option<T>,
    ) -> Option<Vec<Placed<T>>> {
        let mut placed =
            |element: &Self| Some(Placed { value: read(element)?, place: element.place().clone() });
        Some(self.elements()?.iter().filter_map(&mut placed).collect())
    }

    /// The elements of a list that says nothing twice.
    pub(crate) fn distinct<T: Ord + Clone>(
        &self,
        read: impl Fn(&Self) -> Option<T>,
    ) -> Option<Vec<Placed<T>>> {
        let mut seen = BTreeSet::new();
        self.list(|element| {
            let value = read(element)?;
            if seen.insert(value.clone()) {
                return Some(value);
            }
            element.problem(format!("{} stands there twice", element.shown()));
            None
        })
    }

    /// As [`distinct`](Self::distinct), without places.
    pub(crate) fn set<T: Ord + Clone>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        Some(self.distinct(read)?.into_iter().map(|placed| placed.value).collect())
    }

    /// As [`distinct`](Self::distinct), of a list that may not be empty.
    pub(crate) fn some<T: Ord + Clone>(
        &self,
        read: impl Fn(&Self) -> Option<T>,
    ) -> Option<Vec<Placed<T>>> {
        if self.is_empty_list() {
            self.problem("the list is empty: it needs at least one");
            return None;
        }
        self.distinct(read)
    }

    /// Whether it is a list of nothing.
    pub(crate) fn is_empty_list(&self) -> bool {
        self.raw().as_array().is_some_and(|elements| elements.is_empty())
    }

    /// The elements of a list.
    pub(crate) fn elements(&self) -> Option<Vec<Self>> {
        if self.raw().is_array() { Some(self.one_or_more()) } else { self.is_not("a list") }
    }

    /// The elements of a list, or what is no list alone.
    pub(crate) fn one_or_more(&self) -> Vec<Self> {
        match self.raw().as_array() {
            Some(elements) => elements.iter().map(|element| self.part(element)).collect(),
            None => vec![self.clone()],
        }
    }
}
