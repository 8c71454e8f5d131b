//! One neighbor: up to two connections to it, what it is to be told, and what it was told.
//!
//! A single task does all of it, one event after the other, so that nothing happens on a connection
//! between the neighbor's OPEN and the decision whether that connection stays. The first link is the one
//! that connects by itself; links of accepted connections come and go.

mod link;

use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use crate::adj_rib_out::AdjRibOut;
use crate::backoff::Backoff;
use crate::board::{Board, PeerId};
use crate::collision::{self, Direction, Rank, Verdict};
use crate::fsm::{Agreed, Input, Output, Why};
use crate::message::{Encoder, Message, Notification, Offer, keepalive};
use crate::session::Session;
use crate::settings::{Neighbor, Route};
use crate::socket;
use crate::status::{Counters, SessionState, SessionStatus};

use link::Link;

/// The link that connects by itself.
const OWN: usize = 0;
/// Most connections at once: the one that is there, and the one that may replace it.
const MAX_SESSIONS: usize = 2;

/// What a peer has to do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Tell the neighbor these routes.
    Serve {
        /// Tells orders apart.
        generation: u64,
        /// All of them.
        routes: Arc<[Route]>,
        /// They are known to be complete.
        settled: bool,
    },
    /// End.
    End(Ending),
}

/// How a peer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Withdraws everything, then sends Cease with this subcode.
    Withdraw(u8),
    /// Sends Cease with this subcode.
    Cease(u8),
    /// Sends nothing: the neighbor keeps the routes, if that was agreed on (RFC 4724).
    Silent,
}

/// What is true of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    /// It was there before, and its routes with it.
    pub restarted: bool,
    /// The dataplane forwarded on meanwhile.
    pub forwarding: bool,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// A neighbor's task.
pub(crate) struct Peer {
    id: PeerId,
    neighbor: Arc<Neighbor>,
    process: Process,
    board: Arc<Board>,
    orders: watch::Receiver<Order>,
    incoming: mpsc::Receiver<TcpStream>,
    links: Vec<Link>,
    connecting: Option<Connecting>,
    /// Connections that say their last words.
    closing: JoinSet<()>,
    pauses: Backoff,
    counters: Counters,
    established: u64,
    dropped: u64,
    why: Option<Why>,
    /// How often in a row the hold timer was the reason.
    silences: u32,
    shown: (SessionState, Duration),
    announced: Arc<[Route]>,
    withheld: usize,
}

impl Peer {
    pub(crate) fn new(
        id: PeerId,
        neighbor: Arc<Neighbor>,
        process: Process,
        board: Arc<Board>,
        orders: watch::Receiver<Order>,
        incoming: mpsc::Receiver<TcpStream>,
    ) -> Self {
        let mut random = fastrand::Rng::new();
        let own = Link::own(Arc::clone(&neighbor), random.fork());
        Self {
            id,
            process,
            board,
            orders,
            incoming,
            links: vec![own],
            connecting: None,
            closing: JoinSet::new(),
            pauses: Backoff::new(neighbor.connect_retry, random),
            counters: Counters::default(),
            established: 0,
            dropped: 0,
            why: None,
            silences: 0,
            shown: (SessionState::Idle, boottime()),
            announced: [].into(),
            withheld: 0,
            neighbor,
        }
    }

    /// Runs until it is ordered to end, or nobody is left who could.
    pub(crate) async fn run(mut self) {
        self.feed(OWN, Input::Start);
        loop {
            let order = self.orders.borrow_and_update().clone();
            match order {
                Order::Serve { generation, routes, settled } => {
                    self.tell(generation, &routes, settled);
                }
                Order::End(ending) => return self.end(ending).await,
            }
            self.tidy();
            self.show();

            let next = self.next_expiry();
            tokio::select! {
                biased;
                changed = self.orders.changed() => if changed.is_err() {
                    return self.end(Ending::Silent).await;
                },
                () = until(next) => self.expire(),
                Some(stream) = self.incoming.recv() => self.accept(stream),
                connected = attempt(&mut self.connecting) => self.connected(connected),
                index = ready(&self.links) => self.serve(index),
                Some(_) = self.closing.join_next(), if !self.closing.is_empty() => {}
            }
        }
    }

    /// Gives a link's machine what happened, and does what comes of it.
    fn feed(&mut self, index: usize, input: Input) {
        let before = self.links[index].fsm.state();
        let outputs = self.links[index].fsm.handle(input, Instant::now(), &mut self.pauses);
        let after = self.links[index].fsm.state();
        if before != after {
            let direction = self.links[index].direction;
            debug!(neighbor = self.neighbor.name, ?direction, "{before} -> {after}");
        }
        for output in outputs {
            match output {
                Output::Connect => {
                    let neighbor = Arc::clone(&self.neighbor);
                    self.connecting =
                        Some(Box::pin(async move { socket::connect(&neighbor).await }));
                }
                Output::SendOpen => {
                    let Process { restarted, forwarding } = self.process;
                    let offer = Offer { neighbor: &self.neighbor, restarted, forwarding };
                    let bytes = offer.encode();
                    self.send(index, &bytes);
                }
                Output::SendKeepalive => self.send(index, &keepalive()),
                Output::Notify(notification) => {
                    self.counters.notifications_out += 1;
                    self.send(index, &notification.encode());
                }
                Output::Disconnect => {
                    if let Some(session) = self.links[index].session.take() {
                        self.closing.spawn(session.close());
                    } else if index == OWN {
                        self.connecting = None;
                    }
                }
                Output::Refresh(families) => {
                    if let Some(rib) = &mut self.links[index].rib {
                        rib.refresh(families);
                    }
                }
                Output::Up(agreed) => self.up(index, &agreed),
                Output::Down(why) => self.down(index, why),
            }
        }
    }

    /// Queues a message, and writes it if the kernel takes it.
    fn send(&mut self, index: usize, message: &[u8]) {
        let now = Instant::now();
        if let Some(session) = &mut self.links[index].session {
            session.send(message, now);
            self.counters.messages_out += 1;
            // An error shows again when the socket is read.
            let _ = session.flush(now);
        }
    }

    fn up(&mut self, index: usize, agreed: &Agreed) {
        let Agreed { id, hold_time, families, .. } = *agreed;
        info!(neighbor = self.neighbor.name, %id, ?hold_time, %families, "session is up");
        let encoder = Encoder::new(
            &self.neighbor,
            agreed.families,
            agreed.four_octet_as,
            agreed.extended_next_hop,
        );
        self.links[index].begin(AdjRibOut::new(encoder));
        self.established += 1;
        self.why = None;
        // A second connection stays until its OPEN says which of both it should be.
        if index != OWN && self.links[OWN].session.is_none() {
            self.feed(OWN, Input::Dump);
        }
    }

    fn down(&mut self, index: usize, why: Why) {
        let link = &mut self.links[index];
        let established = link.rib.take().is_some();
        self.silences = match why {
            Why::HoldTimer { .. } => self.silences.saturating_add(1),
            Why::ConnectTimeout { .. }
            | Why::Connect(_)
            | Why::Closed
            | Why::Lost(_)
            | Why::SendHoldTimer
            | Why::Notified(_)
            | Why::Refused(_)
            | Why::Malformed(_)
            | Why::Unexpected { .. }
            | Why::Replaced
            | Why::Collision
            | Why::Stopped => 0,
        };
        let name = &self.neighbor.name;
        if established {
            self.dropped += 1;
            warn!(neighbor = name, %why, "session is down");
        } else if self.why.as_ref() != Some(&why) {
            info!(neighbor = name, %why, "no session");
        } else {
            debug!(neighbor = name, %why, "no session, as before");
        }
        // What a session that is up says of others is none of anybody's business.
        if self.links.iter().all(|link| link.rib.is_none()) {
            self.why = Some(why);
        }
    }

    /// Drops links that have ended, and lets the own one go on once no other is left.
    fn tidy(&mut self) {
        let mut index = 0;
        self.links.retain(|link| {
            index += 1;
            index == OWN + 1 || link.session.is_some()
        });
        let own = &self.links[OWN].fsm;
        if self.links.len() == 1 && own.state() == SessionState::Idle && own.next_expiry().is_none()
        {
            self.feed(OWN, Input::Resume);
        }
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.links.iter().filter_map(Link::next_expiry).min()
    }

    fn expire(&mut self) {
        for index in 0..self.links.len() {
            // A process that was held up reads what has come meanwhile before it complains of silence.
            let now = Instant::now();
            if matches!(self.links[index].fsm.expired(now), Some(Input::HoldExpires)) {
                self.serve(index);
            }
            while let Some(input) = self.links[index].fsm.expired(Instant::now()) {
                self.feed(index, input);
            }
            if self.links[index].is_stalled(Instant::now()) {
                self.feed(index, Input::SendHoldExpires);
            }
        }
    }

    /// Takes a connection that the neighbor opened.
    fn accept(&mut self, stream: TcpStream) {
        if let Err(error) = socket::adopt(&stream, &self.neighbor) {
            warn!(neighbor = self.neighbor.name, %error, "connection cannot be taken");
            return;
        }
        let sessions = |links: &[Link]| links.iter().filter(|l| l.session.is_some()).count();
        if sessions(&self.links) >= MAX_SESSIONS {
            // One of theirs that never got to an OPEN is one that they have given up.
            let stale = |link: &Link| {
                link.direction == Direction::Incoming && link.fsm.state() == SessionState::OpenSent
            };
            let Some(index) = self.links.iter().position(stale) else {
                debug!(neighbor = self.neighbor.name, "a third connection is refused");
                return;
            };
            self.feed(index, Input::Dump);
            self.tidy();
        }
        let mut link = Link::accepted(Arc::clone(&self.neighbor), fastrand::Rng::new());
        link.session = Some(Session::new(stream, Instant::now()));
        self.links.push(link);
        let index = self.links.len() - 1;
        self.feed(index, Input::Start);
        self.feed(index, Input::Connected);
    }

    /// What came of the attempt to connect.
    fn connected(&mut self, connected: io::Result<TcpStream>) {
        self.connecting = None;
        match connected {
            Ok(stream) => {
                let now = Instant::now();
                (self.links[OWN].session, self.links[OWN].opened) =
                    (Some(Session::new(stream, now)), now);
                self.feed(OWN, Input::Connected);
            }
            Err(error) => {
                let why = if error.kind() == io::ErrorKind::TimedOut {
                    Why::ConnectTimeout { password: self.neighbor.password.is_some() }
                } else {
                    Why::Connect(plain(&error))
                };
                self.feed(OWN, Input::ConnectionFailed(why));
            }
        }
    }

    /// Writes what waits and reads what has come.
    fn serve(&mut self, index: usize) {
        let Some(session) = &mut self.links[index].session else { return };
        let result = session.read();
        let flushed = session.flush(Instant::now());
        self.take_messages(index);
        // Their last words come before the end that they announce.
        let why = match (result, flushed) {
            (Ok(true), Ok(())) => return,
            (Ok(false), _) => Why::Closed,
            (Err(error), _) | (_, Err(error)) => Why::Lost(plain(&error)),
        };
        if self.links[index].session.is_some() {
            self.feed(index, Input::ConnectionFailed(why));
        }
    }

    /// Looks at each message that was read, until the connection has ended.
    fn take_messages(&mut self, index: usize) {
        while let Some(session) = &mut self.links[index].session {
            match session.next_message() {
                Ok(Some(message)) => {
                    self.count(&message);
                    self.take(index, message);
                }
                Ok(None) => return,
                Err(malformed) => self.feed(index, Input::Malformed(malformed)),
            }
        }
    }

    fn take(&mut self, index: usize, message: Message) {
        if self.links[index].fsm.state() == SessionState::OpenSent
            && let Some(agreed) = self.links[index].fsm.check(&message)
            && !self.settle(index, &agreed)
        {
            return;
        }
        self.feed(index, Input::Received(message));
    }

    /// Settles collisions of a connection on which an acceptable OPEN has come. Whether it stays.
    fn settle(&mut self, index: usize, agreed: &Agreed) -> bool {
        let ours = Rank { id: self.neighbor.router_id, asn: self.neighbor.local_as };
        let theirs = Rank { id: agreed.id, asn: agreed.asn };
        for other in (0..self.links.len()).filter(|&other| other != index) {
            match collision::settle(
                self.links[index].direction,
                self.links[other].as_other(self.links[index].opened),
                ours,
                theirs,
            ) {
                Verdict::Both => {}
                Verdict::CloseNew => {
                    self.feed(index, Input::Dump);
                    return false;
                }
                Verdict::CloseOther => self.feed(other, Input::Dump),
                Verdict::Replace => {
                    // Nobody is left at the other end who could read.
                    self.links[other].session = None;
                    self.feed(other, Input::ConnectionFailed(Why::Replaced));
                }
            }
        }
        true
    }

    fn count(&mut self, message: &Message) {
        self.counters.messages_in += 1;
        match message {
            Message::Update => self.counters.updates_in += 1,
            Message::Notification(_) => self.counters.notifications_in += 1,
            Message::Open(_) | Message::Keepalive | Message::RouteRefresh(_) => {}
        }
    }

    /// Brings established sessions up to date.
    fn tell(&mut self, generation: u64, routes: &[Route], settled: bool) {
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            if !link.outdated(generation) {
                continue;
            }
            let (Some(rib), Some(session)) = (&mut link.rib, &link.session) else { continue };
            if !session.is_flushed() {
                continue;
            }
            let changes = rib.change_to(routes);
            link.told = Some(generation);
            if !changes.updates.is_empty() {
                self.announced = rib.routes();
            }
            self.withheld = changes.withheld;
            let mut updates = changes.updates;
            if settled && !link.end_of_rib {
                link.end_of_rib = true;
                // From now on a loss of this session is no part of the restart any more.
                self.process.restarted = false;
                let agreed = link.fsm.agreed();
                if let Some(agreed) = agreed.filter(|agreed| agreed.end_of_rib) {
                    updates.extend(Encoder::end_of_rib(agreed.families));
                }
            }
            self.send_updates(index, &updates);
        }
        let behind = |link: &Link| {
            link.rib.is_some()
                && (link.outdated(generation)
                    || link.session.as_ref().is_some_and(|session| !session.is_flushed()))
        };
        if !self.links.iter().any(behind) {
            self.board.set_flushed(&self.id, generation);
        }
    }

    fn send_updates(&mut self, index: usize, updates: &[Vec<u8>]) {
        if !updates.is_empty() {
            self.counters.messages_out += updates.len() as u64 - 1;
            self.counters.updates_out += updates.len() as u64;
            self.send(index, &updates.concat());
        }
    }

    async fn end(mut self, ending: Ending) {
        self.board.set_status(&self.id, None);
        for index in 0..self.links.len() {
            match ending {
                Ending::Silent => self.links[index].session = None,
                Ending::Withdraw(subcode) => {
                    if let Some(rib) = &mut self.links[index].rib {
                        let withdrawals = rib.change_to(&[]).updates;
                        self.send_updates(index, &withdrawals);
                    }
                    self.feed(index, Input::Stop(Notification::cease(subcode)));
                }
                Ending::Cease(subcode) => {
                    self.feed(index, Input::Stop(Notification::cease(subcode)));
                }
            }
        }
        match ending {
            Ending::Silent => self.closing.abort_all(),
            Ending::Withdraw(_) | Ending::Cease(_) => {}
        }
        while self.closing.join_next().await.is_some() {}
    }

    /// Writes the status down.
    fn show(&mut self) {
        let furthest = self.links.iter().max_by_key(|link| link.fsm.state());
        let link = furthest.expect("the own link is always there");
        let state = link.fsm.state();
        if self.shown.0 != state {
            self.shown = (state, boottime());
        }
        if link.rib.is_none() && !self.announced.is_empty() {
            self.announced = [].into();
        }
        let agreed = link.fsm.agreed();
        let established = state == SessionState::Established;
        let status = SessionStatus {
            neighbor: self.neighbor.name.clone(),
            address: self.neighbor.address,
            state,
            since: self.shown.1,
            why: if established { None } else { self.why() },
            peer_as: self.neighbor.peer_as,
            peer_id: agreed.map(|agreed| agreed.id).filter(|id| *id != Ipv4Addr::UNSPECIFIED),
            hold_time: agreed.map(|agreed| agreed.hold_time),
            keepalive_time: agreed.map(Agreed::keepalive_time),
            families: agreed.map(|agreed| agreed.families).unwrap_or_default(),
            graceful_restart: agreed.is_some_and(|agreed| agreed.graceful_restart),
            route_refresh: agreed.is_some_and(|agreed| agreed.route_refresh),
            extended_next_hop: agreed.is_some_and(|agreed| agreed.extended_next_hop),
            established: self.established,
            dropped: self.dropped,
            counters: self.counters,
            announced: Arc::clone(&self.announced),
            withheld: if established { self.withheld } else { 0 },
        };
        self.board.set_status(&self.id, Some(status));
    }

    fn why(&self) -> Option<String> {
        let why = self.why.as_ref()?;
        // Their packets come and ours do not arrive: a router with TTL security drops them unseen.
        if self.silences >= 2 && !self.neighbor.ttl_security {
            return Some(format!("{why}, again and again: does the router want TTL security?"));
        }
        Some(why.to_string())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.board.leave(&self.id);
    }
}

/// CLOCK_BOOTTIME, which counts suspension.
fn boottime() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since 2.6.39").into()
}

/// An error of the system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => pending().await,
    }
}

async fn attempt(connecting: &mut Option<Connecting>) -> io::Result<TcpStream> {
    match connecting {
        Some(connecting) => connecting.await,
        None => pending().await,
    }
}

/// The link that has something to read or room to write.
async fn ready(links: &[Link]) -> usize {
    poll_fn(|context| {
        for (index, link) in links.iter().enumerate() {
            if link.session.as_ref().is_some_and(|s| s.poll_ready(context).is_ready()) {
                return Poll::Ready(index);
            }
        }
        Poll::Pending
    })
    .await
}
