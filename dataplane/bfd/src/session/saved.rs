//! A session that outlives its process.

use std::num::{NonZeroU8, NonZeroU32};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::remote::Remote;
use super::{BadPolicy, Policy, Poll, Session};
use crate::packet::{Diagnostic, State};

/// What another process needs to know to go on with a session that is Up, unnoticed by the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// bfd.LocalDiscr.
    local_discr: NonZeroU32,
    /// The interval that the other side was told of, in microseconds.
    interval: u32,
    /// bfd.DetectMult.
    detect_mult: NonZeroU8,
    /// bfd.RemoteDiscr.
    remote_discr: NonZeroU32,
    /// What the other side wants, in the units of its packets.
    remote_detect_mult: NonZeroU8,
    remote_desired_min_tx: u32,
    remote_required_min_rx: u32,
}

impl Saved {
    /// bfd.LocalDiscr: no other session of this host may have it.
    pub fn discriminator(&self) -> NonZeroU32 {
        self.local_discr
    }
}

impl Session {
    /// The session as another process may go on with it; nothing if it is not Up, or if the other side
    /// has not agreed yet to the policy that was asked for last.
    pub fn save(&self) -> Option<Saved> {
        let agreed = self.poll == Poll::None && self.told == self.policy;
        if self.state != State::Up || !agreed {
            return None;
        }
        Some(Saved {
            local_discr: self.local_discr,
            interval: self.told.desired_min_tx(),
            detect_mult: self.told.detect_mult,
            remote_discr: NonZeroU32::new(self.remote.discr)?,
            remote_detect_mult: NonZeroU8::new(self.remote.detect_mult)?,
            remote_desired_min_tx: self.remote.desired_min_tx,
            remote_required_min_rx: self.remote.required_min_rx,
        })
    }

    /// Goes on with a session: it is Up, sends its first packet at once, and hears the other side for the
    /// first time, as far as its silence is concerned. `seed` is of the jitter.
    ///
    /// # Errors
    /// No packet can carry its timers.
    pub fn resume(saved: &Saved, seed: u64, now: Instant) -> Result<Self, BadPolicy> {
        let interval = Duration::from_micros(saved.interval.into());
        let policy = Policy::new(interval, saved.detect_mult.get())?;
        let mut session = Self::new(policy, saved.local_discr, seed, now);
        session.state = State::Up;
        session.desired_min_tx = policy.desired_min_tx();
        session.remote = Remote {
            discr: saved.remote_discr.get(),
            state: State::Up,
            diagnostic: Diagnostic::NONE,
            detect_mult: saved.remote_detect_mult.get(),
            desired_min_tx: saved.remote_desired_min_tx,
            required_min_rx: saved.remote_required_min_rx,
        };
        session.last_rx = Some(now);
        session.watch();
        Ok(session)
    }
}
