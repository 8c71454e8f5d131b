//! The thread's loop: what has come, what is due, what is told; and a wait until there is more.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api::BfdSession;
use bfd::{Malformed, Packet, Session, TTL};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::handover::{Handover, is_same};
use super::peer::{Peer, Shown};
use super::restart::policy;
use super::socket::{Arrived, Receiver};
use super::{Counter, Shared};
use crate::clock::boot_millis;
use crate::worker;

/// Longest wait: sockets may be due to be opened.
const LONGEST: Duration = Duration::from_secs(1);
/// How long the workers' first signs of life are waited for, in milliseconds.
const FIRST: u64 = 1_000;
/// Datagrams taken from one socket before what is due has its turn.
const MOST: usize = 64;
/// The Length field has 8 bits: no packet is longer.
const ROOM: usize = 256;

pub(super) struct Runner {
    shared: Arc<Shared>,
    workers: Vec<Arc<worker::Shared>>,
    peers: Vec<Peer>,
    receivers: Vec<Receiver>,
    /// What was told last.
    shown: Vec<Shown>,
    /// Sessions of the process before.
    found: Handover,
    /// The silence that routers are asked to bear.
    pause: Option<Duration>,
}

impl Runner {
    pub(super) fn new(
        shared: Arc<Shared>,
        workers: Vec<Arc<worker::Shared>>,
        found: Handover,
    ) -> Self {
        Self {
            shared,
            workers,
            peers: Vec::new(),
            receivers: Vec::new(),
            shown: Vec::new(),
            found,
            pause: None,
        }
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        self.meet();
        while !self.shared.stop.load(Relaxed) {
            let _ = self.shared.wake.read(); // whether or not there was something
            let wanted = self.shared.wanted.lock().take();
            let changed = wanted.is_some();
            if let Some(wanted) = wanted {
                self.apply(wanted, Instant::now());
            }
            self.follow_pause(Instant::now());
            // Before the time is looked at: were this thread kept from running, what has come in the
            // meantime shows that the routers were not silent.
            self.receive();
            self.turn(Instant::now());
            self.show(changed);
            if let Some(pause) = self.pause {
                self.shared.note(pause, self.peers.iter().filter_map(Peer::kept).collect());
            }
            self.wait();
        }
    }

    /// Lets the workers, which start when this thread does, show their first sign of life: that there was
    /// none before means nothing.
    fn meet(&self) {
        let started = boot_millis();
        let is_new = |worker: &Arc<worker::Shared>| worker.heartbeat.load(Relaxed) < started;
        while self.workers.iter().any(is_new)
            && boot_millis() < started + FIRST
            && !self.shared.stop.load(Relaxed)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks routers to bear a silence, or no longer.
    fn follow_pause(&mut self, now: Instant) {
        let pause = self.shared.pause();
        if pause != self.pause {
            self.pause = pause;
            for peer in &mut self.peers {
                peer.session.change(policy(&peer.wanted, pause), now);
            }
        }
    }

    /// These sessions and no others. One that stays keeps its state, whatever its timers.
    fn apply(&mut self, wanted: Vec<BfdSession>, now: Instant) {
        let mut before = std::mem::take(&mut self.peers);
        for wanted in wanted {
            let peer = match before.iter().position(|peer| is_same(&peer.wanted, &wanted)) {
                Some(place) => {
                    let mut peer = before.swap_remove(place);
                    peer.session.change(policy(&wanted, self.pause), now);
                    peer.wanted = wanted;
                    peer
                }
                None => self.begin(wanted, &before, now),
            };
            self.peers.push(peer);
        }
        self.keep_receivers();
    }

    /// A session that is Down, or that the process before was Up with.
    fn begin(&mut self, wanted: BfdSession, before: &[Peer], now: Instant) -> Peer {
        let (policy, seed) = (policy(&wanted, self.pause), fastrand::u64(..));
        if let Some(kept) = self.found.session(&wanted)
            && let Ok(mut session) = Session::resume(&kept.session, seed, now)
        {
            session.change(policy, now);
            tracing::info!(router = wanted.router, remote = %wanted.remote, "BFD goes on");
            return Peer::new(wanted, session, kept.since_ms, now);
        }
        let session = Session::new(policy, self.discriminator(before), seed, now);
        Peer::new(wanted, session, boot_millis(), now)
    }

    /// One that no session has, or has had a moment ago.
    fn discriminator(&self, before: &[Peer]) -> NonZeroU32 {
        let found = self.found.sessions.iter().map(|kept| kept.session.discriminator());
        let used = self.peers.iter().chain(before).map(|peer| peer.session.discriminator());
        let all = || found.clone().chain(used.clone());
        loop {
            if let Some(number) = NonZeroU32::new(fastrand::u32(..))
                && all().all(|other| other != number)
            {
                return number;
            }
        }
    }

    /// Closes the sockets that no session needs.
    fn keep_receivers(&mut self) {
        let peers = &self.peers;
        self.receivers
            .retain(|receiver| peers.iter().any(|peer| peer.address() == receiver.address()));
    }

    /// What has come on every socket. One that fails is closed, and opened anew when it is time.
    fn receive(&mut self) {
        let Self { shared, workers, peers, receivers, .. } = self;
        receivers.retain(|receiver| match drain(shared, workers, peers, receiver) {
            Ok(()) => true,
            Err(error) => {
                let address = receiver.address();
                tracing::warn!(%address, %error, "the BFD socket has failed");
                peers
                    .iter_mut()
                    .filter(|peer| peer.address() == address)
                    .for_each(Peer::disconnect);
                false
            }
        });
    }

    fn turn(&mut self, now: Instant) {
        let Self { shared, workers, peers, receivers, .. } = self;
        for peer in peers.iter_mut() {
            peer.connect(receivers, now);
            if let Some(packet) = peer.with(|session| session.turn(now)) {
                send(shared, workers, peer, &packet);
            }
        }
        self.keep_receivers();
    }

    /// Tells the others, if there is something to tell.
    fn show(&mut self, changed: bool) {
        let shown = self.peers.iter().map(Peer::shown);
        if changed || !shown.clone().eq(self.shown.iter().copied()) {
            self.shown = shown.collect();
            let status = self.peers.iter().zip(&self.shown);
            *self.shared.status.lock() = status.map(|(peer, shown)| peer.status(shown)).collect();
        }
    }

    /// Until a packet comes, something is due, or the main thread has something to say.
    fn wait(&self) {
        let now = Instant::now();
        let next = self.peers.iter().map(|peer| peer.session.next_turn()).min();
        let left = next.map_or(LONGEST, |next| next.saturating_duration_since(now).min(LONGEST));
        let wake = PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN);
        let sockets = self.receivers.iter().map(|r| PollFd::new(r.as_fd(), PollFlags::POLLIN));
        let mut all: Vec<_> = std::iter::once(wake).chain(sockets).collect();
        // Interrupted or not: the loop looks at everything.
        let _ = ppoll(&mut all, Some(TimeSpec::from_duration(left)), None);
    }
}

/// Takes in what has come on a socket.
fn drain(
    shared: &Shared,
    workers: &[Arc<worker::Shared>],
    peers: &mut [Peer],
    receiver: &Receiver,
) -> io::Result<()> {
    let mut payload = [0; ROOM];
    for _ in 0..MOST {
        let Some(arrived) = receiver.receive(&mut payload)? else { break };
        shared.counters.count(Counter::Received);
        match meant(peers, receiver.address(), arrived, &payload[..arrived.len]) {
            Ok((peer, packet)) => {
                let now = Instant::now();
                match peer.with(|session| session.receive(&packet, now)) {
                    Ok(Some(answer)) => send(shared, workers, peer, &answer),
                    Ok(None) => {}
                    Err(_) => shared.counters.count(Counter::Discriminator),
                }
            }
            Err(reason) => shared.counters.count(reason),
        }
    }
    Ok(())
}

/// The packet in a datagram, and the session that it is for.
fn meant<'a>(
    peers: &'a mut [Peer],
    to: SocketAddr,
    arrived: Arrived,
    bytes: &[u8],
) -> Result<(&'a mut Peer, Packet), Counter> {
    if arrived.ttl != Some(TTL) {
        return Err(Counter::Ttl);
    }
    let packet = Packet::parse(bytes).map_err(|malformed| match malformed {
        Malformed::Authenticated => Counter::Authenticated,
        Malformed::Short
        | Malformed::Version(_)
        | Malformed::Length(_)
        | Malformed::DetectMult
        | Malformed::Multipoint
        | Malformed::MyDiscriminator
        | Malformed::YourDiscriminator(_) => Counter::Malformed,
    })?;
    // There is one session with an address, so that the address tells which it is even where the
    // discriminator could; who knows that but sends from elsewhere is nobody's router.
    let mut peers = peers.iter_mut();
    let peer = peers.find(|peer| peer.wanted.remote == arrived.source && peer.address() == to);
    peer.map(|peer| (peer, packet)).ok_or(Counter::Unknown)
}

/// Sends a packet, if every worker is well.
fn send(shared: &Shared, workers: &[Arc<worker::Shared>], peer: &mut Peer, packet: &Packet) {
    let held = !are_fresh(workers, peer.session.remote_detection_time() / 2);
    peer.hold(held, Instant::now());
    let Some(sender) = &peer.sender else { return };
    if held {
        shared.counters.count(Counter::Held);
        return;
    }
    match sender.send(&packet.to_bytes()) {
        Ok(()) => shared.counters.count(Counter::Sent),
        Err(error) => {
            tracing::debug!(router = peer.wanted.router, %error, "BFD packet not sent");
            shared.counters.count(Counter::Unsent);
        }
    }
}

/// Whether every worker runs with a Snapshot, and showed a sign of life less than `limit` ago.
fn are_fresh(workers: &[Arc<worker::Shared>], limit: Duration) -> bool {
    let now = boot_millis();
    workers.iter().all(|worker| {
        let age = Duration::from_millis(now.saturating_sub(worker.heartbeat.load(Relaxed)));
        worker.generation.load(Relaxed) != worker::Shared::NO_GENERATION && age < limit
    })
}
