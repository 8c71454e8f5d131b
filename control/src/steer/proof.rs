//! A dataplane that was started anew has to prove itself: somebody has to answer through it. Until then
//! nobody is thought to be down for his silence, which says nothing of him: a NIC may take seconds to agree
//! on a speed, a switch to notice that somebody is there.

use std::time::Duration;

use tokio::time::Instant;

use super::Steer;

/// Longest time that is given.
const LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked whether anybody has answered.
const LOOK: Duration = Duration::from_millis(20);

/// What is waited for.
#[derive(Debug)]
pub(super) struct Proof {
    until: Instant,
    /// How often somebody had answered before it had its Snapshot; `None` until it has.
    answers: Option<u64>,
}

impl Steer {
    /// When it is looked again whether anybody has answered.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.proof.as_ref().map(|_| Instant::now() + LOOK)
    }

    /// Another dataplane is there than before.
    pub(super) fn ask_for_proof(&mut self) {
        if self.checks.answers(&self.site.aim).is_some() {
            self.proof = Some(Proof { until: Instant::now() + LIMIT, answers: None });
            self.checks.forgive(true);
        }
    }

    /// Whether anybody has answered through it.
    pub(super) fn look_for_proof(&mut self) {
        let follows = self.dataplane.follows;
        let Some(Proof { until, answers }) = &mut self.proof else { return };
        let now = self.checks.answers(&self.site.aim);
        if follows && answers.is_none() {
            *answers = now;
        }
        let answered = follows && answers.is_none_or(|before| now.is_none_or(|now| now > before));
        if answered || Instant::now() >= *until {
            tracing::info!(answered, "failures of checks count again");
            self.proof = None;
            self.checks.forgive(false);
        }
    }
}
