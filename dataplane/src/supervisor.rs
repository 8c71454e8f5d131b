//! systemd, if it has started us: told that we serve, that we live, that we end.
//!
//! Readiness means that the socket listens; whether a Snapshot is in force is control's affair. Signs
//! of life come from the main thread: were it stuck, nobody could change anything, and a restart keeps
//! the connections.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Our end of the conversation. Without systemd it says nothing.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// How often a sign of life is wanted: half of what the unit allows.
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Supervisor {
    /// Says that the socket listens.
    pub(crate) fn ready() -> Self {
        tell(NotifyState::Ready);
        Self { every: sd_notify::watchdog_enabled().map(|limit| limit / 2), last: None }
    }

    /// Gives a sign of life, if one is due.
    pub(crate) fn turn(&mut self, now: Instant) {
        if self.due(now) {
            tell(NotifyState::Watchdog);
        }
    }

    /// Says that the end has begun.
    pub(crate) fn stopping(&self) {
        tell(NotifyState::Stopping);
    }

    fn due(&mut self, now: Instant) -> bool {
        let Some(every) = self.every else { return false };
        let due = self.last.is_none_or(|last| now.duration_since(last) >= every);
        if due {
            self.last = Some(now);
        }
        due
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd is not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_come_at_half_the_limit() {
        let start = Instant::now();
        let mut supervisor = Supervisor { every: Some(Duration::from_secs(5)), last: None };
        let due =
            [0, 1, 4, 5, 6, 9, 10, 30].map(|s| supervisor.due(start + Duration::from_secs(s)));
        assert_eq!(due, [true, false, false, true, false, false, true, true]);
        let mut silent = Supervisor { every: None, last: None };
        assert!(!silent.due(start));
    }
}
