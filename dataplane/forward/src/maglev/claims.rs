use std::array;

use crate::hash::{Hasher, row};

/// How many permutations of the rows a node has.
///
/// With one alone, nodes whose steps happen to be alike get in each other's way: one set of nodes
/// in some hundreds would move 2 % of the rows too many.
pub(super) const STREAMS: usize = 4;

/// A node's claim to a row: its time, and below that, in 16 bits, the node's place in the order of
/// names. The least wins the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim(u64);

impl Claim {
    /// Later than any.
    pub(super) const NONE: Self = Self(u64::MAX);

    #[inline]
    pub(super) fn new(time: u64, place: u16) -> Self {
        Self(time << 16 | u64::from(place))
    }

    /// Whose it is.
    #[inline]
    pub(super) fn place(self) -> u16 {
        self.0 as u16
    }
}

/// The rows that a node claims together, one of each of its permutations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    rows: [u32; STREAMS],
    steps: [u32; STREAMS],
}

impl Wanted {
    /// The first ones of the node of this name.
    pub(super) fn first(hasher: &Hasher, rows: u32, name: &str) -> Self {
        let hash = |purpose: u8, stream: usize| hasher.name([purpose, stream as u8], name);
        Self {
            rows: array::from_fn(|stream| row(hash(b'o', stream), rows)),
            steps: array::from_fn(|stream| 1 + row(hash(b's', stream), rows - 1)),
        }
    }

    #[inline]
    pub(super) fn rows(&self) -> [u32; STREAMS] {
        self.rows
    }

    /// Goes on to the next ones. As the number of rows is prime, none comes again before all have.
    #[inline]
    pub(super) fn advance(&mut self, rows: u32) {
        for (row, step) in self.rows.iter_mut().zip(self.steps) {
            let next = *row + step;
            *row = next.min(next.wrapping_sub(rows)); // the remainder, without a branch
        }
    }
}

/// When a node makes its claims: `-ln(1 - k / rows) / weight`, in integers.
///
/// These are the times of weighted rendezvous hashing: if nodes had no quotas, one that comes,
/// goes or changes its weight would move no row but its own.
pub(super) struct Clock {
    rows: u32,
    /// At `k` the harmonic sum 1/rows + 1/(rows - 1) + ... of `k + 1` terms, which is about that
    /// logarithm, in units of 2^-43: less than 2^48 for up to 2^24 rows. As far as it was needed.
    sums: Vec<u64>,
}

impl Clock {
    /// The time 1.
    pub(super) const UNIT: u64 = 1 << 43;

    pub(super) fn new(rows: u32) -> Self {
        Self { rows, sums: Vec::new() }
    }

    /// What times of a node of this weight, which is not 0, are multiplied with.
    pub(super) fn pace(weight: u16) -> u64 {
        u64::MAX / u64::from(weight)
    }

    /// When a node of this pace makes the claims of number `k`, which [`Self::until`] counted.
    #[inline]
    pub(super) fn time(&self, k: u32, pace: u64) -> u64 {
        time(self.sums[k as usize], pace)
    }

    /// How many times a node of this pace claims until `end`, that included.
    pub(super) fn until(&mut self, end: u64, pace: u64) -> u32 {
        let mut sum = self.sums.last().copied().unwrap_or(0);
        while time(sum, pace) <= end && self.sums.len() < self.rows as usize {
            sum += Self::UNIT / u64::from(self.rows - self.sums.len() as u32);
            self.sums.push(sum);
        }
        self.sums.partition_point(|&sum| time(sum, pace) <= end) as u32
    }
}

#[inline]
fn time(sum: u64, pace: u64) -> u64 {
    ((u128::from(sum) * u128::from(pace)) >> 64) as u64
}
