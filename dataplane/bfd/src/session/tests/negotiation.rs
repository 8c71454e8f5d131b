//! Timers that change while the session is Up (RFC 5880 section 6.8.3).

use super::*;

/// Up, at 100 ms both ways, and the Poll Sequence that it began with is over.
fn up(now: Instant) -> Session {
    let mut session = in_state(State::Up, now);
    session.receive(&Packet { final_: true, ..from_peer(State::Up) }, now).unwrap();
    assert!(!session.is_polling());
    session
}

fn final_of_peer() -> Packet {
    Packet { final_: true, ..from_peer(State::Up) }
}

#[test]
fn coming_up_is_told_by_a_poll_sequence() {
    let now = Instant::now();
    let mut session = in_state(State::Init, now);
    session.receive(&from_peer(State::Up), now).unwrap();
    for turn in 0..3 {
        let packet = session.turn(now + turn * 100 * MS).unwrap();
        assert!(packet.poll && !packet.final_);
        assert_eq!(packet.desired_min_tx, 100_000);
    }
    session.receive(&final_of_peer(), now + 200 * MS).unwrap();
    assert!(!session.turn(now + 300 * MS).unwrap().poll);
}

#[test]
fn a_longer_transmit_interval_waits_for_the_final() {
    let now = Instant::now();
    let mut session = up(now);
    session.change(policy(1000, 3), now);
    assert_eq!(session.state(), State::Up);
    assert_eq!(session.interval(), 100 * MS);
    assert_eq!(session.remote_detection_time(), 300 * MS);
    let packet = session.turn(now + 100 * MS).unwrap();
    assert!(packet.poll);
    assert_eq!((packet.desired_min_tx, packet.required_min_rx), (1_000_000, 1_000_000));
    // What we can receive is less at once.
    assert_eq!(session.detection_time(), Some(3000 * MS));
    session.receive(&final_of_peer(), now + 110 * MS).unwrap();
    assert_eq!(session.interval(), 1000 * MS);
    assert_eq!(session.remote_detection_time(), 3000 * MS);
}

#[test]
fn a_shorter_detection_time_waits_for_the_final() {
    let now = Instant::now();
    let mut session = up(now);
    let fast = Packet { desired_min_tx: 20_000, ..from_peer(State::Up) };
    session.receive(&fast, now).unwrap();
    session.change(policy(50, 3), now);
    assert_eq!(session.detection_time(), Some(300 * MS));
    assert!(session.turn(now + 100 * MS).unwrap().poll);
    session.receive(&Packet { final_: true, ..fast }, now + 100 * MS).unwrap();
    assert_eq!(session.detection_time(), Some(150 * MS));
}

#[test]
fn a_shorter_transmit_interval_holds_at_once() {
    let now = Instant::now();
    let mut session = up(now);
    let fast = Packet { required_min_rx: 10_000, ..from_peer(State::Up) };
    session.receive(&fast, now).unwrap();
    session.turn(now + 100 * MS).unwrap();
    session.change(policy(20, 3), now + 101 * MS);
    assert_eq!(session.interval(), 20 * MS);
    assert!(session.next_turn() <= now + 121 * MS);
}

#[test]
fn a_peer_that_can_receive_faster_gets_its_next_packet_sooner() {
    let now = Instant::now();
    let mut session = up(now);
    let slow = Packet { required_min_rx: 5_000_000, ..from_peer(State::Up) };
    session.receive(&slow, now).unwrap();
    session.turn(now + 100 * MS).unwrap();
    assert!(session.next_tx > now + 3000 * MS);
    session.receive(&from_peer(State::Up), now + 200 * MS).unwrap();
    assert!(session.next_tx <= now + 200 * MS);
}

#[test]
fn a_change_amid_a_poll_sequence_waits_for_its_end() {
    let now = Instant::now();
    let mut session = up(now);
    session.change(policy(200, 3), now);
    session.change(policy(400, 5), now);
    let first = session.turn(now + 100 * MS).unwrap();
    assert_eq!((first.poll, first.desired_min_tx), (true, 200_000));
    session.receive(&final_of_peer(), now + 110 * MS).unwrap();
    assert_eq!(session.interval(), 200 * MS);
    // A Final that comes twice does not end the second sequence before it has begun.
    session.receive(&final_of_peer(), now + 111 * MS).unwrap();
    let second = session.turn(now + 200 * MS).unwrap();
    let fields = (second.poll, second.desired_min_tx, second.detect_mult.get());
    assert_eq!(fields, (true, 400_000, 5));
    session.receive(&final_of_peer(), now + 210 * MS).unwrap();
    assert_eq!(session.interval(), 400 * MS);
    assert!(!session.is_polling());
}

#[test]
fn the_same_timers_need_no_poll_sequence() {
    let now = Instant::now();
    let mut session = up(now);
    session.change(policy(100, 3), now);
    assert!(!session.is_polling());
}

#[test]
fn the_answer_to_a_poll_is_a_final_in_every_state() {
    let now = Instant::now();
    for state in [State::Down, State::Init, State::Up] {
        let mut session = in_state(state, now);
        let received = if state == State::Down { State::AdminDown } else { State::Up };
        let poll = Packet { poll: true, ..from_peer(received) };
        let answer = session.receive(&poll, now).unwrap().expect("a Poll is answered");
        assert!(answer.final_ && !answer.poll, "{state:?}");
        assert_eq!(answer.your_discriminator, REMOTE.get());
    }
}

#[test]
fn going_down_returns_to_the_slow_rate_and_ends_the_poll_sequence() {
    let now = Instant::now();
    let mut session = up(now);
    session.change(policy(50, 3), now);
    session.receive(&from_peer(State::Down), now).unwrap();
    let packet = session.turn(now).unwrap();
    assert_eq!((packet.poll, packet.desired_min_tx), (false, 1_000_000));
    assert_eq!(session.interval(), 1000 * MS);
    assert_eq!(packet.required_min_rx, 50_000);
}
