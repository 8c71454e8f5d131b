//! One session: its state, its timers, and what it sends.

mod machine;
mod policy;
mod remote;
mod saved;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::packet::{Diagnostic, Packet, State, micros};

use self::machine::transition;
pub use self::policy::{BadPolicy, Policy};
use self::remote::Remote;
pub use self::saved::Saved;

/// While a session is not Up it sends no faster than this (RFC 5880 section 6.8.3), in microseconds.
const SLOW: u32 = 1_000_000;

/// A session in the active role of asynchronous mode.
#[derive(Debug)]
pub struct Session {
    /// What is wanted of the timers.
    policy: Policy,
    /// What the other side was told of them: another policy waits until a Poll Sequence has ended.
    told: Policy,
    /// bfd.DesiredMinTxInterval that transmission goes by: a longer one only after the Final.
    desired_min_tx: u32,
    /// bfd.RequiredMinRxInterval that detection goes by: a shorter one only after the Final.
    required_min_rx: u32,
    poll: Poll,

    state: State,
    diagnostic: Diagnostic,
    local_discr: NonZeroU32,
    remote: Remote,
    /// The last packet of the other side said AdminDown. It sends a few of those, and then nothing (RFC
    /// 5880 section 6.8.16): that nothing comes any more does not undo it.
    remote_admin_down: bool,

    last_tx: Option<Instant>,
    next_tx: Instant,
    /// When nothing has been heard for the detection time.
    expires: Option<Instant>,
    last_rx: Option<Instant>,
    rng: fastrand::Rng,
}

/// Where a Poll Sequence is (RFC 5880 section 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    /// There is none.
    None,
    /// P is to be in the next packet. A Final that comes before is of the sequence before.
    Due,
    /// P was sent, and is in each packet until the Final comes.
    Sent,
}

/// A packet that is for another session, or for one that we had in another life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("discriminator {0} is not of this session")]
pub struct Refused(u32);

impl Session {
    /// A session that is Down, and sends its first packet at once. `discriminator` is unlike any other
    /// of this host (RFC 5880 section 6.3), and hard to guess; `seed` is of the jitter.
    pub fn new(policy: Policy, discriminator: NonZeroU32, seed: u64, now: Instant) -> Self {
        Self {
            policy,
            told: policy,
            desired_min_tx: policy.desired_min_tx().max(SLOW),
            required_min_rx: policy.required_min_rx(),
            poll: Poll::None,
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            local_discr: discriminator,
            remote: Remote::UNKNOWN,
            remote_admin_down: false,
            last_tx: None,
            next_tx: now,
            expires: None,
            last_rx: None,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// bfd.SessionState.
    pub fn state(&self) -> State {
        self.state
    }

    /// bfd.LocalDiag: why it last left Up.
    pub fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    /// What the other side gives as its reason.
    pub fn remote_diagnostic(&self) -> Diagnostic {
        self.remote.diagnostic
    }

    /// bfd.RemoteSessionState.
    pub fn remote_state(&self) -> State {
        self.remote.state
    }

    /// Whether the other side's operator has switched the session off, as far as it said last.
    pub fn remote_admin_down(&self) -> bool {
        self.remote_admin_down
    }

    /// bfd.LocalDiscr.
    pub fn discriminator(&self) -> NonZeroU32 {
        self.local_discr
    }

    /// The interval at which it sends, before jitter (RFC 5880 section 6.8.2).
    pub fn interval(&self) -> Duration {
        micros(self.desired_min_tx.max(self.remote.required_min_rx))
    }

    /// How long the other side may be silent (RFC 5880 section 6.8.4); `None` if nothing is heard of it.
    pub fn detection_time(&self) -> Option<Duration> {
        self.remote.detection_time(self.required_min_rx)
    }

    /// How long this side may be silent before the other one notices: while it is not Up, how long it
    /// will be once it is.
    pub fn remote_detection_time(&self) -> Duration {
        let desired = match self.state {
            State::Up => self.desired_min_tx,
            State::AdminDown | State::Down | State::Init => self.policy.desired_min_tx(),
        };
        micros(desired.max(self.remote.required_min_rx)) * self.told.detect_mult().into()
    }

    /// Whether a Poll Sequence goes on.
    pub fn is_polling(&self) -> bool {
        self.poll != Poll::None
    }

    /// When [`Self::turn`] is to be called at the latest.
    pub fn next_turn(&self) -> Instant {
        self.expires.map_or(self.next_tx, |expires| expires.min(self.next_tx))
    }

    /// Other timers: the session keeps its state, and tells the other side by a Poll Sequence. If one
    /// goes on, once that has ended.
    pub fn change(&mut self, policy: Policy, now: Instant) {
        self.policy = policy;
        self.negotiate(now);
    }

    /// What is due: notices the other side's silence, and gives the packet to send.
    pub fn turn(&mut self, now: Instant) -> Option<Packet> {
        if self.expires.is_some_and(|expires| expires <= now) {
            self.expires = None;
            // The other side may be another one when it comes back (RFC 5880 section 6.8.1), with other
            // wishes.
            let interval = self.interval();
            self.remote = Remote::UNKNOWN;
            if self.interval() < interval {
                self.hasten(now);
            }
            match self.state {
                State::Init | State::Up => {
                    self.enter(State::Down, Diagnostic::CONTROL_DETECTION_TIME_EXPIRED, now);
                }
                State::AdminDown | State::Down => {}
            }
        }
        if now < self.next_tx {
            return None;
        }
        self.next_tx = now + self.jittered();
        if self.remote.required_min_rx == 0 {
            return None; // RFC 5880 section 6.8.7
        }
        self.last_tx = Some(now);
        let poll = self.poll != Poll::None;
        if poll {
            self.poll = Poll::Sent;
        }
        Some(Packet { poll, ..self.packet() })
    }

    /// Takes in a packet of the other side (the rest of RFC 5880 section 6.8.6). What is returned is to
    /// be sent at once: the answer to a Poll.
    ///
    /// # Errors
    /// It is for another session: nothing has changed.
    pub fn receive(&mut self, packet: &Packet, now: Instant) -> Result<Option<Packet>, Refused> {
        let your = packet.your_discriminator;
        if your != 0 && your != self.local_discr.get() {
            return Err(Refused(your));
        }
        let interval = self.interval();
        self.remote = Remote::of(packet);
        self.remote_admin_down = packet.state == State::AdminDown;
        if packet.final_ && self.poll == Poll::Sent {
            self.poll = Poll::None;
            self.desired_min_tx = self.desired();
            self.required_min_rx = self.told.required_min_rx();
            self.negotiate(now);
        }
        if self.interval() < interval {
            self.hasten(now); // section 6.8.3: a lower rate of ours ends at once
        }
        if let Some(next) = transition(self.state, packet.state) {
            let diagnostic = match next {
                State::Up => Diagnostic::NONE,
                State::Down => Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN,
                State::Init | State::AdminDown => self.diagnostic,
            };
            self.enter(next, diagnostic, now);
        }
        self.last_rx = Some(now);
        self.watch();
        Ok(packet.poll.then(|| Packet { final_: true, ..self.packet() }))
    }

    /// Goes to another state, and tells the other side at once (RFC 5880 section 6.8.7).
    fn enter(&mut self, state: State, diagnostic: Diagnostic, now: Instant) {
        (self.state, self.diagnostic) = (state, diagnostic);
        match state {
            State::Up => {
                // From slow to fast: the other side learns of it by a Poll Sequence.
                self.told = self.policy;
                self.desired_min_tx = self.desired();
                self.required_min_rx = self.told.required_min_rx();
                self.poll = Poll::Due;
            }
            State::AdminDown | State::Down | State::Init => self.negotiate(now),
        }
        self.next_tx = now;
    }

    /// Lets the policy take effect as far as it may yet (RFC 5880 section 6.8.3).
    fn negotiate(&mut self, now: Instant) {
        if self.state != State::Up {
            // Nothing is detected at these timers: no Poll Sequence has to protect them.
            self.told = self.policy;
            self.desired_min_tx = self.desired();
            self.required_min_rx = self.told.required_min_rx();
            self.poll = Poll::None;
            self.watch();
        } else if self.poll == Poll::None && self.told != self.policy {
            self.told = self.policy;
            self.poll = Poll::Due;
            let interval = self.interval();
            self.desired_min_tx = self.desired_min_tx.min(self.desired());
            self.required_min_rx = self.required_min_rx.max(self.told.required_min_rx());
            if self.interval() < interval {
                self.hasten(now);
            }
            self.watch();
        }
    }

    /// What is advertised as bfd.DesiredMinTxInterval.
    fn desired(&self) -> u32 {
        match self.state {
            State::Up => self.told.desired_min_tx(),
            State::AdminDown | State::Down | State::Init => self.told.desired_min_tx().max(SLOW),
        }
    }

    /// The interval has become shorter: no packet is later than it says.
    fn hasten(&mut self, now: Instant) {
        let due = self.last_tx.unwrap_or(now) + self.jittered();
        self.next_tx = self.next_tx.min(due.max(now));
    }

    /// Reckons when the detection time ends.
    fn watch(&mut self) {
        let detection_time = self.detection_time();
        self.expires = self.last_rx.zip(detection_time).map(|(last, time)| last + time);
    }

    /// The transmit interval, shorter by up to a quarter, and by a tenth at least if no packet may be
    /// missed (RFC 5880 section 6.8.7).
    fn jittered(&mut self) -> Duration {
        let most = if self.told.detect_mult() == 1 { 900 } else { 1000 };
        self.interval() * self.rng.u32(750..=most) / 1000
    }

    /// A packet with neither P nor F.
    fn packet(&self) -> Packet {
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: false,
            final_: false,
            control_plane_independent: true,
            demand: false,
            detect_mult: self.told.detect_mult,
            my_discriminator: self.local_discr,
            your_discriminator: self.remote.discr,
            desired_min_tx: self.desired(),
            required_min_rx: self.told.required_min_rx(),
            required_min_echo_rx: 0,
        }
    }
}

#[cfg(test)]
mod tests;
