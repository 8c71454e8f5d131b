//! The nearest datacenter that is up.

mod database;
mod distance;
mod embedded;
mod map;
mod nets;
mod place;

use std::sync::Arc;

pub use self::database::{Database, DatabaseError};
pub use self::map::{Map, MapError, Plan, Wanted};
pub use self::place::PlaceError;
use super::sites::without_first;
use crate::answer::Question;

/// Datacenters that are wanted in another order by each client's network.
#[derive(Clone, Debug)]
pub struct Geo {
    /// What each of them gives: numbers of resolvers, in the order that the map knows them by.
    pub datacenters: Vec<usize>,
    /// Who wants which.
    pub map: Arc<Map>,
    /// Clients are where their resolvers are, whatever these tell of them.
    pub ignores_ecs: bool,
    /// The first is never given to whoever wants others as well: these are the second choice.
    pub skip_first: bool,
}

impl Geo {
    /// Those that are wanted by whoever asks, by their places among the datacenters and their numbers; and how many
    /// bits of what was told of the client that goes by.
    pub(super) fn wanted(
        &self,
        question: &Question,
    ) -> (impl Iterator<Item = (usize, usize)> + Clone, u8) {
        let told = question.told.filter(|_| !self.ignores_ecs);
        let (list, scope) = self.map.find(told.map_or(question.asker, |told| told.address));
        let list = without_first(list, self.skip_first).iter();
        let wanted = list.filter_map(|&place| Some((place, *self.datacenters.get(place)?)));
        (wanted, if told.is_some() { scope } else { 0 })
    }
}

#[cfg(test)]
mod tests;
