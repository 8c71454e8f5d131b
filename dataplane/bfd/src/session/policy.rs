use std::num::NonZeroU8;
use std::time::Duration;

use thiserror::Error;

/// What is wanted of a session's timers: one interval both ways, and how many packets may be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    interval: u32,
    pub(crate) detect_mult: NonZeroU8,
}

/// Timers that no packet can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPolicy {
    /// The interval is 0, or more than an hour.
    #[error("the interval is from 1 us to 1 hour, not {0:?}")]
    Interval(Duration),
    /// The multiplier is 0.
    #[error("the multiplier is at least 1")]
    Multiplier,
}

impl Policy {
    /// Sending and receiving at `interval`, missing up to `detect_mult` packets.
    ///
    /// # Errors
    /// No packet can carry it.
    pub fn new(interval: Duration, detect_mult: u8) -> Result<Self, BadPolicy> {
        const HOUR: u128 = 3_600_000_000;
        let micros = interval.as_micros();
        if !(1..=HOUR).contains(&micros) {
            return Err(BadPolicy::Interval(interval));
        }
        let detect_mult = NonZeroU8::new(detect_mult).ok_or(BadPolicy::Multiplier)?;
        Ok(Self { interval: micros as u32, detect_mult })
    }

    pub(crate) fn desired_min_tx(&self) -> u32 {
        self.interval
    }

    pub(crate) fn required_min_rx(&self) -> u32 {
        self.interval
    }

    pub(crate) fn detect_mult(&self) -> u8 {
        self.detect_mult.get()
    }
}
