//! One session with what belongs to it: who it is with, its socket, and what is told of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use api::{BfdSession, BfdState, BfdStatus};
use bfd::{Diagnostic, Session, State};
use nix::net::if_::if_nametoindex;

use super::handover::Kept;
use super::socket::{Receiver, Sender, scoped};
use crate::clock::boot_millis;

/// How long after a failure the sockets are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long the log is spared the next silence: a worker that is late time and again would fill it.
const SPARED: Duration = Duration::from_secs(10);

/// A router.
pub(super) struct Peer {
    pub(super) wanted: BfdSession,
    pub(super) session: Session,
    /// `None` while its address or interface is not there.
    pub(super) sender: Option<Sender>,
    /// Number of the interface that the sockets are on.
    scope: u32,
    /// When the sockets are looked after again.
    retry: Instant,
    /// Whether the log has it that there are no sockets.
    complained: bool,
    since_ms: u64,
    losses: u64,
    held: bool,
    /// When the log was last told that it is held.
    told_held: Option<Instant>,
}

/// What may change of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    state: State,
    diagnostic: Diagnostic,
    since_ms: u64,
    losses: u64,
    interval: Duration,
    detection: Option<Duration>,
    held: bool,
    remote_admin_down: bool,
}

impl Peer {
    pub(super) fn new(wanted: BfdSession, session: Session, since_ms: u64, now: Instant) -> Self {
        Self {
            wanted,
            session,
            sender: None,
            scope: 0,
            retry: now,
            complained: false,
            since_ms,
            losses: 0,
            held: false,
            told_held: None,
        }
    }

    /// What its packets come to, if its interface is there.
    pub(super) fn address(&self) -> SocketAddr {
        scoped(self.wanted.local, bfd::PORT, self.scope)
    }

    /// Opens what is missing of the sockets, if it is time; closes them if the interface is another one.
    pub(super) fn connect(&mut self, receivers: &mut Vec<Receiver>, now: Instant) {
        if self.sender.is_some() && self.wanted.interface.is_none() || now < self.retry {
            return;
        }
        self.retry = now + RETRY;
        let opened = self.open(receivers);
        let (router, remote) = (&self.wanted.router, self.wanted.remote);
        match opened {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(router, %remote, "BFD begins");
                self.complained = false;
            }
            Err(error) => {
                self.sender = None;
                if !std::mem::replace(&mut self.complained, true) {
                    let local = self.wanted.local;
                    tracing::warn!(router, %remote, %local, %error, "no BFD yet: its socket cannot be opened; tried again every second");
                }
            }
        }
    }

    /// Its sockets are of no use any more.
    pub(super) fn disconnect(&mut self) {
        self.sender = None;
        self.retry = Instant::now() + RETRY;
    }

    /// Whether anything had to be opened.
    fn open(&mut self, receivers: &mut Vec<Receiver>) -> std::io::Result<bool> {
        let BfdSession { local, remote, .. } = self.wanted;
        let scope = self.wanted.interface.as_deref().map_or(Ok(0), if_nametoindex)?;
        if self.sender.is_some() && scope == self.scope {
            return Ok(false);
        }
        (self.sender, self.scope) = (None, scope);
        let address = self.address();
        if !receivers.iter().any(|receiver| receiver.address() == address) {
            receivers.push(Receiver::open(address)?);
        }
        self.sender = Some(Sender::open(local, remote, scope)?);
        Ok(true)
    }

    /// Lets the session do something, and notes what that changes.
    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut Session) -> T) -> T {
        let before = self.session.state();
        let result = act(&mut self.session);
        let state = self.session.state();
        if state == before {
            return result;
        }
        self.since_ms = boot_millis();
        let (router, remote) = (&self.wanted.router, self.wanted.remote);
        if before == State::Up {
            self.losses += 1;
            let (reason, theirs) = (self.session.diagnostic(), self.session.remote_diagnostic());
            tracing::warn!(router, %remote, %reason, %theirs, "BFD is down");
        } else if state == State::Up {
            tracing::info!(router, %remote, "BFD is up");
        }
        result
    }

    /// What the next process needs to go on with it, or who has not agreed yet to the timers that are
    /// asked for; nothing if it is not Up.
    pub(super) fn kept(&self) -> Option<Result<Kept, String>> {
        if self.session.state() != State::Up {
            return None;
        }
        let kept = self.session.save().map(|session| Kept {
            wanted: self.wanted.clone(),
            since_ms: self.since_ms,
            session,
        });
        Some(kept.ok_or_else(|| format!("{} {}", self.wanted.router, self.wanted.remote)))
    }

    /// Notes whether it is silent for want of a sign of life.
    pub(super) fn hold(&mut self, held: bool, now: Instant) {
        let begins = held && !self.held;
        self.held = held;
        if begins && self.told_held.is_none_or(|told| now.duration_since(told) > SPARED) {
            self.told_held = Some(now);
            let (router, remote) = (&self.wanted.router, self.wanted.remote);
            tracing::warn!(router, %remote, "BFD falls silent: a worker shows no sign of life");
        }
    }

    pub(super) fn shown(&self) -> Shown {
        Shown {
            state: self.session.state(),
            diagnostic: self.session.diagnostic(),
            since_ms: self.since_ms,
            losses: self.losses,
            interval: self.session.interval(),
            detection: self.session.detection_time(),
            held: self.held,
            remote_admin_down: self.session.remote_admin_down(),
        }
    }

    pub(super) fn status(&self, shown: &Shown) -> BfdStatus {
        let Shown { state, diagnostic, since_ms, losses, interval, detection, held, .. } = *shown;
        let millis = |duration: Duration| duration.as_millis() as u64;
        BfdStatus {
            router: self.wanted.router.clone(),
            remote: self.wanted.remote,
            state: match state {
                State::AdminDown | State::Down => BfdState::Down,
                State::Init => BfdState::Init,
                State::Up => BfdState::Up,
            },
            diagnostic: diagnostic.to_string(),
            since_ms,
            losses,
            interval_ms: millis(interval),
            detection_ms: detection.map_or(0, millis),
            held,
            remote_admin_down: shown.remote_admin_down,
        }
    }
}
