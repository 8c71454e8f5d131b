//! What checks have found, as one process tells it another.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use health::monitor::{Monitor, ProbeId};
use health::{Probe, Standing};
use serde::{Deserialize, Serialize};

/// What a check has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Who is asked what, as a number: another release may number otherwise, and knows nothing then.
    question: u64,
    standing: Standing,
}

/// What these probes have found, as far as they have.
pub fn findings<'a>(
    monitor: &Monitor,
    probes: impl Iterator<Item = (ProbeId, &'a Probe)>,
) -> Vec<Finding> {
    let standings = monitor.standings();
    let finding = |(id, probe)| {
        let standing = standings.get(id)?.clone();
        standing.state?;
        Some(Finding { question: question(probe), standing })
    };
    probes.filter_map(finding).collect()
}

/// What another process has found, until it is known what is to be asked.
#[derive(Debug, Default)]
pub struct Known(HashMap<u64, Standing>);

impl Known {
    /// What is known of what a probe asks.
    pub fn of(&self, probe: &Probe) -> Option<Standing> {
        self.0.get(&question(probe)).cloned()
    }
}

impl FromIterator<Finding> for Known {
    fn from_iter<I: IntoIterator<Item = Finding>>(all: I) -> Self {
        Self(all.into_iter().map(|one| (one.question, one.standing)).collect())
    }
}

/// Who is asked what, as a number. When, and how often before something is believed, is no part of it.
fn question(probe: &Probe) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&probe.target, &probe.check.kind).hash(&mut hasher);
    hasher.finish()
}
