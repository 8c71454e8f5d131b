//! Maglev consistent hashing (Eisenbud et al., NSDI 2016, section 3.4), with exact weights.
//!
//! Every L4 node builds the same table from the same nodes, so any of them sends a flow to the
//! same L7 node without sharing state. How it is built is specified in [`crate::hash`].
//!
//! In the paper nodes take rows by turns, so that each turn depends on all before. Here they claim
//! rows by clocks of their own, and the earliest claim counts, until the node has its share. A
//! change of one node then moves half as many rows of the others as turns would. Seen over 15,000
//! changes of 2 to 200 nodes with 65537 rows, in per cent of all rows, beyond the difference of
//! the changed node's own share:
//!
//! | change | mean | worst |
//! |---|---|---|
//! | one of equal nodes goes, or comes | 0.24 | 0.79 |
//! | one of equal nodes gets 0.01 to 4 times its weight | 0.23 | 0.61 |
//! | one of equal nodes gets 4 to 100 times its weight | 0.49 | 1.43 |
//! | one of nodes with weights 1 to 100 goes, or comes | 0.21 | 0.55 |
//! | one of nodes with weights 1 to 100 gets another of these | 0.18 | 0.55 |
//!
//! The price is that of exact shares: a node that grows takes rows from the others at random, and
//! what it took too much from one another gives back. Above 1 % came only where one node's share
//! became that of more than 10 others, with more than 80 of them.

mod changes;
mod claims;
mod fill;
mod prime;
mod quota;

use std::fmt;

pub(crate) use self::changes::Changes;
use self::claims::{Claim, Wanted};
use self::fill::{Claimant, fill};
pub use self::prime::is_prime;
use self::quota::quotas;
use crate::hash::Hasher;

/// Most rows that a table may have.
pub const MAX_ROWS: u32 = 1 << 24;

/// Which node owns each row.
#[derive(Clone, PartialEq, Eq)]
pub struct Maglev {
    /// Index of the owner of each row.
    owners: Box<[u16]>,
    /// Index and number of rows of every node with a weight, by index.
    shares: Box<[(u16, u32)]>,
    fingerprint: u64,
}

impl Maglev {
    /// Builds the table of `nodes`, each with its name, index and weight, or nothing if none has
    /// a weight.
    ///
    /// Names are distinct. The table depends on the set of names and weights, not on order or
    /// indexes.
    ///
    /// # Panics
    /// `rows` is not a prime up to [`MAX_ROWS`], or the nodes are more than indexes could tell
    /// apart: whoever validates a Snapshot refuses both.
    pub fn build(hasher: &Hasher, rows: u32, nodes: &[(&str, u16, u16)]) -> Option<Self> {
        assert!(is_prime(rows) && rows <= MAX_ROWS, "{rows} is not a number of rows");
        let mut nodes: Vec<_> = nodes.iter().filter(|(_, _, weight)| *weight > 0).collect();
        assert!(nodes.len() < usize::from(u16::MAX), "{} nodes have no 16-bit index", nodes.len());
        if nodes.is_empty() {
            return None;
        }
        nodes.sort_unstable();

        let weights: Vec<_> = nodes.iter().map(|(_, _, weight)| *weight).collect();
        let quotas = quotas(rows, &weights);
        let claimants = nodes.iter().zip(&quotas).map(|((name, _, weight), quota)| {
            Claimant::new(Wanted::first(hasher, rows, name), *weight, *quota)
        });
        let claims = fill(rows, claimants.collect());

        let owners = claims.iter().map(|claim| nodes[usize::from(claim.place())].1).collect();
        let mut shares: Box<[_]> = nodes.iter().map(|node| node.1).zip(quotas).collect();
        shares.sort_unstable();
        Some(Self { owners, shares, fingerprint: fingerprint(hasher, &claims, &nodes) })
    }

    /// Index of the node that owns a row, which is less than [`Self::rows`].
    #[inline]
    pub fn owner(&self, row: u32) -> u16 {
        self.owners[row as usize]
    }

    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> u32 {
        self.owners.len() as u32
    }

    /// Index and number of rows of every node that has a weight, by index. A node of little weight
    /// may own no row.
    pub fn shares(&self) -> &[(u16, u32)] {
        &self.shares
    }

    /// A number that is equal on two L4 nodes if their tables send every row to a node of the
    /// same name. It differs under another key and tells nothing of the key.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How many rows have another owner in `other`. If that has another number of rows, its row
    /// at the middle of a row's hashes counts.
    pub fn moved(&self, other: &Self) -> u32 {
        let counterpart = |row| other.owner(other.counterpart(row, self.rows()));
        (0..).zip(&self.owners).filter(|(row, owner)| counterpart(*row) != **owner).count() as u32
    }

    /// The row that the middle of the hashes of `row` of `rows` falls on.
    fn counterpart(&self, row: u32, rows: u32) -> u32 {
        if rows == self.rows() {
            return row;
        }
        let twice = (2 * u64::from(row) + 1) * u64::from(self.rows());
        (twice / (2 * u64::from(rows))) as u32
    }
}

impl fmt::Debug for Maglev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owners, shares, fingerprint } = self;
        write!(f, "Maglev({} rows, {shares:?}, {fingerprint:016x})", owners.len())
    }
}

/// Of the owners' names, row by row.
fn fingerprint(hasher: &Hasher, claims: &[Claim], nodes: &[&(&str, u16, u16)]) -> u64 {
    let names: Vec<_> = nodes.iter().map(|(name, ..)| hasher.name([b'n', 0], name)).collect();
    let all = claims.iter().fold(0_u64, |all, claim| {
        let owner = names[usize::from(claim.place())];
        (all.rotate_left(5) ^ owner).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    let rows = claims.len() as u32;
    hasher.parts(&[b"f\0", &rows.to_le_bytes(), &all.to_le_bytes()])
}

#[cfg(test)]
mod tests;
