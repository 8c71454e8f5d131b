//! Two sessions on a link that delays and loses packets, under a clock of its own.

use std::collections::VecDeque;

use super::*;

struct Pair {
    ends: [Session; 2],
    /// Packets on their way to each end: when they arrive, and their bytes.
    links: [VecDeque<(Instant, [u8; crate::LEN])>; 2],
    now: Instant,
    start: Instant,
    /// Per cent of packets that are lost on the way to each end.
    loss: [u32; 2],
    delay: Duration,
    rng: fastrand::Rng,
}

impl Pair {
    fn new(policies: [Policy; 2], seed: u64) -> Self {
        let start = Instant::now();
        let [a, b] = policies;
        Self {
            ends: [
                Session::new(a, LOCAL, seed, start),
                Session::new(
                    b,
                    REMOTE,
                    !seed,
                    start + Duration::from_micros(seed * 7919 % 900_000),
                ),
            ],
            links: Default::default(),
            now: start,
            start,
            loss: [0; 2],
            delay: 2 * MS,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    fn send(&mut self, to: usize, packet: &Packet) {
        if self.rng.u32(0..100) >= self.loss[to] {
            self.links[to].push_back((self.now + self.delay, packet.to_bytes()));
        }
    }

    /// Goes on for so long, or until `done`; whether it was.
    fn run(&mut self, span: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + span;
        loop {
            for i in 0..2 {
                while let Some((_, bytes)) = self.links[i].pop_front_if(|(at, _)| *at <= self.now) {
                    let packet = Packet::parse(&bytes).unwrap();
                    if let Ok(Some(answer)) = self.ends[i].receive(&packet, self.now) {
                        self.send(1 - i, &answer);
                    }
                }
                if let Some(packet) = self.ends[i].turn(self.now) {
                    self.send(1 - i, &packet);
                }
            }
            if done(self) {
                return true;
            }
            let arrivals = self.links.iter().filter_map(|link| link.front()).map(|&(at, _)| at);
            let turns = self.ends.iter().map(Session::next_turn);
            self.now = arrivals.chain(turns).min().expect("a session always has a turn");
            if self.now > end {
                self.now = end;
                return false;
            }
        }
    }

    fn is_up(&self) -> bool {
        self.ends.iter().all(|end| end.state() == State::Up)
    }

    fn is_settled(&self) -> bool {
        self.is_up() && self.ends.iter().all(|end| !end.is_polling())
    }

    /// Both Up, and no Poll Sequence goes on.
    fn settle(&mut self) {
        assert!(self.run(Duration::from_secs(30), Self::is_settled), "{:?}", self.ends);
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}

#[test]
fn two_sessions_come_up_and_agree_on_the_slower_timers() {
    for seed in 0..50 {
        let mut pair = Pair::new([policy(100, 3), policy(50, 5)], seed);
        pair.settle();
        assert!(pair.elapsed() < Duration::from_secs(4), "{:?}", pair.elapsed());
        assert_eq!(pair.ends.each_ref().map(Session::interval), [100 * MS; 2]);
        let detection = pair.ends.each_ref().map(|end| end.detection_time().unwrap());
        assert_eq!(detection, [500 * MS, 300 * MS]);
        // Each knows how long the other one waits for it.
        let known = pair.ends.each_ref().map(Session::remote_detection_time);
        assert_eq!(known, [300 * MS, 500 * MS]);
        let dropped = pair.run(Duration::from_secs(600), |pair| !pair.is_up());
        assert!(!dropped, "after {:?}", pair.elapsed());
    }
}

#[test]
fn a_link_that_loses_one_way_is_noticed_by_both() {
    for seed in 0..50 {
        let mut pair = Pair::new([policy(100, 3); 2], seed);
        pair.settle();
        pair.loss = [100, 0];
        let cut = pair.now;
        assert!(pair.run(Duration::from_secs(1), |pair| pair.ends[0].state() == State::Down));
        let noticed = pair.now - cut;
        assert!((200 * MS..=300 * MS + pair.delay).contains(&noticed), "{noticed:?}");
        assert!(pair.run(10 * MS, |pair| pair.ends[1].state() == State::Down));
        let reasons = pair.ends.each_ref().map(Session::diagnostic);
        let expected = [
            Diagnostic::CONTROL_DETECTION_TIME_EXPIRED,
            Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN,
        ];
        assert_eq!(reasons, expected);
        assert!(!pair.run(Duration::from_secs(60), Pair::is_up));
        pair.loss = [0; 2];
        pair.settle();
    }
}

#[test]
fn some_loss_is_tolerated_and_poll_sequences_end_all_the_same() {
    for seed in 0..50 {
        let mut pair = Pair::new([policy(100, 10); 2], seed);
        pair.loss = [20; 2];
        pair.settle();
        for interval in [300, 50, 1000, 20] {
            let now = pair.now;
            pair.ends[0].change(policy(interval, 10), now);
            let done = |pair: &Pair| !pair.is_up() || pair.is_settled();
            assert!(pair.run(Duration::from_secs(30), done));
            assert!(pair.is_up(), "{seed}: {:?}", pair.ends);
            let agreed = Duration::from_millis(u64::from(interval).max(100));
            assert_eq!(pair.ends[0].interval(), agreed);
            assert_eq!(pair.ends[1].detection_time(), Some(agreed * 10));
        }
    }
}

#[test]
fn a_change_of_timers_never_ends_a_session() {
    for seed in 0..100 {
        let mut pair = Pair::new([policy(100, 3); 2], seed);
        pair.settle();
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..20 {
            let now = pair.now;
            let change = policy(rng.u32(10..2000), rng.u8(2..6));
            pair.ends[rng.usize(0..2)].change(change, now);
            let span = rng.u32(0..3000) * MS;
            assert!(!pair.run(span, |pair| !pair.is_up()), "{seed}: {:?}", pair.ends);
        }
    }
}

#[test]
fn an_end_that_starts_anew_is_met_anew() {
    for seed in 0..20 {
        let mut pair = Pair::new([policy(100, 3); 2], seed);
        pair.settle();
        let other = NonZeroU32::new(1000).unwrap();
        pair.ends[0] = Session::new(policy(100, 3), other, seed, pair.now);
        assert!(pair.run(Duration::from_secs(1), |pair| pair.ends[1].state() == State::Down));
        pair.settle();
        assert!(pair.elapsed() < Duration::from_secs(8), "{:?}", pair.elapsed());
    }
}
