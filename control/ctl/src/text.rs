//! Text for operators: durations, numbers, colours, columns.

mod paint;
mod table;

use std::time::Duration;

pub(crate) use paint::{Paint, Tone};
pub(crate) use table::{Cell, Table, wrap};

/// A duration in its two largest units: `3m 12s`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{}ms", duration.as_millis()),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        (_, _, _) => format!("{days}d {hours}h"),
    }
}

/// The same of milliseconds.
pub(crate) fn human_ms(milliseconds: u64) -> String {
    human(Duration::from_millis(milliseconds))
}

/// Time since an instant given in milliseconds since 1970; of the future, none.
pub(crate) fn ago(now_ms: u64, at_ms: u64) -> String {
    format!("{} ago", human_ms(now_ms.saturating_sub(at_ms)))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_millis() as u64
}

/// A rate or size in four characters and a prefix: `1.25M`.
pub(crate) fn si(number: f64) -> String {
    let mut scaled = number;
    for unit in ["", "k", "M", "G", "T"] {
        // What would round up to 1000 belongs to the next unit.
        if scaled < 999.5 {
            let digits = match scaled {
                _ if unit.is_empty() => 0,
                small if small < 9.995 => 2,
                small if small < 99.95 => 1,
                _ => 0,
            };
            return format!("{scaled:.digits$}{unit}");
        }
        scaled /= 1000.0;
    }
    format!("{scaled:.0}P")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (59_999, "59s"),
            (192_000, "3m 12s"),
            (3_600_000, "1h 0m"),
            (90_061_000, "1d 1h"),
        ] {
            assert_eq!(human_ms(milliseconds), text);
        }
        assert_eq!(ago(5_000, 9_000), "0ms ago", "clocks differ");
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (number, text) in [
            (0.0, "0"),
            (0.4, "0"),
            (999.0, "999"),
            (999.7, "1.00k"),
            (1_250.0, "1.25k"),
            (12_500.0, "12.5k"),
            (999_499.0, "999k"),
            (3.2e9, "3.20G"),
            (7e15, "7P"),
        ] {
            assert_eq!(si(number), text);
        }
    }
}
