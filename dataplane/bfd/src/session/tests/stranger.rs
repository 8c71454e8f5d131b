//! What a peer must not achieve by what it sends.

use proptest::prelude::*;

use super::*;

#[test]
fn a_packet_for_another_session_changes_nothing() {
    let now = Instant::now();
    let mut session = in_state(State::Init, now);
    let before = format!("{session:?}");
    let stray = Packet { your_discriminator: 8, ..from_peer(State::Up) };
    assert_eq!(session.receive(&stray, now), Err(Refused(8)));
    assert_eq!(format!("{session:?}"), before);
}

#[test]
fn who_does_not_know_our_discriminator_cannot_bring_it_up() {
    let now = Instant::now();
    let mut session = in_state(State::Down, now);
    for state in [State::Down, State::AdminDown] {
        for _ in 0..10 {
            let blind = Packet { your_discriminator: 0, ..from_peer(state) };
            session.receive(&blind, now).unwrap();
            assert_ne!(session.state(), State::Up);
        }
    }
}

/// Any bytes that look like a packet: a good one with some of them changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let states = prop::sample::select(State::ALL.to_vec());
    let changes = prop::collection::vec((0..crate::LEN, any::<u8>()), 0..4);
    (states, changes, any::<bool>(), any::<bool>()).prop_map(|(state, changes, poll, final_)| {
        let mut bytes = Packet { poll, final_, ..from_peer(state) }.to_bytes().to_vec();
        for (place, value) in changes {
            bytes[place] = value;
        }
        bytes
    })
}

proptest! {
    /// It goes Up only by a packet that carries its discriminator, of a peer that hears it.
    #[test]
    fn mutated_packets_do_no_harm(
        packets in prop::collection::vec((mutated(), 0..400u32), 1..40),
    ) {
        let mut now = Instant::now();
        let mut session = in_state(State::Down, now);
        for (bytes, pause) in packets {
            now += pause * MS;
            if let Some(packet) = session.turn(now) {
                prop_assert!(!(packet.poll && packet.final_));
            }
            let before = session.state();
            let Ok(packet) = Packet::parse(&bytes) else { continue };
            let refused = session.receive(&packet, now).is_err();
            let (after, your) = (session.state(), packet.your_discriminator);
            if refused {
                prop_assert!(your != LOCAL.get() && your != 0);
                prop_assert_eq!(after, before);
            }
            if after == State::Up && before != State::Up {
                prop_assert_eq!(your, LOCAL.get());
                prop_assert!(matches!(packet.state, State::Init | State::Up));
                prop_assert!(packet.state == State::Init || before == State::Init);
            }
            prop_assert_ne!(after, State::AdminDown);
            prop_assert!(session.next_turn() <= now + session.interval().max(Duration::from_secs(1)));
        }
    }
}
