//! CLOCK_BOOTTIME: common to all workers, to control, and to this process before a restart.

use nix::time::{ClockId, clock_gettime};

/// Milliseconds since boot, suspended time included.
pub(crate) fn boot_millis() -> u64 {
    let now =
        clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had CLOCK_BOOTTIME since 2.6.39");
    now.tv_sec() as u64 * 1000 + now.tv_nsec() as u64 / 1_000_000
}

/// Nanoseconds since 1970.
pub(crate) fn unix_nanos() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("every system has CLOCK_REALTIME");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
