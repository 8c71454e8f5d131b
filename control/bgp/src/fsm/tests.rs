use std::net::SocketAddr;

use super::*;
use crate::message::Open;
use crate::tests::neighbor;

const NOW: Duration = Duration::from_secs(1000);

fn configured() -> Neighbor {
    Neighbor {
        hold_time: Duration::from_secs(90),
        connect_retry: Duration::from_secs(1),
        ..neighbor("edge", "127.0.0.1", SocketAddr::from(([127, 0, 0, 2], 179)))
    }
}

fn open() -> Open {
    Open {
        asn: 65000,
        hold_time: 30,
        id: [10, 0, 0, 2].into(),
        families: Families::ALL,
        four_octet_as: true,
        route_refresh: true,
        extended_next_hop: false,
        graceful_restart: None,
    }
}

/// A machine and its clock.
struct Bench {
    fsm: Fsm,
    pauses: Backoff,
    now: Instant,
}

impl Bench {
    fn new(neighbor: Neighbor) -> Self {
        let passive = neighbor.passive;
        let random = || fastrand::Rng::with_seed(1);
        Self {
            fsm: Fsm::new(Arc::new(neighbor), passive, random()),
            pauses: Backoff::new(Duration::from_secs(1), random()),
            now: Instant::now() + NOW,
        }
    }

    fn feed(&mut self, input: Input) -> Vec<Output> {
        self.fsm.handle(input, self.now, &mut self.pauses)
    }

    /// In a state, by the shortest way.
    fn at(state: State, neighbor: Neighbor) -> Self {
        let mut bench = Self::new(neighbor);
        let way: &[Input] = match state {
            State::Idle => &[],
            State::Connect => &[Input::Start],
            State::Active => &[Input::Start, Input::ConnectionFailed(Why::Closed)],
            State::OpenSent => &[Input::Start, Input::Connected],
            State::OpenConfirm => {
                &[Input::Start, Input::Connected, Input::Received(Message::Open(open()))]
            }
            State::Established => &[
                Input::Start,
                Input::Connected,
                Input::Received(Message::Open(open())),
                Input::Received(Message::Keepalive),
            ],
        };
        for input in way {
            bench.feed(input.clone());
        }
        assert_eq!(bench.fsm.state(), state);
        bench
    }

    /// How far the timers are, and which run: r(etry), h(old), k(eepalive), i(dle).
    fn timers(&self) -> String {
        let fsm = &self.fsm;
        [('r', fsm.connect_retry), ('h', fsm.hold), ('k', fsm.keepalive), ('i', fsm.idle_hold)]
            .into_iter()
            .filter_map(|(letter, timer)| timer.map(|_| letter))
            .collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

/// The state that follows, the timers that run in it, and what has to be done.
fn cell(state: State, input: &Input) -> String {
    let mut bench = Bench::at(state, configured());
    let outputs = bench.feed(input.clone());
    let mut cell = format!("{}({})", bench.fsm.state(), bench.timers());
    for output in outputs {
        cell += " ";
        match output {
            Output::Connect => cell += "connect",
            Output::SendOpen => cell += "open",
            Output::SendKeepalive => cell += "keepalive",
            Output::Notify(n) => cell += &format!("notify {}/{}", n.code, n.subcode),
            Output::Disconnect => cell += "disconnect",
            Output::Refresh(families) => cell += &format!("refresh {families}"),
            Output::Up(_) => cell += "up",
            Output::Down(_) => cell += "down",
        }
    }
    cell
}

/// Every input, and what comes of it in each state: in the order of `State::ALL`.
#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(&'static str, Input, [&'static str; 6])> {
    vec![
        (
            "Start",
            Input::Start,
            [
                "Connect(r) connect",
                "Connect(r)",
                "Active(r)",
                "OpenSent(h)",
                "OpenConfirm(hk)",
                "Established(hk)",
            ],
        ),
        (
            "Stop",
            Input::Stop(Notification::cease(2)),
            [
                "Idle()",
                "Idle() disconnect",
                "Idle() disconnect",
                "Idle() notify 6/2 disconnect down",
                "Idle() notify 6/2 disconnect down",
                "Idle() notify 6/2 disconnect down",
            ],
        ),
        (
            "Dump",
            Input::Dump,
            [
                "Idle()",
                "Idle() disconnect",
                "Idle() disconnect",
                "Idle() notify 6/7 disconnect",
                "Idle() notify 6/7 disconnect",
                "Idle() notify 6/7 disconnect down",
            ],
        ),
        (
            "Resume",
            Input::Resume,
            [
                "Idle(i)",
                "Connect(r)",
                "Active(r)",
                "OpenSent(h)",
                "OpenConfirm(hk)",
                "Established(hk)",
            ],
        ),
        (
            "Connected",
            Input::Connected,
            [
                "Idle() disconnect",
                "OpenSent(h) open",
                "OpenSent(h) open",
                "OpenSent(h)",
                "OpenConfirm(hk)",
                "Established(hk)",
            ],
        ),
        (
            "ConnectionFailed",
            Input::ConnectionFailed(Why::Closed),
            [
                "Idle()",
                "Active(r) down",
                "Active(r) down",
                "Active(r) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
            ],
        ),
        (
            "ConnectRetryExpires",
            Input::ConnectRetryExpires,
            [
                "Idle()",
                "Connect(r) down connect",
                "Connect(r) connect",
                "Idle(i) notify 5/1 disconnect down",
                "Idle(i) notify 5/2 disconnect down",
                "Idle(i) notify 5/3 disconnect down",
            ],
        ),
        (
            "HoldExpires",
            Input::HoldExpires,
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 4/0 disconnect down",
                "Idle(i) notify 4/0 disconnect down",
                "Idle(i) notify 4/0 disconnect down",
            ],
        ),
        (
            "KeepaliveExpires",
            Input::KeepaliveExpires,
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 5/1 disconnect down",
                "OpenConfirm(hk) keepalive",
                "Established(hk) keepalive",
            ],
        ),
        (
            "IdleHoldExpires",
            Input::IdleHoldExpires,
            [
                "Connect(r) connect",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 5/1 disconnect down",
                "Idle(i) notify 5/2 disconnect down",
                "Idle(i) notify 5/3 disconnect down",
            ],
        ),
        (
            "SendHoldExpires",
            Input::SendHoldExpires,
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 8/0 disconnect down",
                "Idle(i) notify 8/0 disconnect down",
                "Idle(i) notify 8/0 disconnect down",
            ],
        ),
        (
            "OPEN",
            Input::Received(Message::Open(open())),
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "OpenConfirm(hk) keepalive",
                "Idle(i) notify 5/2 disconnect down",
                "Idle(i) notify 5/3 disconnect down",
            ],
        ),
        (
            "OPEN of another AS",
            Input::Received(Message::Open(Open { asn: 1, ..open() })),
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 2/2 disconnect down",
                "Idle(i) notify 5/2 disconnect down",
                "Idle(i) notify 5/3 disconnect down",
            ],
        ),
        (
            "UPDATE",
            Input::Received(Message::Update),
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 5/1 disconnect down",
                "Idle(i) notify 5/2 disconnect down",
                "Established(hk)",
            ],
        ),
        (
            "NOTIFICATION",
            Input::Received(Message::Notification(Notification::cease(2))),
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
            ],
        ),
        (
            "KEEPALIVE",
            Input::Received(Message::Keepalive),
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 5/1 disconnect down",
                "Established(hk) up",
                "Established(hk)",
            ],
        ),
        (
            "ROUTE-REFRESH",
            Input::Received(Message::RouteRefresh(Families::ALL)),
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 5/1 disconnect down",
                "Idle(i) notify 5/2 disconnect down",
                "Established(hk) refresh IPv4 and IPv6",
            ],
        ),
        (
            "no BGP",
            Input::Malformed(Malformed::Marker),
            [
                "Idle()",
                "Idle(i) disconnect down",
                "Idle(i) disconnect down",
                "Idle(i) notify 1/1 disconnect down",
                "Idle(i) notify 1/1 disconnect down",
                "Idle(i) notify 1/1 disconnect down",
            ],
        ),
    ]
}

#[test]
fn every_input_in_every_state() {
    let mut wrong = vec![];
    for (name, input, cells) in table() {
        for (state, expected) in State::ALL.into_iter().zip(cells) {
            let actual = cell(state, &input);
            if actual != expected {
                wrong.push(format!("{name} in {state}: {actual:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A variant that is added has to be added to the table: this does not compile without.
#[test]
fn the_table_has_every_input() {
    let mut seen = std::collections::BTreeSet::new();
    for (_, input, _) in table() {
        seen.insert(match input {
            Input::Start => 0,
            Input::Stop(_) => 1,
            Input::Dump => 2,
            Input::Resume => 3,
            Input::Connected => 4,
            Input::ConnectionFailed(_) => 5,
            Input::ConnectRetryExpires => 6,
            Input::HoldExpires => 7,
            Input::KeepaliveExpires => 8,
            Input::IdleHoldExpires => 9,
            Input::SendHoldExpires => 10,
            Input::Received(Message::Open(_)) => 11,
            Input::Received(Message::Update) => 12,
            Input::Received(Message::Notification(_)) => 13,
            Input::Received(Message::Keepalive) => 14,
            Input::Received(Message::RouteRefresh(_)) => 15,
            Input::Malformed(_) => 16,
        });
    }
    assert_eq!(seen.len(), 17);
}

#[test]
fn a_passive_machine_only_waits() {
    let passive = Neighbor { passive: true, ..configured() };
    let mut bench = Bench::new(passive);
    assert_eq!(bench.feed(Input::Start), []);
    assert_eq!((bench.fsm.state(), bench.timers().as_str()), (State::Active, ""));
    bench.feed(Input::Connected);
    bench.feed(Input::ConnectionFailed(Why::Closed));
    assert_eq!((bench.fsm.state(), bench.timers().as_str()), (State::Active, ""));
}

#[test]
fn the_shorter_hold_time_counts_and_three_keepalives_fit_into_it() {
    let bench = Bench::at(State::Established, configured());
    assert_eq!(bench.fsm.hold, Some(bench.now + Duration::from_secs(30)));
    let keepalive = bench.fsm.keepalive.unwrap() - bench.now;
    assert!((7500..=10_000).contains(&keepalive.as_millis()), "{keepalive:?}");

    let shorter = Neighbor { hold_time: Duration::from_secs(6), ..configured() };
    let bench = Bench::at(State::Established, shorter);
    assert_eq!(bench.fsm.hold, Some(bench.now + Duration::from_secs(6)));
}

#[test]
fn a_hold_time_of_zero_means_neither_timer() {
    let zero = Neighbor { hold_time: Duration::ZERO, ..configured() };
    let mut bench = Bench::at(State::Established, zero);
    assert_eq!(bench.timers(), "");
    bench.feed(Input::Received(Message::Keepalive));
    assert_eq!(bench.timers(), "");
}

#[test]
fn until_an_open_comes_there_are_four_minutes() {
    let bench = Bench::at(State::OpenSent, configured());
    assert_eq!(bench.fsm.hold, Some(bench.now + Duration::from_secs(240)));
}

#[test]
fn what_they_send_keeps_the_session() {
    for message in [Message::Keepalive, Message::Update, Message::RouteRefresh(Families::NONE)] {
        let mut bench = Bench::at(State::Established, configured());
        bench.pass(Duration::from_secs(29));
        assert!(!matches!(bench.fsm.expired(bench.now), Some(Input::HoldExpires)));
        bench.feed(Input::Received(message));
        assert_eq!(bench.fsm.hold, Some(bench.now + Duration::from_secs(30)));
    }
    let mut silent = Bench::at(State::Established, configured());
    silent.pass(Duration::from_secs(30));
    assert!(matches!(silent.fsm.expired(silent.now), Some(Input::HoldExpires)));
}

#[test]
fn what_we_send_does_not_keep_the_session() {
    let mut bench = Bench::at(State::Established, configured());
    let hold = bench.fsm.hold;
    bench.pass(Duration::from_secs(10));
    bench.feed(Input::KeepaliveExpires);
    assert_eq!(bench.fsm.hold, hold);
    assert!(bench.fsm.keepalive.unwrap() > bench.now);
}

#[test]
fn an_open_is_refused_for_the_right_reason() {
    let internal = Neighbor { local_as: 65000, ..configured() };
    for (neighbor, open, expected) in [
        (configured(), Open { asn: 65001, ..open() }, (2, 2)),
        (Neighbor { peer_as: 0, ..configured() }, Open { asn: 0, ..open() }, (2, 2)),
        (configured(), Open { id: [0; 4].into(), ..open() }, (2, 3)),
        (internal.clone(), Open { id: internal.router_id, ..open() }, (2, 3)),
        (configured(), Open { hold_time: 1, ..open() }, (2, 6)),
        (configured(), Open { hold_time: 2, ..open() }, (2, 6)),
        (configured(), Open { families: Families::NONE, ..open() }, (2, 7)),
    ] {
        let mut bench = Bench::at(State::OpenSent, neighbor);
        let outputs = bench.feed(Input::Received(Message::Open(open)));
        let Some(Output::Notify(notification)) = outputs.first() else { panic!("{outputs:?}") };
        assert_eq!((notification.code, notification.subcode), expected);
        assert_eq!(bench.fsm.state(), State::Idle);
    }
}

#[test]
fn an_open_that_is_odd_is_accepted() {
    for open in [
        // Identifiers are compared within an AS only (RFC 6286).
        Open { id: configured().router_id, ..open() },
        Open { hold_time: 0, ..open() },
        Open { hold_time: 3, ..open() },
        Open { four_octet_as: false, route_refresh: false, ..open() },
        Open { families: Families { ipv4: true, ipv6: false }, ..open() },
    ] {
        let mut bench = Bench::at(State::OpenSent, configured());
        let outputs = bench.feed(Input::Received(Message::Open(open)));
        assert_eq!(outputs, [Output::SendKeepalive]);
    }
}

#[test]
fn failures_pause_longer_and_longer_until_a_session_lasts() {
    let mut bench = Bench::new(configured());
    let fail = |bench: &mut Bench, lasts: Duration| {
        bench.feed(Input::Start);
        bench.feed(Input::Connected);
        bench.feed(Input::Received(Message::Open(open())));
        bench.feed(Input::Received(Message::Keepalive));
        bench.pass(lasts);
        bench.feed(Input::ConnectionFailed(Why::Closed));
        bench.fsm.idle_hold.unwrap() - bench.now
    };
    for seconds in [1, 2, 4, 8] {
        let pause = fail(&mut bench, Duration::from_secs(1));
        let due = Duration::from_secs(seconds);
        assert!(due * 3 / 4 <= pause && pause <= due, "{pause:?} of {due:?}");
    }
    let pause = fail(&mut bench, Duration::from_secs(31));
    assert!(pause <= Duration::from_secs(1), "{pause:?}");
}
