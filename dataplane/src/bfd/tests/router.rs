use super::super::socket::{Receiver, Sender};
use super::*;

/// The other end.
pub(super) struct Router {
    pub(super) session: bfd::Session,
    sender: Sender,
    receiver: Receiver,
    received: u64,
    polls: u64,
    last_sent: Instant,
    admin_down: bool,
}

impl Router {
    /// A router of the node at `local`.
    pub(super) fn new([local, remote]: [IpAddr; 2], interval: u32, multiplier: u8) -> Self {
        let policy = bfd::Policy::new(interval * MS, multiplier).unwrap();
        let now = Instant::now();
        Self {
            session: bfd::Session::new(policy, 77.try_into().unwrap(), 1, now),
            sender: Sender::open(remote, local, 0).unwrap(),
            receiver: Receiver::open((remote, bfd::PORT).into()).unwrap(),
            received: 0,
            polls: 0,
            last_sent: now,
            admin_down: false,
        }
    }

    /// Packets that came.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Those of them that wanted an answer.
    pub(super) fn polls(&self) -> u64 {
        self.polls
    }

    /// Up, and the Poll Sequence that this side began with is over.
    pub(super) fn is_settled(&self) -> bool {
        self.session.state() == bfd::State::Up && !self.session.is_polling()
    }

    pub(super) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(started.elapsed() < DEADLINE, "{:?}", self.session);
            self.turn();
            thread::sleep(MS);
        }
    }

    /// Speaks for so long. When it last did.
    pub(super) fn run_for(&mut self, span: Duration) -> Instant {
        let started = Instant::now();
        while started.elapsed() < span {
            self.turn();
            thread::sleep(MS);
        }
        self.last_sent
    }

    fn turn(&mut self) {
        let mut payload = [0; 256];
        while let Some(arrived) = self.receiver.receive(&mut payload).unwrap() {
            assert_eq!((arrived.len, arrived.ttl), (bfd::LEN, Some(bfd::TTL)));
            let packet = bfd::Packet::parse(&payload[..arrived.len]).unwrap();
            self.received += 1;
            self.polls += u64::from(packet.poll);
            if let Ok(Some(answer)) = self.session.receive(&packet, Instant::now()) {
                self.send(&answer);
            }
        }
        if let Some(packet) = self.session.turn(Instant::now()) {
            self.send(&packet);
        }
    }

    /// From now on it says AdminDown.
    pub(super) fn hold_down(&mut self) {
        self.admin_down = true;
    }

    fn send(&mut self, packet: &bfd::Packet) {
        self.last_sent = Instant::now();
        let state = if self.admin_down { bfd::State::AdminDown } else { packet.state };
        self.sender.send(&bfd::Packet { state, ..*packet }.to_bytes()).unwrap();
    }
}
