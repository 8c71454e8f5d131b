//! One neighbor: up to two connections to it, what it is to be told, and what it was told.
//!
//! A single task does all of it, one event after the other, so that nothing happens on a connection
//! between the neighbor's OPEN and the decision whether that connection stays. The first link is the one
//! that connects by itself; links of accepted connections come and go.

mod announce;
mod connect;
mod link;
mod report;

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use crate::adj_rib_out::AdjRibOut;
use crate::backoff::Backoff;
use crate::board::{Board, PeerId};
use crate::fsm::{Agreed, Input, Output, Why};
use crate::message::{Encoder, Message, Offer, keepalive};
use crate::settings::{Neighbor, Route};
use crate::socket;
use crate::status::{Counters, SessionState};

use link::Link;
use report::boottime;

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

    fn count(&mut self, message: &Message) {
        self.counters.messages_in += 1;
        match message {
            Message::Update => self.counters.updates_in += 1,
            Message::Notification(_) => self.counters.notifications_in += 1,
            Message::Open(_) | Message::Keepalive | Message::RouteRefresh(_) => {}
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.board.leave(&self.id);
    }
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
