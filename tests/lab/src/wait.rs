use std::thread;
use std::time::{Duration, Instant};

/// How often a state is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Panics
/// It does not within `deadline`; `what` says in the message what was waited for.
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain until {what}");
        thread::sleep(INTERVAL);
    }
}

/// Waits until `answer` has one.
///
/// # Panics
/// As [`wait_until`].
pub fn wait_for<T>(what: &str, deadline: Duration, mut answer: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_until(what, deadline, || {
        found = answer();
        found.is_some()
    });
    found.expect("the wait ended because it was found")
}
