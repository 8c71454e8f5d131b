//! What was thought of targets whose probes are replaced.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Entry;
use crate::{Probe, Standing};

/// Probes that are gone, by whom they asked.
pub(super) struct Predecessors(HashMap<(Arc<str>, IpAddr, u16), Vec<Entry>>);

impl Predecessors {
    pub(super) fn new(gone: impl Iterator<Item = Entry>) -> Self {
        let mut by_target: HashMap<_, Vec<Entry>> = HashMap::new();
        for entry in gone {
            by_target.entry(Self::key(&entry.probe)).or_default().push(entry);
        }
        Self(by_target)
    }

    fn key(probe: &Probe) -> (Arc<str>, IpAddr, u16) {
        (Arc::clone(&probe.target.node), probe.target.address, probe.target.port)
    }

    /// What was thought of the same target, asked the same.
    pub(super) fn standing(&self, probe: &Probe) -> Option<&Standing> {
        let entries = self.0.get(&Self::key(probe))?;
        let same = entries.iter().find(|entry| entry.probe.check.kind == probe.check.kind)?;
        let standing = same.machine.standing();
        standing.state.is_some().then_some(standing)
    }
}
