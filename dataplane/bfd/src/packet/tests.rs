use proptest::prelude::*;

use super::*;

/// A packet as another implementation would send it.
fn good() -> [u8; LEN] {
    Packet {
        diagnostic: Diagnostic::CONTROL_DETECTION_TIME_EXPIRED,
        state: State::Up,
        poll: true,
        final_: false,
        control_plane_independent: true,
        demand: false,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: NonZeroU32::new(0x0102_0304).unwrap(),
        your_discriminator: 0x0506_0708,
        desired_min_tx: 100_000,
        required_min_rx: 50_000,
        required_min_echo_rx: 0,
    }
    .to_bytes()
}

/// What is said of a good packet after `change`.
fn after(change: impl FnOnce(&mut Vec<u8>)) -> Result<Packet, Malformed> {
    let mut bytes = good().to_vec();
    change(&mut bytes);
    Packet::parse(&bytes)
}

#[test]
fn fields_are_where_the_rfc_has_them() {
    let expected = [
        0x21, 0xe8, 3, 24, // version 1, diagnostic 1; Up, P, C; multiplier; length
        1, 2, 3, 4, 5, 6, 7, 8, // discriminators: mine, yours
        0, 1, 0x86, 0xa0, 0, 0, 0xc3, 0x50, 0, 0, 0, 0, // 100 ms, 50 ms, no echo
    ];
    assert_eq!(good(), expected);
    assert_eq!(Packet::parse(&expected).unwrap().to_bytes(), expected);
}

#[test]
fn each_check_refuses_what_it_is_for() {
    let zero = |from: usize| move |bytes: &mut Vec<u8>| bytes[from..from + 4].fill(0);
    assert_eq!(after(|b| b.truncate(23)), Err(Malformed::Short));
    assert_eq!(after(|b| b[0] = 0x01), Err(Malformed::Version(0)));
    assert_eq!(after(|b| b[0] = 0x41), Err(Malformed::Version(2)));
    assert_eq!(after(|b| b[3] = 23), Err(Malformed::Length(23)));
    assert_eq!(after(|b| b[3] = 25), Err(Malformed::Length(25)));
    assert_eq!(after(|b| b[2] = 0), Err(Malformed::DetectMult));
    assert_eq!(after(|b| b[1] |= MULTIPOINT), Err(Malformed::Multipoint));
    assert_eq!(after(zero(4)), Err(Malformed::MyDiscriminator));
    assert_eq!(after(zero(8)), Err(Malformed::YourDiscriminator(State::Up)));
    let authenticated = |b: &mut Vec<u8>| {
        b[1] |= AUTHENTICATION;
        b[3] = 26;
        b.extend([1, 2]);
    };
    assert_eq!(after(authenticated), Err(Malformed::Authenticated));
}

#[test]
fn checks_come_in_the_order_of_the_rfc() {
    // Everything is wrong; each repair shows the next problem.
    let mut bytes = vec![0x41, 0xc5, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.resize(LEN, 0);
    let mut repair = |place: usize, value: u8, expected| {
        assert_eq!(Packet::parse(&bytes), Err(expected));
        bytes[place] = value;
    };
    repair(0, 0x20, Malformed::Version(2));
    // 26 at least with the A bit, and no more than there is.
    repair(3, 26, Malformed::Length(25));
    repair(3, 26, Malformed::Length(26));
    bytes.extend([0, 0]);
    let mut repair = |place: usize, value: u8, expected| {
        assert_eq!(Packet::parse(&bytes), Err(expected));
        bytes[place] = value;
    };
    repair(2, 3, Malformed::DetectMult);
    repair(1, 0xc4, Malformed::Multipoint);
    repair(7, 1, Malformed::MyDiscriminator);
    repair(11, 1, Malformed::YourDiscriminator(State::Up));
    repair(1, 0xc0, Malformed::Authenticated);
    assert!(Packet::parse(&bytes).is_ok());
}

#[test]
fn without_our_discriminator_a_session_may_only_be_down() {
    for state in State::ALL {
        let result = after(|b| {
            b[1] = (state as u8) << 6;
            b[8..12].fill(0);
        });
        let down = matches!(state, State::Down | State::AdminDown);
        assert_eq!(result.is_ok(), down, "{state:?}");
    }
}

#[test]
fn what_follows_the_packet_is_ignored() {
    assert!(after(|b| b.extend([0xff; 40])).is_ok());
}

#[test]
fn diagnostics_are_told_in_words() {
    let words: Vec<_> = (0..=9).map(|number| Diagnostic(number).to_string()).collect();
    assert_eq!(words[1], "control detection time expired");
    assert_eq!(words[3], "neighbor signaled session down");
    assert_eq!(words[9], "diagnostic 9");
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Packet::parse(&bytes);
    }

    #[test]
    fn what_parses_is_written_as_it_was(
        change in prop::collection::vec((0..LEN, any::<u8>()), 0..6),
    ) {
        let mut bytes = good();
        for (place, value) in change {
            bytes[place] = value;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(packet.to_bytes(), bytes);
        }
    }
}
