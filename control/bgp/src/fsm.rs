//! The state machine of RFC 4271 8.2.2, one for each connection.
//!
//! ```text
//!            Start               Connected                 Open              Keepalive
//!   Idle ─────────────▶ Connect ───────────▶ OpenSent ───────────▶ OpenConfirm ───────▶ Established
//!    ▲ └─ (passive) ─┐   │  ▲                  │  ▲                    │                    │
//!    │               ▼   ▼  │ ConnectRetry     │  │ Connected          │                    │
//!    │               Active ─────────────────┐ │  │                    │                    │
//!    │                 ▲  └──────────────────│─│──┘                    │                    │
//!    │                 └── ConnectionFailed ─┘◀┘                       │                    │
//!    └── all that goes wrong ◀─────────────────────────────────────────┴────────────────────┘
//! ```
//! Pure: what happened and the time go in, what has to be done comes out. In Idle a pause runs
//! (IdleHoldTimer) before the next start; after [`Input::Stop`] and [`Input::Dump`] none does.
//! DelayOpen and the optional attributes of RFC 4271 8.2.1.3 are left out.

mod open;
mod why;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::{Backoff, jittered};
use crate::message::{Malformed, Message, Notification, cease};
use crate::settings::{Families, Neighbor};
use crate::status::SessionState as State;

pub(crate) use open::{Agreed, Refusal};
pub(crate) use why::Why;

/// The HoldTimer until an OPEN has come (RFC 4271 8.2.2 recommends 4 minutes).
const LARGE_HOLD_TIME: Duration = Duration::from_secs(240);
/// Shortest time that an attempt to connect gets: a lost SYN is sent again after 1 and 3 s.
const CONNECT_TIME: Duration = Duration::from_secs(4);

/// What happened. Numbers are those of RFC 4271 8.1.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Begin (3, for a passive neighbor 5).
    Start,
    /// End, and tell them why (2, 8).
    Stop(Notification),
    /// Another connection to the same neighbor is the better one (23).
    Dump,
    /// The other connection has ended: this one may start again, after a pause.
    Resume,
    /// A TCP connection is there, of whichever side (16, 17).
    Connected,
    /// No TCP connection came about, or there is none any more (18).
    ConnectionFailed(Why),
    /// ConnectRetryTimer (9).
    ConnectRetryExpires,
    /// HoldTimer (10).
    HoldExpires,
    /// KeepaliveTimer (11).
    KeepaliveExpires,
    /// IdleHoldTimer (13).
    IdleHoldExpires,
    /// SendHoldTimer (29, RFC 9687), which who owns the socket keeps.
    SendHoldExpires,
    /// A message has come (19, 24-27).
    Received(Message),
    /// Something else has come (21, 22, 28).
    Malformed(Malformed),
}

/// What has to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Try to connect. A former attempt is to be given up.
    Connect,
    /// Send an OPEN.
    SendOpen,
    /// Send a KEEPALIVE.
    SendKeepalive,
    /// Send a NOTIFICATION.
    Notify(Notification),
    /// Close the TCP connection once everything is written, or give up the attempt.
    Disconnect,
    /// They want all routes of these families again.
    Refresh(Families),
    /// The session is there.
    Up(Agreed),
    /// An attempt or the session has failed.
    Down(Why),
}

/// One connection's state.
#[derive(Debug)]
pub(crate) struct Fsm {
    neighbor: Arc<Neighbor>,
    /// Never connects by itself.
    passive: bool,
    random: fastrand::Rng,
    state: State,
    agreed: Option<Agreed>,
    established: Option<Instant>,
    connect_retry: Option<Instant>,
    hold: Option<Instant>,
    keepalive: Option<Instant>,
    idle_hold: Option<Instant>,
}

impl Fsm {
    /// A machine in Idle. A `passive` one waits for a connection.
    pub(crate) fn new(neighbor: Arc<Neighbor>, passive: bool, random: fastrand::Rng) -> Self {
        Self {
            neighbor,
            passive,
            random,
            state: State::Idle,
            agreed: None,
            established: None,
            connect_retry: None,
            hold: None,
            keepalive: None,
            idle_hold: None,
        }
    }

    /// Where it is.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Since when the session is there.
    pub(crate) fn established(&self) -> Option<Instant> {
        self.established
    }

    /// What both OPENs agree on, once theirs has come.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// Whether their OPEN is acceptable, and what follows from it.
    pub(crate) fn check(&self, message: &Message) -> Option<Agreed> {
        match message {
            Message::Open(open) => Agreed::on(&self.neighbor, open).ok(),
            Message::Update
            | Message::Notification(_)
            | Message::Keepalive
            | Message::RouteRefresh(_) => None,
        }
    }

    /// When the next timer expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let timers = [self.connect_retry, self.hold, self.keepalive, self.idle_hold];
        timers.into_iter().flatten().min()
    }

    /// The timer that has expired, if one has.
    pub(crate) fn expired(&self, now: Instant) -> Option<Input> {
        let due = |timer: Option<Instant>| timer.is_some_and(|at| at <= now);
        if due(self.hold) {
            Some(Input::HoldExpires)
        } else if due(self.keepalive) {
            Some(Input::KeepaliveExpires)
        } else if due(self.connect_retry) {
            Some(Input::ConnectRetryExpires)
        } else if due(self.idle_hold) {
            Some(Input::IdleHoldExpires)
        } else {
            None
        }
    }

    /// Takes in what happened.
    pub(crate) fn handle(
        &mut self,
        input: Input,
        now: Instant,
        pauses: &mut Backoff,
    ) -> Vec<Output> {
        match self.state {
            State::Idle => self.idle(input, now, pauses),
            State::Connect | State::Active => self.connecting(input, now, pauses),
            State::OpenSent => self.open_sent(input, now, pauses),
            State::OpenConfirm | State::Established => self.past_open(input, now, pauses),
        }
    }

    fn idle(&mut self, input: Input, now: Instant, pauses: &mut Backoff) -> Vec<Output> {
        match input {
            Input::Start | Input::IdleHoldExpires => self.start(now, CONNECT_TIME),
            Input::Resume => {
                self.idle_hold = Some(now + pauses.next());
                vec![]
            }
            Input::Stop(_) | Input::Dump => {
                self.idle_hold = None;
                vec![]
            }
            // In Idle connections are refused (8.2.2).
            Input::Connected => vec![Output::Disconnect],
            Input::ConnectionFailed(_)
            | Input::ConnectRetryExpires
            | Input::HoldExpires
            | Input::KeepaliveExpires
            | Input::SendHoldExpires
            | Input::Received(_)
            | Input::Malformed(_) => vec![],
        }
    }

    /// Connect and Active: there is no TCP connection yet.
    fn connecting(&mut self, input: Input, now: Instant, pauses: &mut Backoff) -> Vec<Output> {
        match input {
            Input::Start | Input::Resume => vec![],
            Input::Stop(_) | Input::Dump => {
                self.rest();
                vec![Output::Disconnect]
            }
            Input::Connected => {
                self.enter(State::OpenSent);
                self.hold = Some(now + LARGE_HOLD_TIME);
                vec![Output::SendOpen]
            }
            Input::ConnectionFailed(why) => {
                self.listen(now, pauses);
                vec![Output::Down(why)]
            }
            Input::ConnectRetryExpires => {
                if self.state == State::Active {
                    return self.start(now, CONNECT_TIME);
                }
                let password = self.neighbor.password.is_some();
                let mut outputs = vec![Output::Down(Why::ConnectTimeout { password })];
                outputs.extend(self.start(now, pauses.next().max(CONNECT_TIME)));
                outputs
            }
            // None of these can happen without a connection: begin anew, as 8.2.2 has it.
            Input::HoldExpires
            | Input::KeepaliveExpires
            | Input::IdleHoldExpires
            | Input::SendHoldExpires
            | Input::Received(_)
            | Input::Malformed(_) => {
                let why = Why::Unexpected { state: self.state };
                self.fail(None, why, now, pauses)
            }
        }
    }

    fn open_sent(&mut self, input: Input, now: Instant, pauses: &mut Backoff) -> Vec<Output> {
        match input {
            Input::ConnectionFailed(why) => {
                self.listen(now, pauses);
                vec![Output::Disconnect, Output::Down(why)]
            }
            Input::Received(Message::Open(open)) => match Agreed::on(&self.neighbor, &open) {
                Ok(agreed) => {
                    self.enter(State::OpenConfirm);
                    self.agreed = Some(agreed);
                    self.restart_hold(now);
                    self.restart_keepalive(now);
                    vec![Output::SendKeepalive]
                }
                Err(refusal) => {
                    self.fail(Some(refusal.notification()), Why::Refused(refusal), now, pauses)
                }
            },
            Input::Start
            | Input::Stop(_)
            | Input::Dump
            | Input::Resume
            | Input::Connected
            | Input::ConnectRetryExpires
            | Input::HoldExpires
            | Input::KeepaliveExpires
            | Input::IdleHoldExpires
            | Input::SendHoldExpires
            | Input::Received(
                Message::Update
                | Message::Notification(_)
                | Message::Keepalive
                | Message::RouteRefresh(_),
            )
            | Input::Malformed(_) => self.connected(input, now, pauses),
        }
    }

    /// OpenConfirm and Established: both have seen the other's OPEN.
    fn past_open(&mut self, input: Input, now: Instant, pauses: &mut Backoff) -> Vec<Output> {
        let established = self.state == State::Established;
        match input {
            Input::ConnectionFailed(why) => self.fail(None, why, now, pauses),
            Input::KeepaliveExpires => {
                self.restart_keepalive(now);
                vec![Output::SendKeepalive]
            }
            Input::Received(Message::Keepalive) if established => {
                self.restart_hold(now);
                vec![]
            }
            Input::Received(Message::Keepalive) => {
                let agreed = self.agreed.clone().expect("OpenConfirm follows an OPEN");
                self.state = State::Established;
                self.established = Some(now);
                self.restart_hold(now);
                vec![Output::Up(agreed)]
            }
            Input::Received(Message::Update) if established => {
                self.restart_hold(now);
                vec![]
            }
            Input::Received(Message::RouteRefresh(families)) if established => {
                self.restart_hold(now);
                vec![Output::Refresh(families)]
            }
            Input::Start
            | Input::Stop(_)
            | Input::Dump
            | Input::Resume
            | Input::Connected
            | Input::ConnectRetryExpires
            | Input::HoldExpires
            | Input::IdleHoldExpires
            | Input::SendHoldExpires
            | Input::Received(
                Message::Open(_)
                | Message::Update
                | Message::Notification(_)
                | Message::RouteRefresh(_),
            )
            | Input::Malformed(_) => self.connected(input, now, pauses),
        }
    }

    /// What is the same wherever there is a TCP connection.
    fn connected(&mut self, input: Input, now: Instant, pauses: &mut Backoff) -> Vec<Output> {
        match input {
            // A connection is one machine's for good: a second one has its own.
            Input::Start | Input::Resume | Input::Connected => vec![],
            Input::Stop(notification) => {
                self.rest();
                vec![Output::Notify(notification), Output::Disconnect, Output::Down(Why::Stopped)]
            }
            Input::Dump => {
                let established = self.state == State::Established;
                self.rest();
                let collision = Notification::cease(cease::CONNECTION_COLLISION_RESOLUTION);
                let mut outputs = vec![Output::Notify(collision), Output::Disconnect];
                if established {
                    outputs.push(Output::Down(Why::Collision));
                }
                outputs
            }
            Input::HoldExpires => self.fail(
                Some(Notification::hold_timer_expired()),
                Why::HoldTimer { state: self.state },
                now,
                pauses,
            ),
            Input::SendHoldExpires => self.fail(
                Some(Notification::send_hold_timer_expired()),
                Why::SendHoldTimer,
                now,
                pauses,
            ),
            Input::Received(Message::Notification(notification)) => {
                self.fail(None, Why::Notified(notification), now, pauses)
            }
            Input::Malformed(malformed) => {
                self.fail(Some(malformed.notification()), Why::Malformed(malformed), now, pauses)
            }
            Input::ConnectionFailed(_)
            | Input::ConnectRetryExpires
            | Input::KeepaliveExpires
            | Input::IdleHoldExpires
            | Input::Received(
                Message::Open(_) | Message::Update | Message::Keepalive | Message::RouteRefresh(_),
            ) => {
                // RFC 6608: the subcode says in which state.
                let subcode = match self.state {
                    State::Idle | State::Connect | State::Active => 0,
                    State::OpenSent => 1,
                    State::OpenConfirm => 2,
                    State::Established => 3,
                };
                let why = Why::Unexpected { state: self.state };
                self.fail(Some(Notification::unexpected(subcode)), why, now, pauses)
            }
        }
    }

    /// Connects. The attempt has so much time; another one follows it without a pause.
    fn start(&mut self, now: Instant, time: Duration) -> Vec<Output> {
        if self.passive {
            self.enter(State::Active);
            return vec![];
        }
        self.enter(State::Connect);
        self.connect_retry = Some(now + time);
        vec![Output::Connect]
    }

    /// Active: waits for them to connect, and tries again itself after a pause.
    fn listen(&mut self, now: Instant, pauses: &mut Backoff) {
        self.enter(State::Active);
        if !self.passive {
            self.connect_retry = Some(now + pauses.next());
        }
    }

    /// Idle, until told otherwise.
    fn rest(&mut self) {
        self.enter(State::Idle);
    }

    /// Idle, for a pause.
    fn fail(
        &mut self,
        notification: Option<Notification>,
        why: Why,
        now: Instant,
        pauses: &mut Backoff,
    ) -> Vec<Output> {
        // A session that lived through its hold time was a good one.
        let lasted = self.established.map(|since| now - since);
        let hold_time = self.agreed.as_ref().map_or(LARGE_HOLD_TIME, |agreed| agreed.hold_time);
        if lasted.is_some_and(|lasted| lasted > hold_time) {
            pauses.reset();
        }
        self.enter(State::Idle);
        self.idle_hold = Some(now + pauses.next());
        match notification {
            Some(notification) => {
                vec![Output::Notify(notification), Output::Disconnect, Output::Down(why)]
            }
            None => vec![Output::Disconnect, Output::Down(why)],
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.agreed = None;
        self.established = None;
        (self.connect_retry, self.hold, self.keepalive, self.idle_hold) = (None, None, None, None);
    }

    fn restart_hold(&mut self, now: Instant) {
        let hold_time = self.agreed.as_ref().map(|agreed| agreed.hold_time);
        self.hold = hold_time.filter(|time| !time.is_zero()).map(|time| now + time);
    }

    fn restart_keepalive(&mut self, now: Instant) {
        let time = self.agreed.as_ref().map(Agreed::keepalive_time);
        self.keepalive =
            time.filter(|time| !time.is_zero()).map(|time| now + jittered(time, &mut self.random));
    }
}

#[cfg(test)]
mod tests;
