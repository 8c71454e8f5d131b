use packet::Buffer;
use packet::build::Ip;
use proptest::prelude::*;

use super::super::tests::{ENDS, NODE, ROUTER, answer, received, request, sent, summary};
use super::*;

type Answer = fn(&mut Buffer, &Summary) -> Result<(), Counter>;

/// What the answer to a packet is.
fn answered(vlan: Option<u16>, packet: &[u8], answer: Answer) -> Result<Vec<u8>, Counter> {
    let (mut frame, summary) = received(vlan, packet);
    answer(&mut frame, &summary).map(|()| frame.all().to_vec())
}

fn echo(ends: [&str; 2], ask: bool, packet: Ip, body: &[u8]) -> Ip {
    let message_type = match (ends == ENDS[0], ask) {
        (true, true) => 8,
        (true, false) => 0,
        (false, true) => 128,
        (false, false) => 129,
    };
    packet.icmp(message_type, 0, 0xabcd_0001, body)
}

#[test]
fn echo_comes_back_with_its_data_its_class_and_its_vlan() {
    for ends in ENDS {
        for vlan in [None, Some(7)] {
            for body in [&b""[..], b"x", &[0x5a; 1400]] {
                let ask = echo(ends, true, request(ends).traffic_class(0xb8), body);
                let reply = echo(ends, false, answer(ends).traffic_class(0xb8), body);
                assert_eq!(
                    answered(vlan, &ask.dont_fragment().build(), echo_reply).unwrap(),
                    sent(vlan, &reply.dont_fragment().build())
                );
            }
        }
    }
}

#[test]
fn echo_that_may_be_fragmented_comes_back_as_such() {
    let ask = echo(ENDS[0], true, request(ENDS[0]).id(0x1234), &[1; 100]);
    let reply = echo(ENDS[0], false, answer(ENDS[0]).id(0x1234), &[1; 100]);
    let got = answered(None, &ask.build(), echo_reply).unwrap();
    assert_eq!(got, sent(None, &reply.build()));
}

#[test]
fn echo_leaves_options_extension_headers_and_padding_behind() {
    let [v4, v6] = ENDS;
    let record_route = [7, 7, 4, 0, 0, 0, 0];
    let ask = echo(v4, true, request(v4).options(&record_route).dont_fragment(), b"hello").build();
    let reply = echo(v4, false, answer(v4).dont_fragment(), b"hello");
    let padded = [ask, vec![0xee; 9]].concat();
    assert_eq!(answered(None, &padded, echo_reply).unwrap(), sent(None, &reply.build()));

    let ask = echo(v6, true, request(v6).extension(protocol::HOP_BY_HOP, &[1, 4, 0, 0]), b"hello");
    let reply = echo(v6, false, answer(v6), b"hello");
    assert_eq!(answered(Some(9), &ask.build(), echo_reply).unwrap(), sent(Some(9), &reply.build()));
}

#[test]
fn echo_in_several_segments_stays_where_it_is() {
    for ends in ENDS {
        let body = vec![7; 8000];
        let ask = echo(ends, true, request(ends).dont_fragment(), &body).build();
        let bytes = packet::build::frame(NODE, ROUTER, None, &ask);
        let mut frame = Buffer::segmented(&bytes, 2048);
        let summary = summary(&frame, None);
        echo_reply(&mut frame, &summary).unwrap();
        let reply = echo(ends, false, answer(ends).dont_fragment(), &body);
        assert_eq!(frame.all(), sent(None, &reply.build()));
        assert_eq!(frame.bytes().len(), 2048);
    }
}

#[test]
fn a_damaged_echo_request_gets_a_damaged_reply() {
    let mut ask = echo(ENDS[0], true, request(ENDS[0]).dont_fragment(), b"hello").build();
    ask[30] ^= 1;
    let reply = answered(None, &ask, echo_reply).unwrap();
    assert!(!checksum::is_valid(&reply[34..]));
}

#[test]
fn echo_of_no_host_and_echo_too_short_are_not_answered() {
    let ask = Ip::between("224.0.0.1", "198.51.100.1").icmp(8, 0, 0, b"").build();
    assert_eq!(answered(None, &ask, echo_reply), Err(Counter::Malformed));
    let short = request(ENDS[0]).payload(protocol::ICMP, &[8, 0, 0, 0]).build();
    assert_eq!(answered(None, &short, echo_reply), Err(Counter::Malformed));
}

/// The error that quotes the packet, as far as it fits.
fn error_about(ends: [&str; 2], quoted: &[u8], v4: (u8, u8), v6: (u8, u8), rest: u32) -> Vec<u8> {
    let is_v4 = ends == ENDS[0];
    let ((message_type, code), most) = if is_v4 { (v4, 576 - 28) } else { (v6, 1280 - 48) };
    let quoted = &quoted[..quoted.len().min(most)];
    let error = answer(ends).traffic_class(48 << 2).dont_fragment();
    error.icmp(message_type, code, rest, quoted).build()
}

#[test]
fn too_big_tells_the_mtu_and_quotes_what_fits() {
    for ends in ENDS {
        for vlan in [None, Some(7)] {
            for len in [1, 100, 547, 548, 549, 1232, 1233, 1460, 8900] {
                let packet = request(ends).tcp(5000, 80, tcp::ACK, &vec![3; len]).dont_fragment();
                let packet = packet.build();
                let got = answered(vlan, &packet, |frame, summary| too_big(frame, summary, 1440));
                let error = error_about(ends, &packet, (3, 4), (2, 0), 1440);
                assert_eq!(got.unwrap(), sent(vlan, &error), "{len} bytes");
            }
        }
    }
}

#[test]
fn too_big_never_asks_for_less_than_every_path_takes() {
    for (ends, least) in ENDS.into_iter().zip([576, 1280]) {
        let packet = request(ends).udp(5000, 53, &[3; 1300]).build();
        for (mtu, told) in [(0, least), (least - 1, least), (least + 1, least + 1)] {
            let mut answer = received(None, &packet);
            too_big(&mut answer.0, &answer.1, mtu as u16).unwrap();
            let error = error_about(ends, &packet, (3, 4), (2, 0), told);
            assert_eq!(answer.0.all(), sent(None, &error));
        }
    }
}

#[test]
fn errors_quote_options_and_extension_headers_but_no_padding() {
    let [v4, v6] = ENDS;
    let packets = [
        (v4, request(v4).options(&[1, 1, 1, 0]).udp(5000, 53, b"x").build()),
        (v6, request(v6).extension(protocol::DESTINATION_OPTIONS, b"").udp(5000, 53, b"").build()),
    ];
    for (ends, packet) in packets {
        let padded = [&packet[..], &[0xee; 20]].concat();
        let got = answered(None, &padded, port_unreachable).unwrap();
        assert_eq!(got, sent(None, &error_about(ends, &packet, (3, 3), (1, 4), 0)));
    }
}

#[test]
fn an_error_about_a_packet_in_segments_is_right_in_all() {
    for ends in ENDS {
        for first in [80, 600, 1300] {
            let packet = request(ends).udp(5000, 53, &[3; 3000]).build();
            let bytes = packet::build::frame(NODE, ROUTER, None, &packet);
            let mut frame = Buffer::segmented(&bytes, first);
            let summary = summary(&frame, None);
            port_unreachable(&mut frame, &summary).unwrap();
            let error = error_about(ends, &packet, (3, 3), (1, 4), 0);
            assert_eq!(frame.all(), sent(None, &error));
        }
    }
}

#[test]
fn no_error_is_sent_about_an_error() {
    for (ends, message_type) in ENDS.into_iter().zip([3, 1]) {
        let error = request(ends).icmp(message_type, 0, 0, &[1; 1400]).build();
        let too_big: Answer = |frame, summary| too_big(frame, summary, 1400);
        assert_eq!(answered(None, &error, too_big), Err(Counter::TooBig));
        assert_eq!(answered(None, &error, port_unreachable), Err(Counter::NoService));
    }
}

#[test]
fn a_frame_without_headroom_is_refused() {
    let packet = request(ENDS[0]).udp(5000, 53, &[3; 100]).build();
    let (mut frame, summary) = received(None, &packet);
    let whole = frame.all().to_vec();
    frame.prepend(Buffer::HEADROOM - 27).unwrap()[..whole.len()].copy_from_slice(&whole);
    assert_eq!(port_unreachable(&mut frame, &summary), Err(Counter::NoHeadroom));
}

fn segment(ends: [&str; 2], flags: u8, data: &[u8]) -> Ip {
    request(ends).tcp(5000, 80, flags, data).sequence(1_000_000, 777)
}

/// A reset has no window, unlike the segments that are built.
fn reset_packet(ends: [&str; 2], flags: u8, sequence: u32, acknowledgment: u32) -> Vec<u8> {
    let mut reset = vec![0, 80, 5000_u16.to_be_bytes()[0], 5000_u16.to_be_bytes()[1]];
    reset.extend(sequence.to_be_bytes());
    reset.extend(acknowledgment.to_be_bytes());
    reset.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
    let built = answer(ends).dont_fragment();
    let [client, vip] = ends.map(|address| address.parse().unwrap());
    let checksum = Sum::pseudo(vip, client, protocol::TCP, 20).with(&reset).finish();
    reset[16..18].copy_from_slice(&checksum.to_be_bytes());
    built.payload(protocol::TCP, &reset).build()
}

#[test]
fn a_segment_with_an_acknowledgment_is_reset_where_it_acknowledges() {
    for ends in ENDS {
        for flags in [tcp::ACK, tcp::SYN | tcp::ACK, tcp::FIN | tcp::ACK, tcp::PSH | tcp::ACK] {
            for vlan in [None, Some(7)] {
                let got = answered(vlan, &segment(ends, flags, b"hello").build(), reset).unwrap();
                assert_eq!(got, sent(vlan, &reset_packet(ends, tcp::RST, 777, 0)));
            }
        }
    }
}

#[test]
fn a_segment_without_one_is_reset_by_acknowledging_all_of_it() {
    for ends in ENDS {
        for (flags, data, next) in [
            (tcp::SYN, &b""[..], 1_000_001),
            (tcp::SYN, b"hello", 1_000_006),
            (0, b"hello", 1_000_005),
            (tcp::FIN, b"", 1_000_001),
        ] {
            let got = answered(None, &segment(ends, flags, data).build(), reset).unwrap();
            assert_eq!(got, sent(None, &reset_packet(ends, tcp::RST | tcp::ACK, 0, next)));
        }
        let last = request(ends).tcp(5000, 80, tcp::SYN, b"").sequence(u32::MAX, 0).build();
        let got = answered(None, &last, reset).unwrap();
        assert_eq!(got, sent(None, &reset_packet(ends, tcp::RST | tcp::ACK, 0, 0)));
    }
}

#[test]
fn tcp_options_are_not_counted_as_data() {
    let mut syn = segment(ENDS[0], tcp::SYN, &[2, 4, 5, 0xb4]).build();
    syn[20 + 12] = 6 << 4; // the four bytes are an MSS option
    let got = answered(None, &syn, reset).unwrap();
    assert_eq!(got, sent(None, &reset_packet(ENDS[0], tcp::RST | tcp::ACK, 0, 1_000_001)));
}

#[test]
fn ip_options_and_padding_are_not_in_a_reset() {
    let ack = segment(ENDS[0], tcp::ACK, b"").options(&[7, 7, 4, 0, 0, 0, 0]).build();
    let padded = [ack, vec![0xee; 3]].concat();
    let got = answered(None, &padded, reset).unwrap();
    assert_eq!(got, sent(None, &reset_packet(ENDS[0], tcp::RST, 777, 0)));
}

#[test]
fn resets_and_fragments_are_never_reset() {
    for ends in ENDS {
        for flags in [tcp::RST, tcp::RST | tcp::ACK] {
            let got = answered(None, &segment(ends, flags, b"").build(), reset);
            assert_eq!(got, Err(Counter::NoService));
        }
        let first = segment(ends, tcp::SYN, &[0; 12]).fragment(1, 0, true).build();
        assert_eq!(answered(None, &first, reset), Err(Counter::NoService));
    }
}

proptest! {
    #[test]
    fn whatever_is_received_no_answer_panics(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        start in prop::sample::select(vec![
            request(ENDS[0]).icmp(8, 0, 0, b"").build(),
            request(ENDS[1]).icmp(128, 0, 0, b"").build(),
            segment(ENDS[0], tcp::SYN, b"").build(),
            segment(ENDS[1], tcp::SYN, b"").extension(protocol::HOP_BY_HOP, b"").build(),
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        first in 0_usize..250,
    ) {
        bytes.splice(..0, sent(None, &start));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let frame = Buffer::segmented(&bytes, first);
        if let Ok(summary) = packet::summarize(frame.bytes(), 14, bytes.len()) {
            let _ = echo_reply(&mut frame.clone(), &summary);
            let _ = too_big(&mut frame.clone(), &summary, 1400);
            let _ = port_unreachable(&mut frame.clone(), &summary);
            let _ = reset(&mut frame.clone(), &summary);
        }
    }
}
