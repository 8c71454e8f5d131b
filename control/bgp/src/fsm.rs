//! The state machine of RFC 4271, section 8: no sockets, no clock. Time is passed in.
//!
//! One machine is one side of a session: the connection that this node opens, or one that the router
//! has opened. Where both exist, whoever runs them decides after the OPENs which one goes on
//! ([`Input::Keep`], [`Input::Stop`]): section 6.8.

use std::time::{Duration, Instant};

use crate::fault::{Fault, name};
use crate::frame::{Open, Received};

/// Hold time before the peers have agreed: "a large value", section 8.2.2.
const LARGE_HOLD: Duration = Duration::from_secs(240);
/// How long a connection may take to come up.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// States of RFC 4271.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Pauses after a failure, or is not wanted.
    Idle,
    /// A connection is being opened.
    Connect,
    /// The router is waited for.
    Active,
    /// There is a connection; the router's OPEN is waited for, or what is to become of it.
    OpenSent,
    /// The OPENs agree.
    OpenConfirm,
    /// Routes may be sent.
    Established,
}

/// What a machine has to know of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whether the router is to connect.
    pub(crate) passive: bool,
    pub(crate) hold_time: Duration,
    pub(crate) connect_retry: Duration,
    pub(crate) local_as: u32,
    pub(crate) peer_as: u32,
    pub(crate) router_id: std::net::Ipv4Addr,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The session is wanted (events 1 and 3).
    Start,
    /// It is wanted no more, for this reason (event 2).
    Stop(Fault),
    /// There is a connection (events 16 and 17).
    Connected,
    /// There is none, or no more, and why (event 18).
    Closed(String),
    /// The peer has said something.
    Received(Received),
    /// It has said something that is no message (events 21 and 22).
    Malformed(Fault),
    /// After the OPENs: this connection is the one that stays.
    Keep,
    /// It is late enough for something: [`Fsm::next`].
    Time,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Open a connection; what was on its way is forgotten.
    Dial,
    /// Close the connection, or stop opening it.
    Hangup,
    /// Send OPEN.
    SendOpen,
    /// Send KEEPALIVE.
    SendKeepalive,
    /// Send NOTIFICATION.
    SendNotification(Fault),
    /// The peer's OPEN is good: decide between connections, then [`Input::Keep`]. Until then nothing
    /// more is to be read.
    Opened(Open),
    /// Established.
    Up,
    /// The attempt, or the session, has ended, and why.
    Down(String),
    /// The peer wants routes again.
    Refresh(Received),
}

/// One side of a session.
#[derive(Clone, Debug)]
pub(crate) struct Fsm {
    terms: Terms,
    state: State,
    /// The OPEN that is to be decided on, or that was agreed to.
    open: Option<Open>,
    hold: Duration,
    hold_at: Option<Instant>,
    keepalive_at: Option<Instant>,
    /// ConnectRetryTimer, and IdleHoldTimer while idle.
    retry_at: Option<Instant>,
    failures: u32,
}

impl Fsm {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            state: State::Idle,
            open: None,
            hold: LARGE_HOLD,
            hold_at: None,
            keepalive_at: None,
            retry_at: None,
            failures: 0,
        }
    }

    /// Other terms, for the next try.
    pub(crate) fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// What the peers agreed on: hold time, and time between KEEPALIVEs.
    pub(crate) fn agreed(&self) -> Option<(Duration, Duration)> {
        let up = matches!(self.state, State::OpenConfirm | State::Established);
        up.then_some((self.hold, self.hold / 3))
    }

    /// The peer's OPEN.
    pub(crate) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// When [`Input::Time`] is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        [self.hold_at, self.keepalive_at, self.retry_at].into_iter().flatten().min()
    }

    /// What follows from something that happens.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match (self.state, input) {
            (State::Idle, Input::Start) => self.begin(now),
            (State::Idle, Input::Time) if self.due(self.retry_at, now) => self.begin(now),
            (State::Idle, Input::Stop(_)) => {
                self.retry_at = None;
                vec![]
            }
            // Nothing else concerns who is idle (8.2.2).
            (State::Idle, _) => vec![],

            (_, Input::Start) => vec![],
            (state, Input::Stop(fault)) => self.stop(state, fault),

            (State::Connect | State::Active, Input::Connected) => {
                self.state = State::OpenSent;
                self.retry_at = None;
                self.hold = LARGE_HOLD;
                self.hold_at = Some(now + LARGE_HOLD);
                vec![Output::SendOpen]
            }
            (State::Connect | State::Active, Input::Closed(why)) => self.fail(None, why, now),
            (State::Connect, Input::Time) if self.due(self.retry_at, now) => {
                self.fail(None, "connecting took too long".into(), now)
            }
            // Nobody can have said anything over a connection that is not there.
            (State::Connect | State::Active, _) => vec![],

            (_, Input::Connected) => vec![],
            (_, Input::Closed(why)) => self.fail(None, why, now),
            (_, Input::Malformed(fault)) => {
                let why = fault.to_string();
                self.fail(Some(fault), why, now)
            }
            (_, Input::Received(Received::Notification { code, subcode })) => {
                let why = format!("the router sent NOTIFICATION: {}", name(code, subcode));
                self.fail(None, why, now)
            }
            (_, Input::Time) => self.time(now),

            (State::OpenSent, Input::Received(Received::Open(open))) if self.open.is_none() => {
                match self.judge(&open) {
                    Ok(()) => {
                        self.open = Some(open.clone());
                        vec![Output::Opened(open)]
                    }
                    Err(fault) => {
                        let why = fault.to_string();
                        self.fail(Some(fault), why, now)
                    }
                }
            }
            (State::OpenSent, Input::Keep) => match &self.open {
                Some(open) => {
                    let theirs = Duration::from_secs(open.hold_time.into());
                    self.hold = self.terms.hold_time.min(theirs);
                    self.state = State::OpenConfirm;
                    self.heard(now);
                    self.keepalive_at = (!self.hold.is_zero()).then(|| now + self.pause());
                    vec![Output::SendKeepalive]
                }
                None => vec![],
            },
            (_, Input::Keep) => vec![],

            (State::OpenConfirm, Input::Received(Received::Keepalive)) => {
                self.state = State::Established;
                self.failures = 0;
                self.heard(now);
                vec![Output::Up]
            }
            (State::Established, Input::Received(Received::Keepalive | Received::Update)) => {
                self.heard(now);
                vec![]
            }
            (State::Established, Input::Received(refresh @ Received::Refresh(_))) => {
                self.heard(now);
                vec![Output::Refresh(refresh)]
            }
            (state, Input::Received(received)) => {
                let (what, subcode) = (received.name(), unexpected(state));
                let fault = Fault::unexpected(subcode, what, state);
                let why = fault.to_string();
                self.fail(Some(fault), why, now)
            }
        }
    }

    fn begin(&mut self, now: Instant) -> Vec<Output> {
        self.open = None;
        if self.terms.passive {
            self.state = State::Active;
            self.retry_at = None;
            return vec![];
        }
        self.state = State::Connect;
        self.retry_at = Some(now + CONNECT);
        vec![Output::Dial]
    }

    fn stop(&mut self, state: State, fault: Fault) -> Vec<Output> {
        let why = fault.to_string();
        let told = matches!(state, State::OpenSent | State::OpenConfirm | State::Established);
        self.clear();
        self.failures = 0;
        let notification = told.then_some(Output::SendNotification(fault));
        notification.into_iter().chain([Output::Hangup, Output::Down(why)]).collect()
    }

    fn fail(&mut self, told: Option<Fault>, why: String, now: Instant) -> Vec<Output> {
        self.clear();
        let pause = self.terms.connect_retry * 2_u32.saturating_pow(self.failures.min(16));
        // Not all at once, if all failed at once.
        let pause = pause.min(LONGEST_PAUSE).mul_f64(0.75 + fastrand::f64() / 4.0);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + pause);
        let notification = told.map(Output::SendNotification);
        notification.into_iter().chain([Output::Hangup, Output::Down(why)]).collect()
    }

    fn clear(&mut self) {
        self.state = State::Idle;
        self.open = None;
        (self.hold_at, self.keepalive_at, self.retry_at) = (None, None, None);
    }

    fn time(&mut self, now: Instant) -> Vec<Output> {
        if self.due(self.hold_at, now) {
            return self.fail(Some(Fault::HOLD_TIMER), Fault::HOLD_TIMER.to_string(), now);
        }
        if self.due(self.keepalive_at, now) {
            self.keepalive_at = Some(now + self.pause());
            return vec![Output::SendKeepalive];
        }
        vec![]
    }

    fn due(&self, at: Option<Instant>, now: Instant) -> bool {
        at.is_some_and(|at| now >= at)
    }

    /// The peer lives.
    fn heard(&mut self, now: Instant) {
        self.hold_at = (!self.hold.is_zero()).then(|| now + self.hold);
    }

    /// A third of the hold time, and up to a quarter less (section 10).
    fn pause(&self) -> Duration {
        (self.hold / 3).mul_f64(0.75 + fastrand::f64() / 4.0)
    }

    /// Section 6.2.
    fn judge(&self, open: &Open) -> Result<(), Fault> {
        if open.version != 4 {
            return Err(Fault::BAD_VERSION);
        }
        if open.autonomous_system != self.terms.peer_as {
            return Err(Fault::BAD_AS);
        }
        // RFC 6286: anything but 0, and within an autonomous system nobody else's.
        let internal = self.terms.local_as == self.terms.peer_as;
        if open.id.is_unspecified() || (internal && open.id == self.terms.router_id) {
            return Err(Fault::BAD_ID);
        }
        if matches!(open.hold_time, 1 | 2) {
            return Err(Fault::BAD_HOLD_TIME);
        }
        Ok(())
    }
}

impl Received {
    fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "OPEN",
            Self::Update => "UPDATE",
            Self::Notification { .. } => "NOTIFICATION",
            Self::Keepalive => "KEEPALIVE",
            Self::Refresh(_) => "ROUTE-REFRESH",
        }
    }
}

/// The subcode for what comes at the wrong time (RFC 6608).
fn unexpected(state: State) -> u8 {
    match state {
        State::OpenSent => 1,
        State::OpenConfirm => 2,
        State::Established => 3,
        State::Idle | State::Connect | State::Active => 0,
    }
}

#[cfg(test)]
mod tests;
