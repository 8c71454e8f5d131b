//! When a target is asked, and how many answers decide.

use std::num::NonZeroU32;
use std::time::Duration;

use health::{FallMode, Initial, Timing};

use crate::duration::{DAY, shown};
use crate::table::Table;
use crate::value::Value;

/// Nothing is asked more often than that.
const SHORTEST: Duration = Duration::from_millis(10);
/// Answers in a row that can be waited for.
const MOST_ANSWERS: u32 = 1000;

/// The timing keys of a check; those that are not there follow `interval`.
pub(super) fn read(table: &mut Table<'_>) -> Timing {
    let default = Timing::default();
    let interval = table.or("interval", default.interval, |v| v.duration(SHORTEST..=DAY));
    let mut within = |key, default: Duration| {
        let value = table.take(key);
        let time = value.as_ref().and_then(|value| value.duration(SHORTEST..=DAY));
        if let (Some(value), Some(time)) = (&value, time)
            && time > interval
        {
            value.problem(format!("this is longer than the interval, {}", shown(interval)));
        }
        time.unwrap_or(default)
    };
    let timeout = within("timeout", default.timeout.min(interval));
    let fast_interval = within("fast_interval", default.fast_interval.min(interval));
    let retry_delay = within("retry_delay", fast_interval);
    Timing {
        interval,
        fast_interval,
        retry_delay,
        timeout,
        rise: table.or("rise", default.rise, answers),
        fall: table.or("fall", default.fall, answers),
        fall_mode: table
            .optional("clear_after", answers)
            .map_or(FallMode::Consecutive, |clear_after| FallMode::Cumulative { clear_after }),
        initial: table.or("initial", default.initial, |value| {
            value.choice(&[
                ("first_check", Initial::FirstCheck),
                ("up", Initial::Up),
                ("down", Initial::Down),
            ])
        }),
    }
}

fn answers(value: &Value<'_>) -> Option<NonZeroU32> {
    value.number(1..=MOST_ANSWERS).and_then(NonZeroU32::new)
}
