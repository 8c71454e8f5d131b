//! A node's part in a service at one VIP: what it is, and why.

use std::time::Duration;

use api::{Release, State};
use config::Service;
use health::Admin;

use super::before::Was;
use super::{Known, Verdict};
use crate::clock::millis;

/// A node's part in a service at one VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The worst of everything that is said of it.
    pub state: State,
    /// What made it so.
    pub cause: Cause,
    /// Its weight in hundredths: the configured one times percent.
    pub weight: u32,
    /// When `state` last changed: CLOCK_BOOTTIME.
    pub since: Duration,
    /// When the flows that it has go to other nodes.
    pub release: Release,
    /// Until when it joins, if it does.
    pub joining_until: Option<Duration>,
}

/// What made a seat what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing speaks against it.
    Well,
    /// Some check was not answered yet, and the service wants to know first (`alpha`).
    Unchecked,
    /// Some check was not answered yet: it is what it was.
    Before,
    /// It is new to the service.
    New,
    /// The probe at this place.
    Check(u32),
    /// What it asked for itself, told by the probe at this place.
    Agent(u32),
    /// Its weight is 0.
    Weight,
    /// An operator.
    Operator,
}

/// The seat of `member` of a service, of whom these probes tell.
pub(super) fn seat(
    known: &Known<'_>,
    service: &Service,
    probes: &[u32],
    member: usize,
    was: &Was<'_>,
) -> Seat {
    let member = &service.nodes[member];
    let node = &known.config.l7[member.l7];
    let before = was.member(node.index);
    let last = was.seat(node.index);

    let mut worst = Worst { state: State::Up, cause: Cause::Well };
    let mut percent = u16::MAX;
    for &place in probes {
        let Verdict { state, admin, weight } = known.verdicts[place as usize];
        match state {
            Some(health::State::Up) => {}
            Some(health::State::Drain) => worst.or(State::Drain, Cause::Check(place)),
            Some(health::State::Down) => worst.or(State::Down, Cause::Check(place)),
            // Nobody was there to be anything before.
            None if last.is_some_and(|last| last.cause == Cause::Unchecked) => {
                if service.alpha {
                    worst.or(State::Down, Cause::Unchecked);
                }
            }
            None => match before.map(|member| member.state) {
                Some(State::Up | State::Joining) => {}
                Some(State::Drain) => worst.or(State::Drain, Cause::Before),
                Some(State::Maintenance) => worst.or(State::Maintenance, Cause::Before),
                Some(State::Down) => worst.or(State::Down, Cause::Before),
                None if service.alpha => worst.or(State::Down, Cause::Unchecked),
                None => {}
            },
        }
        worst.wanted(admin, Cause::Agent(place));
        percent = percent.min(weight);
    }
    if percent == u16::MAX {
        percent = 100;
    }
    let weight = u32::from(member.weight) * u32::from(percent);
    if weight == 0 {
        worst.or(State::Drain, Cause::Weight);
    }
    if let Some(entry) = known.states.get(&node.name) {
        worst.wanted(entry.state, Cause::Operator);
    }

    let joins = match (last, before) {
        (Some(last), _) => last.joining_until.filter(|until| *until > known.now),
        (None, Some(member)) if member.state == State::Joining => {
            Some(known.now + known.config.site.times.join_time)
        }
        (None, None) if was.existed() => Some(known.now + known.config.site.times.join_time),
        (None, Some(_) | None) => None,
    };
    if joins.is_some() {
        worst.or(State::Joining, Cause::New);
    }

    let Worst { state, cause } = worst;
    let since = last.filter(|last| last.state == state).map_or(known.now, |last| last.since);
    // What was down because nobody had asked has no instant yet. A forwarder that was started anew may
    // remember flows to it, so it gets one.
    let judged = last.is_none_or(|last| last.cause != Cause::Unchecked);
    let release = release(known.now, service, state, cause, before.filter(|_| judged));
    Seat { state, cause, weight, since, release, joining_until: joins }
}

/// The worst so far, and what made it so.
struct Worst {
    state: State,
    cause: Cause,
}

impl Worst {
    fn or(&mut self, state: State, cause: Cause) {
        if state > self.state {
            *self = Self { state, cause };
        }
    }

    fn wanted(&mut self, admin: Admin, cause: Cause) {
        match admin {
            Admin::Ready => {}
            Admin::Drain => self.or(State::Drain, cause),
            Admin::Maintenance => self.or(State::Maintenance, cause),
        }
    }
}

/// When its flows go. An instant that was set once stays: neither a restart nor a change from `down`
/// to `maintenance` starts it anew.
fn release(
    now: Duration,
    service: &Service,
    state: State,
    cause: Cause,
    before: Option<&api::Member>,
) -> Release {
    let hold = match state {
        State::Up | State::Joining | State::Drain => return Release::Never,
        // What was never asked never had flows, or is what it was.
        State::Down if cause == Cause::Unchecked => return Release::Never,
        State::Down => service.down_hold,
        State::Maintenance => Some(service.drain_timeout),
    };
    let new = hold.map_or(Release::Never, |hold| Release::At(millis(now + hold)));
    let Some(before) = before else { return new };
    let same = matches!(
        (before.state, state),
        (State::Down, State::Down) | (State::Maintenance, State::Maintenance)
    );
    match (before.state, before.release) {
        _ if same => before.release,
        (State::Down | State::Maintenance, Release::At(old)) => match new {
            Release::At(new) => Release::At(old.min(new)),
            Release::Never => Release::At(old),
        },
        (State::Down | State::Maintenance, Release::Never)
        | (State::Up | State::Joining | State::Drain, _) => new,
    }
}
