//! How many tries at other servers are left. Retries heal what fails now and then; where much fails they
//! would double the load of those that are left.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A try, in hundredths: requests add percents.
const TRY: u32 = 100;
/// Tries that are always saved up, so that few requests may be tried again, too.
const SAVED: u32 = 10 * TRY;
/// Most that are saved up.
const MOST: u32 = 100 * TRY;

/// What is left, of all cores.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(SAVED))
    }
}

impl Budget {
    /// A request came: so many hundredths of a try more.
    pub(crate) fn earn(&self, percent: u32) {
        let left = self.0.load(Relaxed);
        // Two cores at once may earn once: it is a budget, not a bank. Full, as it is in peace, it is not
        // written to.
        if left < MOST {
            self.0.store(left.saturating_add(percent).min(MOST), Relaxed);
        }
    }

    /// Takes a try; whether there was one.
    pub(crate) fn spend(&self) -> bool {
        self.0.try_update(Relaxed, Relaxed, |left| left.checked_sub(TRY)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_a_share_of_requests() {
        let budget = Budget::default();
        let tries =
            |budget: &Budget| std::iter::repeat_with(|| budget.spend()).take_while(|&t| t).count();
        assert_eq!(tries(&budget), 10);
        (0..99).for_each(|_| budget.earn(20));
        assert_eq!(tries(&budget), 19);
        (0..100_000).for_each(|_| budget.earn(20));
        assert_eq!(tries(&budget), 100);
        (0..1000).for_each(|_| budget.earn(0));
        assert_eq!(tries(&budget), 0);
    }
}
