use std::time::Duration;

/// A moment on CLOCK_BOOTTIME in units of 256 ms: common to all workers, and to the process
/// before and after a restart.
///
/// 32 bits here (35 years); connection entries keep the low 24 (49 days).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u32);

impl Tick {
    /// Length of a tick in milliseconds.
    pub const MILLIS: u64 = 256;
    /// Later than any moment that comes.
    pub const NEVER: Self = Self(u32::MAX);
    /// Bits that a connection entry keeps.
    pub const SHORT_BITS: u32 = 24;

    /// The tick in which `boot_ms` milliseconds after boot lie.
    pub const fn from_boot_ms(boot_ms: u64) -> Self {
        let ticks = boot_ms / Self::MILLIS;
        Self(if ticks < u32::MAX as u64 { ticks as u32 } else { u32::MAX - 1 })
    }

    /// From its number.
    pub const fn new(ticks: u32) -> Self {
        Self(ticks)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The low bits that an entry keeps.
    pub const fn short(self) -> u32 {
        self.0 & ((1 << Self::SHORT_BITS) - 1)
    }

    /// Ticks since `earlier`; 0 if it is later.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// The tick this long after.
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(Self::count(duration)))
    }

    /// How many ticks a duration lasts, rounded up.
    pub const fn count(duration: Duration) -> u32 {
        duration.as_millis().div_ceil(Self::MILLIS as u128) as u32
    }
}
