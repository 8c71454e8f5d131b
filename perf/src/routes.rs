//! When things happened: in a log of control, at a router, and on this machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds of a day.
const DAY: u64 = 86_400_000_000;

/// Microseconds since midnight UTC that a line begins with: `2026-11-23T03:12:45.649238Z`, or the same in
/// brackets.
pub fn stamp(line: &str) -> Option<u64> {
    let (_, time) = line.split_once('T')?;
    let end = time.find(['Z', ']', ' ']).unwrap_or(time.len());
    let (clock, fraction) = time[..end].split_once('.')?;
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

/// The same, of now.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0) % DAY
}

/// Milliseconds from one instant to a later one, over midnight if need be.
pub fn millis(from: u64, to: u64) -> f64 {
    ((to + DAY - from) % DAY) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_logs_and_monitors_have_their_time() {
        let log = "2026-11-23T01:00:02.000450Z  INFO control::checks: verdict node=l7-1";
        let monitor = "[2026-11-23T01:00:02.001000] Deleted 198.51.100.1 via 192.0.2.132";
        let (from, to) = (stamp(log).unwrap(), stamp(monitor).unwrap());
        assert_eq!(from, 3_602_000_450);
        assert!((millis(from, to) - 0.55).abs() < 1e-9);
        assert_eq!(stamp("no time"), None);
    }

    #[test]
    fn midnight_is_no_day() {
        assert!((millis(DAY - 500, 500) - 1.0).abs() < 1e-9);
    }
}
