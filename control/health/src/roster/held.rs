//! Which probes may not run.

use std::fmt;
use std::sync::Arc;

use crate::Probe;

/// Probes that would say nothing of their targets, by what they are: they may not run.
#[derive(Clone)]
pub struct Held(Arc<dyn Fn(&Probe) -> bool + Send + Sync>);

impl Held {
    /// Those of which this is true.
    pub fn those(held: impl Fn(&Probe) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(held))
    }

    /// All may run.
    pub fn none() -> Self {
        Self::those(|_| false)
    }

    /// Those that leave this host.
    pub fn all_that_leave() -> Self {
        Self::those(|probe| probe.check.kind.leaves_this_host())
    }

    pub(crate) fn holds(&self, probe: &Probe) -> bool {
        (self.0)(probe)
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
