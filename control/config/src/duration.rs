//! Durations as an operator reads and writes them: `"5s"`, `"2h 15m"`.

use std::time::Duration;

/// The longest that anything of a site may last: more is a slip of the hand.
pub(crate) const MONTH: Duration = days(30);
/// What short deadlines are held against.
pub(crate) const DAY: Duration = days(1);

/// So many days.
pub(crate) const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// A duration in the largest units that tell it exactly: `2h 15m`, `500ms`.
pub(crate) fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
