//! The two clocks: one for durations and the dataplane, one for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// CLOCK_BOOTTIME: counts sleep, and is common to control, its checks and the dataplane.
pub use health::monitor::boottime as boot;

/// Milliseconds since 1970.
pub fn unix_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
