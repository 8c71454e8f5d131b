//! The eBPF program, run by the kernel on packets made here: packet in, verdict, packet out.
//!
//! Loading it needs root: as anybody else these tests say so and check nothing.

mod kernel;
mod mutation;
mod packet;

use crate::Counter;
use kernel::{Kernel, Outcome};
use packet::{CE, ECT_0, ECT_1, Extension, Header, NOT_ECT, frame, tunnel};

const L4: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const STRANGER: [&str; 2] = ["192.0.2.66", "2001:db8:bad::1"];
const L7: [&str; 2] = ["192.0.2.7", "2001:db8::7"];
const CLIENT: [&str; 2] = ["198.51.100.5", "2001:db8:c::5"];
const VIP: [&str; 2] = ["203.0.113.10", "2001:db8:ff::10"];
const NOT_VIP: [&str; 2] = ["203.0.114.10", "2001:db8:fe::10"];

/// Index of an address family in the lists above.
const FAMILIES: [usize; 2] = [0, 1];

/// Outer and inner family, and their counter.
const COMBINATIONS: [(usize, usize, Counter); 4] = [
    (0, 0, Counter::Decap4In4),
    (0, 1, Counter::Decap6In4),
    (1, 0, Counter::Decap4In6),
    (1, 1, Counter::Decap6In6),
];

fn kernel() -> Option<Kernel> {
    Kernel::new(
        &["192.0.2.0/29", "2001:db8::1"],
        &["203.0.113.0/24", "2001:db8:ff::/48"],
        &["192.0.2.7", "2001:db8::7"],
    )
}

/// What an L4 node puts around the client's packets.
fn outer(family: usize) -> Header {
    Header::new(L4[family], L7[family])
}

/// The header of the client's packets.
fn inner(family: usize) -> Header {
    Header::new(CLIENT[family], VIP[family])
}

#[test]
fn the_inner_packet_comes_out_untouched_in_every_combination_of_families() {
    let Some(kernel) = kernel() else { return };
    for (o, i, counter) in COMBINATIONS {
        let packet = inner(i).ttl(1).carrying(b"a datagram");
        let out = frame(&packet);
        let tunnelled = frame(&tunnel(&outer(o), &packet));
        kernel.expect(&tunnelled, Outcome::Passed(out), &[counter]);
    }
}

#[test]
fn what_is_no_tunnel_passes_untouched() {
    let Some(kernel) = kernel() else { return };
    let mut packets: Vec<_> =
        FAMILIES.iter().map(|&f| frame(&Header::new(CLIENT[f], L7[f]).carrying(b"x"))).collect();
    // An ARP request, and headers that do not parse.
    packets.push([&frame(&inner(0).carrying(b"x"))[..12], &[0x08, 0x06], &[0; 28]].concat());
    let tunnelled = frame(&tunnel(&outer(0), &inner(0).carrying(b"x")));
    for (version_and_length, total_length) in [(0x65, 60), (0x44, 60), (0x4f, 59), (0x45, 19)] {
        let mut wrong = tunnelled.clone();
        wrong[14] = version_and_length;
        wrong[17] = total_length;
        packets.push(wrong);
    }
    // An extension header behind an extension header.
    let behind = [&[60, 0][..], &[0; 6], &[4, 0], &[0; 6], &inner(0).carrying(b"x")].concat();
    packets.push(frame(&outer(1).protocol(60).carrying(&behind)));

    for packet in packets {
        kernel.expect(&packet, Outcome::Passed(packet.clone()), &[Counter::NotTunnel]);
    }
}

fn tunnel_only() -> Option<Kernel> {
    let mut kernel = kernel()?;
    kernel.set_rules(&crate::Rules {
        allow: L4.map(|address| address.parse().unwrap()).into(),
        vips: VIP.map(|address| address.parse().unwrap()).into(),
        addresses: L7.map(|address| address.parse().unwrap()).into(),
        tunnel_only: true,
    });
    Some(kernel)
}

#[test]
fn only_what_comes_to_a_vip_past_the_tunnel_is_direct() {
    let Some(kernel) = tunnel_only() else { return };
    for f in FAMILIES {
        let passes = |packet: Vec<u8>, counter| {
            kernel.expect(&frame(&packet), Outcome::Passed(frame(&packet)), &[counter]);
        };
        let drops = |packet: Vec<u8>| {
            kernel.expect(&frame(&packet), Outcome::Dropped, &[Counter::DropDirect]);
        };
        passes(Header::new(CLIENT[f], L7[f]).carrying(b"x"), Counter::NotTunnel);
        passes(Header::new(CLIENT[f], NOT_VIP[f]).carrying(b"x"), Counter::NotTunnel);
        drops(inner(f).carrying(b"x"));
        // An L4 node is no exception, nor are fragments and options.
        drops(Header::new(L4[f], VIP[f]).carrying(b"x"));
        drops(inner(f).fragment(true, 0).carrying(b"x"));
        drops(inner(f).fragment(false, 64).carrying(b"x"));
        drops(inner(f).options(Extension::Destination).carrying(b"x"));
        // A tunnel to a VIP is none of ours.
        drops(tunnel(&inner(f), &inner(f).carrying(b"x")));
        let other = Header::new(CLIENT[f], NOT_VIP[f]);
        passes(tunnel(&other, &inner(f).carrying(b"x")), Counter::NotOurs);
    }
}

#[test]
fn neighbor_discovery_of_the_link_is_not_direct() {
    const ICMPV6: u8 = 58;
    const ECHO_REQUEST: u8 = 128;
    let Some(kernel) = tunnel_only() else { return };
    let to_vip = |ttl, kind| frame(&inner(1).protocol(ICMPV6).ttl(ttl).carrying(&[kind; 24]));
    for kind in 133..=137 {
        let packet = to_vip(255, kind);
        kernel.expect(&packet, Outcome::Passed(packet.clone()), &[Counter::NotTunnel]);
        // From further away.
        kernel.expect(&to_vip(254, kind), Outcome::Dropped, &[Counter::DropDirect]);
    }
    for kind in [ECHO_REQUEST, 132, 138] {
        kernel.expect(&to_vip(255, kind), Outcome::Dropped, &[Counter::DropDirect]);
    }
}

#[test]
fn tunnels_to_other_addresses_pass_untouched_whoever_sends_them() {
    let Some(kernel) = kernel() else { return };
    for source in [L4, STRANGER] {
        for (o, i, _) in COMBINATIONS {
            let outer = Header::new(source[o], NOT_VIP[o]);
            let packet = frame(&tunnel(&outer, &inner(i).carrying(b"x")));
            kernel.expect(&packet, Outcome::Passed(packet.clone()), &[Counter::NotOurs]);
        }
    }
}

#[test]
fn a_source_that_is_not_allowed_is_dropped() {
    let Some(kernel) = kernel() else { return };
    for (o, i, _) in COMBINATIONS {
        let outer = Header::new(STRANGER[o], L7[o]);
        let packet = frame(&tunnel(&outer, &inner(i).carrying(b"x")));
        kernel.expect(&packet, Outcome::Dropped, &[Counter::DropSource]);
    }
}

#[test]
fn an_ipv4_source_is_not_allowed_as_an_ipv6_one() {
    let Some(kernel) = kernel() else { return };
    for disguise in ["::ffff:192.0.2.1", "::192.0.2.1", "c000:201::"] {
        let packet = tunnel(&Header::new(disguise, L7[1]), &inner(1).carrying(b"x"));
        kernel.expect(&frame(&packet), Outcome::Dropped, &[Counter::DropSource]);
    }
}

#[test]
fn prefixes_end_where_they_end() {
    let Some(kernel) = kernel() else { return };
    let send = |source, vip| {
        frame(&tunnel(&Header::new(source, L7[0]), &Header::new(CLIENT[0], vip).carrying(b"x")))
    };
    for source in ["192.0.1.255", "192.0.2.8"] {
        kernel.expect(&send(source, VIP[0]), Outcome::Dropped, &[Counter::DropSource]);
    }
    for vip in ["203.0.112.255", "203.0.114.0"] {
        kernel.expect(&send("192.0.2.0", vip), Outcome::Dropped, &[Counter::DropNotVip]);
    }
    for (source, vip) in [("192.0.2.0", "203.0.113.0"), ("192.0.2.6", "203.0.113.255")] {
        let out = frame(&Header::new(CLIENT[0], vip).carrying(b"x"));
        kernel.expect(&send(source, vip), Outcome::Passed(out), &[Counter::Decap4In4]);
    }
}

#[test]
fn an_inner_destination_that_is_no_vip_is_dropped() {
    let Some(kernel) = kernel() else { return };
    for destination in [NOT_VIP, L7, L4] {
        for (o, i, _) in COMBINATIONS {
            let inner = Header::new(CLIENT[i], destination[i]);
            let packet = frame(&tunnel(&outer(o), &inner.carrying(b"x")));
            kernel.expect(&packet, Outcome::Dropped, &[Counter::DropNotVip]);
        }
    }
}

#[test]
fn outer_fragments_are_dropped_first_middle_and_last() {
    let Some(kernel) = kernel() else { return };
    for (more, offset) in [(true, 0), (true, 185), (false, 185)] {
        for (o, i, _) in COMBINATIONS {
            let outer = outer(o).fragment(more, offset);
            let packet = frame(&tunnel(&outer, &inner(i).carrying(b"x")));
            kernel.expect(&packet, Outcome::Dropped, &[Counter::DropOuterFragment]);
        }
    }
}

#[test]
fn outer_options_are_dropped() {
    let Some(kernel) = kernel() else { return };
    for (o, i, _) in COMBINATIONS {
        for extension in [Extension::HopByHop, Extension::Destination, Extension::Routing] {
            let outer = outer(o).options(extension);
            let packet = frame(&tunnel(&outer, &inner(i).carrying(b"x")));
            kernel.expect(&packet, Outcome::Dropped, &[Counter::DropOuterOptions]);
        }
    }
}

#[test]
fn strangers_learn_nothing_of_what_else_is_wrong() {
    let Some(kernel) = kernel() else { return };
    for (o, i, _) in COMBINATIONS {
        let stranger = Header::new(STRANGER[o], L7[o]);
        for outer in [stranger.fragment(true, 0), stranger.options(Extension::Destination)] {
            let packet = frame(&tunnel(&outer, &inner(i).carrying(b"x")));
            kernel.expect(&packet, Outcome::Dropped, &[Counter::DropSource]);
        }
    }
}

#[test]
fn inner_fragments_and_options_are_the_kernels_business() {
    let Some(kernel) = kernel() else { return };
    for (o, i, counter) in COMBINATIONS {
        for inner in [inner(i).fragment(true, 185), inner(i).options(Extension::Destination)] {
            let packet = inner.carrying(b"x");
            let out = Outcome::Passed(frame(&packet));
            kernel.expect(&frame(&tunnel(&outer(o), &packet)), out, &[counter]);
        }
    }
}

#[test]
fn an_inner_header_that_does_not_parse_is_dropped() {
    let Some(kernel) = kernel() else { return };
    for (o, i, _) in COMBINATIONS {
        let good = inner(i).carrying(&[0; 40]);
        let other_version = [&[(good[0] & 0x0f) | 0x50][..], &good[1..]].concat();
        let mut wrong = vec![other_version];
        if i == 0 {
            // A header of 16 bytes; one longer than its packet.
            wrong.push([&[0x44][..], &good[1..]].concat());
            wrong.push([&good[..2], &[0, 19], &good[4..]].concat());
        }
        for inner in wrong {
            let packet = frame(&outer(o).protocol([4, 41][i]).carrying(&inner));
            kernel.expect(&packet, Outcome::Dropped, &[Counter::DropInnerMalformed]);
        }
        // The outer header announces the other version.
        let packet = frame(&outer(o).protocol([41, 4][i]).carrying(&good));
        kernel.expect(&packet, Outcome::Dropped, &[Counter::DropInnerMalformed]);
    }
}

#[test]
fn an_inner_packet_longer_than_the_outer_one_is_dropped() {
    let Some(kernel) = kernel() else { return };
    for (o, i, counter) in COMBINATIONS {
        let inner = inner(i).carrying(b"four");
        let shorter = outer(o).protocol([4, 41][i]).stating(inner.len() - 1);
        // The frame is long enough, even longer: it is padded.
        let packet = [frame(&shorter.carrying(&inner)), vec![0; 8]].concat();
        kernel.expect(&packet, Outcome::Dropped, &[Counter::DropShort]);

        let packet = [frame(&tunnel(&outer(o), &inner)), vec![0; 8]].concat();
        let out = [frame(&inner), vec![0; 8]].concat();
        kernel.expect(&packet, Outcome::Passed(out), &[counter]);
    }
}

#[test]
fn a_frame_cut_anywhere_is_dropped_or_left_alone() {
    let Some(kernel) = kernel() else { return };
    for (o, i, counter) in COMBINATIONS {
        let whole = frame(&tunnel(&outer(o), &inner(i).carrying(b"four")));
        for length in packet::ETHERNET..whole.len() {
            let cut = &whole[..length];
            let reaches_inner = length >= packet::ETHERNET + [20, 40][o];
            if reaches_inner {
                kernel.expect(cut, Outcome::Dropped, &[Counter::DropShort]);
            } else {
                kernel.expect(cut, Outcome::Passed(cut.to_vec()), &[Counter::NotTunnel]);
            }
        }
        let out = frame(&inner(i).carrying(b"four"));
        kernel.expect(&whole, Outcome::Passed(out), &[counter]);
    }
}

/// RFC 6040, figure 4: (inner, outer) as they arrive, what the inner one leaves with.
const RFC_6040: [(u8, u8, Option<u8>); 16] = [
    (NOT_ECT, NOT_ECT, Some(NOT_ECT)),
    (NOT_ECT, ECT_0, Some(NOT_ECT)),
    (NOT_ECT, ECT_1, Some(NOT_ECT)),
    (NOT_ECT, CE, None),
    (ECT_0, NOT_ECT, Some(ECT_0)),
    (ECT_0, ECT_0, Some(ECT_0)),
    (ECT_0, ECT_1, Some(ECT_1)),
    (ECT_0, CE, Some(CE)),
    (ECT_1, NOT_ECT, Some(ECT_1)),
    (ECT_1, ECT_0, Some(ECT_1)),
    (ECT_1, ECT_1, Some(ECT_1)),
    (ECT_1, CE, Some(CE)),
    (CE, NOT_ECT, Some(CE)),
    (CE, ECT_0, Some(CE)),
    (CE, ECT_1, Some(CE)),
    (CE, CE, Some(CE)),
];

#[test]
fn ecn_is_carried_inward_as_rfc_6040_says() {
    let Some(kernel) = kernel() else { return };
    for (o, i, decap) in COMBINATIONS {
        for (inner_ecn, outer_ecn, left) in RFC_6040 {
            // The other six bits of the byte are the DSCP, which stays what it was.
            let arriving = inner(i).dscp(46).ecn(inner_ecn).carrying(b"x");
            let packet = frame(&tunnel(&outer(o).dscp(10).ecn(outer_ecn), &arriving));
            match left {
                None => kernel.expect(&packet, Outcome::Dropped, &[Counter::DropEcn]),
                Some(ecn) => {
                    // Made anew, so that its checksum is computed, not adjusted.
                    let out = Outcome::Passed(frame(&inner(i).dscp(46).ecn(ecn).carrying(b"x")));
                    let both = [decap, Counter::EcnCarried];
                    let counters = if ecn == inner_ecn { &both[..1] } else { &both[..] };
                    kernel.expect(&packet, out, counters);
                }
            }
        }
    }
}

#[test]
fn the_checksum_is_right_whatever_it_was_before_the_mark() {
    let Some(kernel) = kernel() else { return };
    let checksum = |packet: &[u8]| u16::from_be_bytes([packet[10], packet[11]]);
    let without_id = checksum(&inner(0).id(0).ecn(ECT_0).carrying(b"x"));
    // All carries: 0xff00 is where adding one to the field's byte carries twice.
    for wanted in (0..u16::MAX).step_by(0x100).chain([0x0001, 0x00ff, 0xfeff, 0xff01, 0xfffe]) {
        // The identification that makes it so, in ones' complement (RFC 1071).
        let (id, carry) = without_id.overflowing_add(!wanted);
        let inner = inner(0).id(id + u16::from(carry));
        let packet = inner.ecn(ECT_0).carrying(b"x");
        assert_eq!(checksum(&packet), wanted);
        let out = Outcome::Passed(frame(&inner.ecn(CE).carrying(b"x")));
        let packet = frame(&tunnel(&outer(0).ecn(CE), &packet));
        kernel.expect(&packet, out, &[Counter::Decap4In4, Counter::EcnCarried]);
    }
}

#[test]
fn new_rules_replace_the_old_ones() {
    let Some(mut kernel) = kernel() else { return };
    let packet = frame(&tunnel(&outer(0), &inner(0).carrying(b"x")));
    let out = || Outcome::Passed(frame(&inner(0).carrying(b"x")));
    kernel.expect(&packet, out(), &[Counter::Decap4In4]);

    kernel.set(&["192.0.2.1"], &["203.0.113.10", "203.0.113.12"], &["192.0.2.7"]);
    kernel.expect(&packet, out(), &[Counter::Decap4In4]);
    kernel.set(&["192.0.2.2"], &["203.0.113.10"], &["192.0.2.7"]);
    kernel.expect(&packet, Outcome::Dropped, &[Counter::DropSource]);
    kernel.set(&["192.0.2.0/24"], &["203.0.113.11"], &["192.0.2.7"]);
    kernel.expect(&packet, Outcome::Dropped, &[Counter::DropNotVip]);
    kernel.set(&["192.0.2.0/24"], &["203.0.113.10"], &["192.0.2.8"]);
    kernel.expect(&packet, Outcome::Passed(packet.clone()), &[Counter::NotOurs]);
    kernel.set(&[], &[], &[]);
    kernel.expect(&packet, Outcome::Passed(packet.clone()), &[Counter::NotOurs]);
}

#[test]
fn as_many_prefixes_as_are_promised_can_all_be_replaced() {
    let Some(mut kernel) = kernel() else { return };
    let prefixes = |net: u8| -> Vec<String> {
        (0..crate::Rules::MOST_PREFIXES)
            .map(|n| format!("{net}.{}.{}.0/24", n / 256, n % 256))
            .collect()
    };
    for net in [10, 11] {
        let all = prefixes(net);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        kernel.set(&all, &[VIP[0]], &[L7[0]]);
        let source = format!("{net}.15.255.9");
        let packet = tunnel(&Header::new(&source, L7[0]), &inner(0).carrying(b"x"));
        let out = Outcome::Passed(frame(&inner(0).carrying(b"x")));
        kernel.expect(&frame(&packet), out, &[Counter::Decap4In4]);
    }
}
