//! A neighbor: up to two connections until one of them stays, and what was sent over it.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netgauze_iana::address_family::AddressType;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::collision::{self, Survivor};
use crate::fault::Fault;
use crate::frame::{Open, Received};
use crate::fsm::{Fsm, Input, Output, State, Terms};
use crate::link::{Heard, Link};
use crate::message::{self, Restart, Style};
use crate::settings::{Attributes, Families, Neighbor, Route};
use crate::socket;
use crate::status::{Board, SessionStatus, publish};

/// Messages of both connections that wait to be looked at.
const HEARD: usize = 16;

/// What the speaker wants of a neighbor.
#[derive(Debug)]
pub(crate) enum Order {
    /// It shall have these, and if `settled`, it may know that these are all.
    Routes { routes: Arc<[Route]>, settled: bool },
    /// The router has opened a connection.
    Accepted(TcpStream),
    /// Tell when everything so far is written.
    Flush(oneshot::Sender<()>),
    /// The end: everything is withdrawn, and the session ended for this reason.
    Leave(Fault),
    /// The end without a word: the router keeps what it has.
    Stay,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

/// One of the two.
struct Connection {
    fsm: Fsm,
    link: Option<Link>,
    dialing: Option<AbortHandle>,
    /// Messages received, and how many when it came up.
    received: u64,
    received_at_up: u64,
}

pub(crate) struct Peer {
    neighbor: Arc<Neighbor>,
    board: Board,
    status: SessionStatus,
    ours: Connection,
    theirs: Connection,
    /// The side that is established.
    up: Option<Side>,
    wanted: BTreeMap<IpNet, Arc<Attributes>>,
    sent: BTreeMap<IpNet, Arc<Attributes>>,
    settled: bool,
    /// End-of-RIB was sent over this connection.
    complete: bool,
    /// What OPENs say until the first End-of-RIB.
    restart: Restart,
    next_link: u64,
    hear: mpsc::Sender<Heard>,
    dialed: mpsc::Sender<std::io::Result<TcpStream>>,
    /// Sessions in a row that fell by the hold timer without a word.
    silent: u32,
}

/// Runs a neighbor until it is told to end.
pub(crate) async fn run(
    neighbor: Arc<Neighbor>,
    restart: Restart,
    board: Board,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let (hear, mut heard) = mpsc::channel(HEARD);
    let (dialed, mut dials) = mpsc::channel(1);
    let mut peer = Peer::new(neighbor, restart, board, hear, dialed);
    peer.input(Side::Ours, Input::Start);
    loop {
        publish(&peer.board, &peer.status);
        let due = [&peer.ours, &peer.theirs].iter().filter_map(|side| side.fsm.next()).min();
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(order) => if !peer.order(order) { break },
                None => break,
            },
            Some(Heard { link, input }) = heard.recv() => peer.heard(link, input),
            Some(outcome) = dials.recv() => peer.dialed(outcome),
            () = until(due) => {
                peer.input(Side::Ours, Input::Time);
                peer.input(Side::Theirs, Input::Time);
            }
        }
    }
    publish(&peer.board, &peer.status);
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

impl Connection {
    fn new(terms: Terms) -> Self {
        Self { fsm: Fsm::new(terms), link: None, dialing: None, received: 0, received_at_up: 0 }
    }
}

fn terms(neighbor: &Neighbor) -> Terms {
    let &Neighbor { passive, hold_time, connect_retry, local_as, peer_as, router_id, .. } =
        neighbor;
    Terms { passive, hold_time, connect_retry, local_as, peer_as, router_id }
}

impl Peer {
    fn new(
        neighbor: Arc<Neighbor>,
        restart: Restart,
        board: Board,
        hear: mpsc::Sender<Heard>,
        dialed: mpsc::Sender<std::io::Result<TcpStream>>,
    ) -> Self {
        let terms = terms(&neighbor);
        Self {
            status: SessionStatus::new(&neighbor),
            ours: Connection::new(terms),
            theirs: Connection::new(Terms { passive: true, ..terms }),
            neighbor,
            board,
            up: None,
            wanted: BTreeMap::new(),
            sent: BTreeMap::new(),
            settled: false,
            complete: false,
            restart,
            next_link: 0,
            hear,
            dialed,
            silent: 0,
        }
    }

    fn side(&mut self, side: Side) -> &mut Connection {
        match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        }
    }

    /// Does what is wanted; whether it goes on after that.
    fn order(&mut self, order: Order) -> bool {
        match order {
            Order::Routes { routes, settled } => {
                let route = |route: &Route| (route.prefix, route.attributes.clone());
                self.wanted = routes.iter().map(route).collect();
                self.settled |= settled;
                self.advertise();
            }
            Order::Accepted(stream) => self.accept(stream),
            Order::Flush(done) => match self.up.and_then(|up| self.side(up).link.as_ref()) {
                Some(link) => link.flush(done),
                None => _ = done.send(()),
            },
            Order::Leave(fault) => {
                self.wanted.clear();
                self.advertise();
                self.input(Side::Ours, Input::Stop(fault.clone()));
                self.input(Side::Theirs, Input::Stop(fault));
                return false;
            }
            Order::Stay => {
                self.ours.link = None;
                self.theirs.link = None;
                return false;
            }
        }
        true
    }

    fn accept(&mut self, stream: TcpStream) {
        let established = self.up.map(|up| self.side(up).fsm.open().cloned());
        // A router that was restarted knows nothing of the session that is still up here: what was
        // agreed of graceful restart lets its new one replace it (RFC 4724, 4.2).
        let refused = established.is_some_and(|open| !open.is_some_and(|o| o.graceful_restart));
        if refused || self.theirs.fsm.state() != State::Idle && self.up != Some(Side::Theirs) {
            let link = self.link(stream);
            // Whatever becomes of it, the connection ends here.
            let _ = link.send(Fault::REJECTED.message());
            return;
        }
        if let Err(error) = socket::accepted(&stream, &self.neighbor) {
            tracing::warn!(router = self.neighbor.name, %error, "a connection was refused");
            return;
        }
        if self.up == Some(Side::Theirs) {
            // Both are of the router's making: the one that is up makes room as if it were ours.
            mem::swap(&mut self.ours, &mut self.theirs);
            self.up = Some(Side::Ours);
            let terms = terms(&self.neighbor);
            self.ours.fsm.set_terms(terms);
            self.theirs = Connection::new(Terms { passive: true, ..terms });
        }
        self.input(Side::Theirs, Input::Start);
        self.theirs.link = Some(self.link(stream));
        self.input(Side::Theirs, Input::Connected);
    }

    fn link(&mut self, stream: TcpStream) -> Link {
        self.next_link += 1;
        Link::new(self.next_link, stream, self.neighbor.hold_time, self.hear.clone())
    }

    fn dialed(&mut self, outcome: std::io::Result<TcpStream>) {
        self.ours.dialing = None;
        if self.ours.fsm.state() != State::Connect {
            return;
        }
        match outcome {
            Ok(stream) => {
                self.ours.link = Some(self.link(stream));
                self.input(Side::Ours, Input::Connected);
            }
            Err(error) => self.input(Side::Ours, Input::Closed(error.to_string())),
        }
    }

    fn heard(&mut self, link: u64, input: Input) {
        let is = |side: &Connection| side.link.as_ref().is_some_and(|own| own.id == link);
        let side = match (is(&self.ours), is(&self.theirs)) {
            (true, _) => Side::Ours,
            (_, true) => Side::Theirs,
            // Of a connection that was given up in between.
            (false, false) => return,
        };
        if let Input::Received(received) = &input {
            self.status.messages_in += 1;
            self.status.updates_in += u64::from(*received == Received::Update);
            let is_notification = matches!(received, Received::Notification { .. });
            self.status.notifications_in += u64::from(is_notification);
            self.side(side).received += 1;
        }
        self.input(side, input);
    }

    fn input(&mut self, side: Side, input: Input) {
        let outputs = self.side(side).fsm.handle(input, Instant::now());
        for output in outputs {
            self.output(side, output);
        }
        self.show();
    }

    fn output(&mut self, side: Side, output: Output) {
        match output {
            Output::Dial => self.dial(),
            Output::Hangup => {
                let connection = self.side(side);
                connection.link = None;
                if let Some(dialing) = connection.dialing.take() {
                    dialing.abort();
                }
            }
            Output::SendOpen => {
                let open = message::open(&self.neighbor, self.restart);
                self.send(side, open);
            }
            Output::SendKeepalive => self.send(side, message::keepalive()),
            Output::SendNotification(fault) => {
                self.status.notifications_out += 1;
                self.send(side, fault.message());
            }
            Output::Opened(open) => self.opened(side, &open),
            Output::Up => self.came_up(side),
            Output::Down(why) => self.went_down(side, why),
            Output::Refresh(Received::Refresh(Some(family))) => self.refresh(family),
            Output::Refresh(_) => {}
        }
    }

    fn send(&mut self, side: Side, message: Vec<u8>) {
        self.status.messages_out += 1;
        let Some(link) = &self.side(side).link else { return };
        if let Err(fault) = link.send(message) {
            self.input(side, Input::Malformed(fault));
        }
    }

    fn dial(&mut self) {
        let (neighbor, dialed) = (self.neighbor.clone(), self.dialed.clone());
        let dialing = tokio::spawn(async move {
            let stream = async {
                let (socket, to) = socket::dialing(&neighbor)?;
                socket.connect(to).await
            };
            let _ = dialed.send(stream.await).await;
        });
        self.ours.dialing = Some(dialing.abort_handle());
    }

    /// The router's OPEN is good: which connection goes on?
    fn opened(&mut self, side: Side, open: &Open) {
        let other = match side {
            Side::Ours => Side::Theirs,
            Side::Theirs => Side::Ours,
        };
        let ends = collision::Ends {
            own: (self.neighbor.router_id, self.neighbor.local_as),
            peer: (open.id, self.neighbor.peer_as),
        };
        match collision::survivor(side, self.side(other).fsm.state(), ends) {
            Survivor::This => {}
            Survivor::ThisAfterRestart => {
                // The router does not know the old one any more: nothing is said over it.
                self.side(other).link = None;
                self.input(other, Input::Closed("the router was restarted".into()));
            }
            Survivor::ThisOverOther => self.input(other, Input::Stop(Fault::COLLISION)),
            Survivor::Other => {
                self.input(side, Input::Stop(Fault::COLLISION));
                return;
            }
        }
        self.input(side, Input::Keep);
    }

    fn came_up(&mut self, side: Side) {
        let other = if side == Side::Ours { Side::Theirs } else { Side::Ours };
        self.up = Some(side);
        // It rests until this one has ended, even if it only waits for its next try.
        self.input(other, Input::Stop(Fault::COLLISION));
        let connection = self.side(side);
        connection.received_at_up = connection.received;
        self.status.established += 1;
        self.status.why = None;
        self.sent.clear();
        self.complete = false;
        tracing::info!(router = self.neighbor.name, address = %self.neighbor.address, "BGP session is up");
        self.show();
        self.advertise();
    }

    fn went_down(&mut self, side: Side, why: String) {
        let was_up = self.up == Some(side);
        let why = self.hint(side, was_up, why);
        if was_up {
            self.up = None;
            self.status.dropped += 1;
            self.sent.clear();
            self.complete = false;
            tracing::warn!(
                router = self.neighbor.name, address = %self.neighbor.address, why, "BGP session is down"
            );
        }
        if self.up.is_none() {
            self.status.why = Some(why);
        }
        if side == Side::Theirs {
            // The next one is a new one. Our side rested while this one was ahead.
            self.theirs = Connection::new(Terms { passive: true, ..terms(&self.neighbor) });
            if self.up.is_none() {
                self.input(Side::Ours, Input::Start);
            }
        }
    }

    /// What an operator should look at.
    fn hint(&mut self, side: Side, was_up: bool, why: String) -> String {
        let signed = self.neighbor.password.is_some();
        let unanswered = why.contains("took too long") || why.contains("timed out");
        if signed && unanswered && !was_up {
            return format!("{why}: does the password match?");
        }
        let connection = self.side(side);
        let mute = connection.received == connection.received_at_up;
        let silent = was_up && mute && why == Fault::HOLD_TIMER.to_string();
        self.silent = if silent { self.silent + 1 } else { 0 };
        if self.silent > 1 && !self.neighbor.ttl_security {
            return format!("{why}, and nothing ever comes: does the router have TTL security?");
        }
        why
    }

    fn style(&self) -> Option<(Side, bool, Families)> {
        let up = self.up?;
        let fsm = match up {
            Side::Ours => &self.ours.fsm,
            Side::Theirs => &self.theirs.fsm,
        };
        let open = fsm.open()?;
        let Families { ipv4, ipv6 } = self.neighbor.families;
        let families = Families { ipv4: ipv4 && open.ipv4, ipv6: ipv6 && open.ipv6 };
        let over_v6 = self.neighbor.extended_next_hop && open.extended_next_hop;
        // Where both can be had, the next hop is of the session's own family.
        let over_v6 = over_v6 && self.neighbor.address.is_ipv6();
        Some((up, over_v6, families))
    }

    /// Sends the difference between what the router has and what it shall have, withdrawals first; and
    /// that this was all, once it is.
    fn advertise(&mut self) {
        let Some((up, over_v6, families)) = self.style() else { return };
        let neighbor = self.neighbor.clone();
        let style = Style { neighbor: &neighbor, over_v6 };
        let speaks = |prefix: &IpNet| match prefix {
            IpNet::V4(_) => families.ipv4,
            IpNet::V6(_) => families.ipv6,
        };
        let sendable = |prefix: &IpNet| speaks(prefix) && style.can(prefix);
        let gone: Vec<IpNet> =
            self.sent.keys().filter(|prefix| !self.wanted.contains_key(prefix)).copied().collect();
        let news: Vec<Route> = self
            .wanted
            .iter()
            .filter(|(prefix, attributes)| {
                sendable(prefix) && self.sent.get(prefix) != Some(attributes)
            })
            .map(|(&prefix, attributes)| Route { prefix, attributes: attributes.clone() })
            .collect();
        let mut updates = style.withdraw(&gone);
        updates.extend(style.announce(news.iter()));
        for prefix in &gone {
            self.sent.remove(prefix);
        }
        self.sent.extend(news.into_iter().map(|route| (route.prefix, route.attributes)));
        if self.settled && !mem::replace(&mut self.complete, self.settled) {
            updates.extend(message::end_of_rib(families));
            // From here on this is an ordinary process, whose forwarder is at work.
            self.restart = Restart { restarted: false, preserved: true };
        }
        self.status.updates_out += updates.len() as u64;
        for update in updates {
            self.send(up, update);
        }
        self.show();
    }

    /// Everything again, of a family (RFC 2918).
    fn refresh(&mut self, family: AddressType) {
        let v6 = match family {
            AddressType::Ipv4Unicast => false,
            AddressType::Ipv6Unicast => true,
            _ => return,
        };
        self.sent.retain(|prefix, _| matches!(prefix, IpNet::V6(_)) != v6);
        self.advertise();
    }

    /// Brings the status up to date.
    fn show(&mut self) {
        let furthest = self.ours.fsm.state().max(self.theirs.fsm.state());
        self.status.turn(furthest);
        let ahead = if self.theirs.fsm.state() > self.ours.fsm.state() {
            &self.theirs.fsm
        } else {
            &self.ours.fsm
        };
        let agreed = ahead.agreed();
        self.status.hold_time = agreed.map(|(hold, _)| hold);
        self.status.keepalive = agreed.map(|(_, keepalive)| keepalive);
        if let Some(open) = ahead.open() {
            self.status.peer_id = Some(open.id);
            self.status.graceful_restart =
                open.graceful_restart && !self.neighbor.restart_time.is_zero();
        }
        if let Some((_, over_v6, families)) = self.style() {
            self.status.families = families;
            self.status.extended_next_hop = over_v6;
        }
        let same = self.status.announced.len() == self.sent.len()
            && self.status.announced.iter().zip(&self.sent).all(|(route, (prefix, attributes))| {
                route.prefix == *prefix && route.attributes == *attributes
            });
        if !same {
            let route = |(&prefix, attributes): (&IpNet, &Arc<Attributes>)| Route {
                prefix,
                attributes: attributes.clone(),
            };
            self.status.announced = self.sent.iter().map(route).collect();
        }
    }
}

/// How long the whole of a neighbor's end may take.
pub(crate) const END: Duration = Duration::from_secs(2);
