//! Smooth weighted round robin: each candidate gains its weight, the one that has most is chosen and pays
//! what all have gained. Of weights 5, 1 and 1 that makes a a b a c a a, not a a a a a b c.

use std::collections::HashMap;

use super::{Candidate, weighted};

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    credit: HashMap<u64, i64>,
}

impl RoundRobin {
    /// The next. Candidates may be others each time: those that are new begin somewhere at random, so
    /// that not all cores and nodes send them their first request at once.
    pub(super) fn next(
        &mut self,
        candidates: &[Candidate],
        random: &mut fastrand::Rng,
    ) -> Option<usize> {
        let total: i64 = candidates.iter().map(|candidate| i64::from(candidate.weight)).sum();
        let mut best: Option<(i64, usize)> = None;
        for (place, candidate) in weighted(candidates) {
            let weight = i64::from(candidate.weight);
            let new = || -random.i64(0..total.max(1));
            let credit = self.credit.entry(candidate.id).or_insert_with(new);
            *credit += weight;
            if best.is_none_or(|(most, _)| *credit > most) {
                best = Some((*credit, place));
            }
        }
        let (_, place) = best?;
        if let Some(credit) = self.credit.get_mut(&candidates[place].id) {
            *credit -= total;
        }
        // Those that are gone are forgotten now and then.
        if self.credit.len() > 2 * candidates.len() + 8 {
            self.credit.retain(|id, _| candidates.iter().any(|candidate| candidate.id == *id));
        }
        Some(place)
    }
}
