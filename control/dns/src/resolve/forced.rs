//! What operators say of datacenters: whatever those have, they count as up, or as down.

use std::sync::Arc;

use hashbrown::HashMap;

use super::health::Standing;

/// By the number of the resolver that chooses among them, and the place that it has them at.
#[derive(Clone, Debug, Default)]
pub(super) struct Forced(Arc<HashMap<(usize, usize), Standing, ahash::RandomState>>);

impl Forced {
    /// These.
    pub(super) fn new(all: impl IntoIterator<Item = ((usize, usize), Standing)>) -> Self {
        Self(Arc::new(all.into_iter().collect()))
    }

    /// What holds of a datacenter: what was said of it, or how it is.
    pub(super) fn or(&self, resolver: usize, place: usize, standing: Standing) -> Standing {
        self.0.get(&(resolver, place)).copied().unwrap_or(standing)
    }
}
