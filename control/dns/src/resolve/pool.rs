//! Who of several is given, by how they are.

use std::sync::Arc;

/// What is given while too few are up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Few {
    /// All, as with gdnsd: that so many are down at once may be the checks' own fault.
    #[default]
    All,
    /// Those that are up, if there are any.
    Up,
    /// None.
    Nothing,
    /// The first group; the first, where there are no groups.
    First,
    /// Those that were up when enough were last up; all, if that has never been so.
    LastKnown,
}

/// How several are.
#[derive(Debug)]
pub(super) struct Poll {
    /// Each.
    pub(super) up: Vec<bool>,
    /// Whether they are enough.
    pub(super) is_enough: bool,
    /// What is given if they are not.
    pub(super) few: Few,
    /// How many at the beginning are the first group.
    pub(super) first: usize,
}

/// Who of several is given.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    /// Of each, whether it is.
    given: Vec<bool>,
    /// Who was up when enough were last up.
    last: Option<Vec<bool>>,
    /// The number of each: see [`draw`](super::draw).
    numbers: Arc<[u64]>,
}

impl Pool {
    /// Of those with these numbers, of whom nothing is known.
    pub(super) fn new(numbers: impl Iterator<Item = u64>) -> Self {
        let numbers: Arc<[u64]> = numbers.collect();
        Self { given: vec![false; numbers.len()], last: None, numbers }
    }

    /// The next, as they are now.
    pub(super) fn next(&self, poll: Poll) -> Self {
        let Poll { up, is_enough, few, first } = poll;
        let last = if is_enough { Some(up.clone()) } else { self.last.clone() };
        let given = match (if is_enough { Few::Up } else { few }, &last) {
            (Few::Up, _) => up,
            (Few::LastKnown, Some(last)) => last.clone(),
            (Few::All | Few::LastKnown, _) => vec![true; up.len()],
            (Few::Nothing, _) => vec![false; up.len()],
            (Few::First, _) => (0..up.len()).map(|at| at < first).collect(),
        };
        Self { given, last, numbers: self.numbers.clone() }
    }

    /// The same, but that it knows who was up from one before, in which others may have been.
    pub(super) fn after(&self, before: &Self) -> Self {
        let was_up = |number: &u64, last: &[bool]| {
            before.numbers.iter().zip(last).any(|(one, &was_up)| one == number && was_up)
        };
        let last = before.last.as_ref();
        let last: Option<Vec<bool>> =
            last.map(|last| self.numbers.iter().map(|number| was_up(number, last)).collect());
        // Where nobody is left of those that were, that is no knowledge of the others.
        let last = last.filter(|last| last.contains(&true));
        Self { last: last.or_else(|| self.last.clone()), ..self.clone() }
    }

    /// The number of one.
    pub(super) fn number(&self, at: usize) -> Option<u64> {
        self.numbers.get(at).copied()
    }

    /// The number of one that is given.
    pub(super) fn given(&self, at: usize) -> Option<u64> {
        if *self.given.get(at)? { self.number(at) } else { None }
    }

    /// Those that are given, by their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + Clone {
        let given = self.given.iter().enumerate();
        given.filter(|(_, is_given)| **is_given).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(up: [bool; 3], is_enough: bool, few: Few) -> Poll {
        Poll { up: up.to_vec(), is_enough, few, first: 2 }
    }

    fn given(pool: &Pool) -> Vec<usize> {
        pool.iter().collect()
    }

    #[test]
    fn while_too_few_are_up_what_was_asked_for_is_given() {
        let begin = Pool::new([7, 8, 9].into_iter());
        assert_eq!(given(&begin), [0; 0]);
        let up = [false, false, true];
        for (few, expected) in [
            (Few::All, &[0, 1, 2][..]),
            (Few::Up, &[2]),
            (Few::Nothing, &[]),
            (Few::First, &[0, 1]),
            (Few::LastKnown, &[0, 1, 2]),
        ] {
            assert_eq!(given(&begin.next(poll(up, true, few))), [2], "{few:?}");
            assert_eq!(given(&begin.next(poll(up, false, few))), expected, "{few:?}");
        }
    }

    #[test]
    fn the_last_that_were_enough_are_known_until_others_are_enough() {
        let next = |pool: &Pool, up, is_enough| pool.next(poll(up, is_enough, Few::LastKnown));
        let well = next(&Pool::new([7, 8, 9].into_iter()), [true, true, false], true);
        let ill = next(&well, [true, false, false], false);
        assert_eq!(given(&ill), [0, 1]);
        let worse = next(&ill, [false; 3], false);
        assert_eq!(given(&worse), [0, 1]);
        // The numbers go with what is given.
        assert_eq!([0, 1, 2, 3].map(|at| worse.given(at)), [Some(7), Some(8), None, None]);
        let other = next(&next(&worse, [false, true, true], true), [false; 3], false);
        assert_eq!(given(&other), [1, 2]);
    }

    #[test]
    fn what_was_last_known_outlives_those_that_it_was_known_of() {
        let next = |pool: &Pool, up, is_enough| pool.next(poll(up, is_enough, Few::LastKnown));
        let well = next(&Pool::new([7, 8, 9].into_iter()), [true, true, false], true);
        // Another order, one gone and one new.
        let after = next(&Pool::new([9, 8, 5].into_iter()).after(&well), [false; 3], false);
        assert_eq!(given(&after), [1]);
        // Nobody is left: nothing is known.
        let strange = next(&Pool::new([1, 2, 3].into_iter()).after(&well), [false; 3], false);
        assert_eq!(given(&strange), [0, 1, 2]);
        // There was nothing to know.
        let fresh = Pool::new([7, 8, 9].into_iter());
        assert_eq!(given(&next(&well.after(&fresh), [false; 3], false)), [0, 1]);
    }
}
