//! Weights in hundredths become those of a Snapshot.

use api::{Member, State};

/// Gives each member its weight, divided by what is common to those that are up: a site in which no
/// agent says anything has the weights of its file over their common divisor, on every L4 node.
pub(super) fn scale(members: &mut [(Member, u32)]) {
    let up = || {
        let up = members.iter().filter(|(member, _)| member.state == State::Up);
        up.map(|(_, hundredths)| *hundredths)
    };
    let divisor = up().fold(0, gcd).max(1);
    let largest = up().max().unwrap_or(0) / divisor;
    let most = u32::from(u16::MAX);
    for (member, hundredths) in members {
        let exact = *hundredths / divisor;
        // Only weights that have nothing in common come here: the error is below 1 in 65535.
        let fitted = if largest <= most { exact } else { scaled(exact, most, largest) };
        member.weight = match member.state {
            State::Up => u16::try_from(fitted).unwrap_or(u16::MAX),
            // It has no rows: no weight either, so that a change of it changes nothing.
            State::Joining | State::Drain | State::Maintenance | State::Down => 0,
        };
    }
}

/// `weight * most / largest`, but at least 1 of what is not 0.
fn scaled(weight: u32, most: u32, largest: u32) -> u32 {
    let share = u64::from(weight) * u64::from(most) / u64::from(largest);
    u32::try_from(share).unwrap_or(most).max(u32::from(weight > 0))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
