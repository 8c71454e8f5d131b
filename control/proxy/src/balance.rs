//! Which server of a pool gets the next request. Pure: who may be chosen, with which weight and how busy he
//! is, is passed in.

mod rendezvous;
mod round_robin;

use rendezvous::score;
use round_robin::RoundRobin;

/// How a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Each in turn, by weight, never the same many times in a row (smooth weighted round robin).
    RoundRobin,
    /// Whoever has the fewest requests for his weight; among equals, in turn.
    LeastConnections,
    /// The less busy of two that are drawn by weight: nearly as good as the former, and of many
    /// proxies none runs to the same server at once.
    RandomTwo,
    /// The same for the same key, whatever becomes of the others (weighted rendezvous hashing).
    Hash,
}

/// A server that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Tells it apart, also after a restart and on other nodes: hash of its name.
    pub id: u64,
    /// Its share; those of 0 are not chosen.
    pub weight: u32,
    /// Requests that it has now.
    pub busy: u32,
}

/// What a choice depends on beside the candidates: turns, and luck. One per pool and core.
#[derive(Debug)]
pub struct Balance {
    turns: RoundRobin,
    random: fastrand::Rng,
}

impl Balance {
    /// `seed` makes cores begin with different servers.
    pub fn new(seed: u64) -> Self {
        Self { turns: RoundRobin::default(), random: fastrand::Rng::with_seed(seed) }
    }

    /// The place of a candidate; nothing if none has a weight. `key` is hashed already, and used by
    /// [`Method::Hash`] alone, which without one goes in turn.
    pub fn choose(
        &mut self,
        method: Method,
        candidates: &[Candidate],
        key: Option<u64>,
    ) -> Option<usize> {
        match (method, key) {
            (Method::Hash, Some(key)) => by_key(candidates, key),
            (Method::RoundRobin, _) | (Method::Hash, None) => {
                self.turns.next(candidates, &mut self.random)
            }
            (Method::LeastConnections, _) => self.least(candidates),
            (Method::RandomTwo, _) => self.of_two(candidates),
        }
    }

    /// The least busy for its weight; a random one of those.
    fn least(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let mut best: Option<(usize, Candidate)> = None;
        let mut equals = 0;
        for (place, &candidate) in weighted(candidates) {
            let order = match &best {
                Some((_, best)) => busier(&candidate, best),
                None => std::cmp::Ordering::Less,
            };
            match order {
                std::cmp::Ordering::Less => (best, equals) = (Some((place, candidate)), 1),
                std::cmp::Ordering::Equal => {
                    equals += 1;
                    if self.random.u32(..equals) == 0 {
                        best = Some((place, candidate));
                    }
                }
                std::cmp::Ordering::Greater => {}
            }
        }
        best.map(|(place, _)| place)
    }

    fn of_two(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let total: u64 = candidates.iter().map(|candidate| u64::from(candidate.weight)).sum();
        let mut draw = |without: Option<usize>| {
            let spare = without.map_or(0, |place| u64::from(candidates[place].weight));
            let left = total.checked_sub(spare).filter(|left| *left > 0)?;
            let mut point = self.random.u64(..left);
            let mut others = weighted(candidates).filter(|(place, _)| Some(*place) != without);
            others.find_map(|(place, candidate)| {
                match point.checked_sub(u64::from(candidate.weight)) {
                    Some(rest) => {
                        point = rest;
                        None
                    }
                    None => Some(place),
                }
            })
        };
        let first = draw(None)?;
        let Some(second) = draw(Some(first)) else { return Some(first) };
        // Its weight has done its part in the draw.
        Some(if candidates[second].busy < candidates[first].busy { second } else { first })
    }
}

fn by_key(candidates: &[Candidate], key: u64) -> Option<usize> {
    let scores = weighted(candidates).map(|(place, one)| (score(one.id, key, one.weight), place));
    scores.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, place)| place)
}

fn weighted(candidates: &[Candidate]) -> impl Iterator<Item = (usize, &Candidate)> {
    candidates.iter().enumerate().filter(|(_, candidate)| candidate.weight > 0)
}

/// How busy a server is for its weight, with the request that is to come.
fn busier(one: &Candidate, other: &Candidate) -> std::cmp::Ordering {
    let load =
        |one: &Candidate, other: &Candidate| (u64::from(one.busy) + 1) * u64::from(other.weight);
    load(one, other).cmp(&load(other, one))
}

#[cfg(test)]
mod tests;
