mod negotiation;
mod pair;
mod saved;
mod stranger;

use std::num::NonZeroU8;

use super::*;

const MS: Duration = Duration::from_millis(1);
const LOCAL: NonZeroU32 = NonZeroU32::new(7).unwrap();
const REMOTE: NonZeroU32 = NonZeroU32::new(9).unwrap();

fn policy(interval_ms: u32, detect_mult: u8) -> Policy {
    Policy::new(interval_ms * MS, detect_mult).unwrap()
}

/// A packet of a peer that would like 100 ms and tolerates two misses.
fn from_peer(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        poll: false,
        final_: false,
        control_plane_independent: false,
        demand: false,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: REMOTE,
        your_discriminator: LOCAL.get(),
        desired_min_tx: 100_000,
        required_min_rx: 100_000,
        required_min_echo_rx: 0,
    }
}

fn new(policy: Policy, now: Instant) -> Session {
    Session::new(policy, LOCAL, 1, now)
}

/// A session of 100 ms x 3 in a state, which has sent what it had to say about it.
fn in_state(state: State, now: Instant) -> Session {
    let mut session = new(policy(100, 3), now);
    let heard: &[State] = match state {
        State::AdminDown | State::Down => &[],
        State::Init => &[State::Down],
        State::Up => &[State::Init],
    };
    for &received in heard {
        session.receive(&from_peer(received), now).unwrap();
    }
    session.turn(now);
    assert_eq!(session.state(), state);
    session
}

#[test]
fn every_state_meets_every_state() {
    use State::{AdminDown, Down, Init, Up};
    let now = Instant::now();
    // RFC 5880 section 6.8.6, row by row: what is received in AdminDown, Down, Init, Up.
    for (state, expected) in
        [(Down, [Down, Init, Up, Down]), (Init, [Down, Init, Up, Up]), (Up, [Down, Down, Up, Up])]
    {
        for (received, expected) in State::ALL.into_iter().zip(expected) {
            let mut session = in_state(state, now);
            session.receive(&from_peer(received), now).unwrap();
            assert_eq!(session.state(), expected, "{state:?} meets {received:?}");
            let diagnostic = match (state, expected) {
                (Init | Up, Down) => Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN,
                _ => Diagnostic::NONE,
            };
            assert_eq!(session.diagnostic(), diagnostic, "{state:?} meets {received:?}");
            // A change is told at once.
            let told = session.turn(now).map(|packet| packet.state);
            assert_eq!(told, (state != expected).then_some(expected));
        }
    }
    assert_eq!(State::ALL.map(|received| transition(AdminDown, received)), [None; 4]);
}

#[test]
fn silence_for_the_detection_time_ends_init_and_up() {
    let now = Instant::now();
    for state in [State::Init, State::Up] {
        let mut session = in_state(state, now);
        assert_eq!(session.detection_time(), Some(300 * MS));
        session.turn(now + 300 * MS - MS);
        assert_eq!(session.state(), state);
        let packet = session.turn(now + 300 * MS).expect("the change is told at once");
        assert_eq!(
            (packet.state, packet.diagnostic, packet.your_discriminator),
            (State::Down, Diagnostic::CONTROL_DETECTION_TIME_EXPIRED, 0)
        );
        assert_eq!(session.detection_time(), None);
    }
}

#[test]
fn in_down_silence_makes_the_peer_forgotten() {
    let now = Instant::now();
    let mut session = in_state(State::Down, now);
    session.receive(&from_peer(State::AdminDown), now).unwrap();
    assert_eq!(session.state(), State::Down);
    assert_eq!(session.turn(now + 2000 * MS).unwrap().your_discriminator, 0);
    assert_eq!(session.remote_state(), State::Down);
}

#[test]
fn a_session_that_was_switched_off_stays_so_in_silence() {
    let now = Instant::now();
    let mut session = in_state(State::Up, now);
    session.receive(&from_peer(State::AdminDown), now).unwrap();
    assert!(session.remote_admin_down());
    session.turn(now + 2000 * MS);
    assert_eq!((session.remote_state(), session.remote_admin_down()), (State::Down, true));
    session.receive(&from_peer(State::Down), now + 2000 * MS).unwrap();
    assert!(!session.remote_admin_down());
}

#[test]
fn a_session_that_is_not_up_sends_once_a_second_at_most() {
    let start = Instant::now();
    let mut session = new(policy(10, 3), start);
    let mut sent = Vec::new();
    for ms in 0..20_000 {
        if let Some(packet) = session.turn(start + ms * MS) {
            assert_eq!((packet.desired_min_tx, packet.required_min_rx), (1_000_000, 10_000));
            sent.push(ms);
        }
    }
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (750..=1001).contains(gap)), "{gaps:?}");
    // Jitter is no constant.
    assert!(gaps.iter().max().unwrap() - gaps.iter().min().unwrap() > 50, "{gaps:?}");
}

#[test]
fn where_no_packet_may_be_missed_each_is_a_tenth_early() {
    let now = Instant::now();
    let mut session = new(policy(100, 1), now);
    session.receive(&from_peer(State::Init), now).unwrap();
    let mut due = now;
    for _ in 0..200 {
        session.receive(&from_peer(State::Up), due).unwrap();
        session.turn(due).expect("it is due");
        let gap = session.next_tx - due;
        assert!((75 * MS..=90 * MS).contains(&gap), "{gap:?}");
        due = session.next_tx;
    }
}

#[test]
fn every_packet_says_that_it_does_not_depend_on_the_control_plane() {
    let now = Instant::now();
    let packet = in_state(State::Up, now).turn(now + 100 * MS).unwrap();
    assert!(packet.control_plane_independent);
    assert!(!packet.demand);
    assert_eq!((packet.required_min_echo_rx, packet.detect_mult.get()), (0, 3));
    assert_eq!((packet.my_discriminator, packet.your_discriminator), (LOCAL, REMOTE.get()));
}

#[test]
fn a_peer_that_wants_no_packets_gets_none_but_answers() {
    let now = Instant::now();
    let mut session = in_state(State::Up, now);
    let quiet = Packet { required_min_rx: 0, ..from_peer(State::Up) };
    for turn in 0..20 {
        let now = now + turn * 50 * MS;
        session.receive(&quiet, now).unwrap();
        assert_eq!(session.turn(now), None);
    }
    let now = now + 1000 * MS;
    let answer = session.receive(&Packet { poll: true, ..quiet }, now).unwrap().unwrap();
    assert!(answer.final_ && !answer.poll);
    // Gone and back, it is asked anew.
    assert!(session.turn(now + 300 * MS).is_some());
}

#[test]
fn demand_does_not_silence_us() {
    let now = Instant::now();
    let mut session = in_state(State::Up, now);
    session.receive(&Packet { demand: true, ..from_peer(State::Up) }, now).unwrap();
    assert!(session.turn(now + 100 * MS).is_some());
}

#[test]
fn a_policy_is_one_that_a_packet_can_carry() {
    assert_eq!(Policy::new(Duration::ZERO, 3), Err(BadPolicy::Interval(Duration::ZERO)));
    assert!(Policy::new(Duration::from_secs(3601), 3).is_err());
    assert_eq!(Policy::new(MS, 0), Err(BadPolicy::Multiplier));
}
