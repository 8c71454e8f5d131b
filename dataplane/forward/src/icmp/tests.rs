//! What is what, and the packets that the tests of replies and quotes begin with.

use packet::build::{self, Ip};
use packet::{Buffer, Mac, summarize, tcp};

use super::*;

pub(super) const NODE: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(super) const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 3]);

/// Client and VIP of both families.
pub(super) const ENDS: [[&str; 2]; 2] =
    [["203.0.113.9", "198.51.100.1"], ["2001:db8:c::9", "2001:db8:198::1"]];

/// From the client to the VIP.
pub(super) fn request([client, vip]: [&str; 2]) -> Ip {
    Ip::between(client, vip).ttl(57)
}

/// From the VIP to the client.
pub(super) fn answer([client, vip]: [&str; 2]) -> Ip {
    Ip::between(vip, client).ttl(64)
}

/// A frame from the router, and its packet's summary.
pub(super) fn received(vlan: Option<u16>, packet: &[u8]) -> (Buffer, Summary) {
    let frame = Buffer::new(&build::frame(NODE, ROUTER, vlan, packet));
    let summary = summary(&frame, vlan);
    (frame, summary)
}

pub(super) fn summary(frame: &Buffer, vlan: Option<u16>) -> Summary {
    let l3 = if vlan.is_some() { 18 } else { 14 };
    summarize(frame.bytes(), l3, frame.total_len()).unwrap()
}

/// A frame to the router.
pub(super) fn sent(vlan: Option<u16>, packet: &[u8]) -> Vec<u8> {
    build::frame(ROUTER, NODE, vlan, packet)
}

fn kind_of(packet: Ip) -> Kind {
    let (frame, summary) = received(None, &packet.build());
    kind(frame.bytes(), &summary)
}

#[test]
fn errors_echo_requests_and_the_rest_are_told_apart() {
    let [v4, v6] = ENDS;
    for message_type in [3, 4, 11, 12] {
        assert_eq!(kind_of(request(v4).icmp(message_type, 0, 0, b"")), Kind::Error);
    }
    for message_type in [1, 2, 3, 4, 127] {
        assert_eq!(kind_of(request(v6).icmp(message_type, 0, 0, b"")), Kind::Error);
    }
    assert_eq!(kind_of(request(v4).icmp(8, 0, 0, b"")), Kind::EchoRequest);
    assert_eq!(kind_of(request(v6).icmp(128, 0, 0, b"")), Kind::EchoRequest);
    for message_type in [0, 5, 9, 10, 13, 17, 128] {
        assert_eq!(kind_of(request(v4).icmp(message_type, 0, 0, b"")), Kind::Other);
    }
    for message_type in [129, 133, 135, 137, 8 | 128] {
        assert_eq!(kind_of(request(v6).icmp(message_type, 0, 0, b"")), Kind::Other);
    }
}

#[test]
fn icmp_of_the_other_family_or_cut_short_is_none() {
    let [v4, v6] = ENDS;
    assert_eq!(kind_of(request(v4).payload(protocol::ICMPV6, &[128; 8])), Kind::Other);
    assert_eq!(kind_of(request(v6).payload(protocol::ICMP, &[8; 8])), Kind::Other);
    assert_eq!(kind_of(request(v4).payload(protocol::ICMP, &[8; 7])), Kind::Other);
}

fn answerable(packet: Ip) -> bool {
    let (frame, summary) = received(None, &packet.build());
    may_answer(&summary, &frame)
}

#[test]
fn packets_and_first_fragments_may_be_answered() {
    for ends in ENDS {
        assert!(answerable(request(ends).tcp(5000, 80, tcp::SYN, b"")));
        assert!(answerable(request(ends).udp(5000, 53, b"")));
        assert!(answerable(request(ends).udp(5000, 53, b"").fragment(1, 0, true)));
        let echo = if ends == ENDS[0] { 8 } else { 128 };
        assert!(answerable(request(ends).icmp(echo, 0, 0, b"")));
    }
}

#[test]
fn errors_redirects_and_later_fragments_are_never_answered() {
    let [v4, v6] = ENDS;
    for message_type in [3, 4, 5, 11, 12] {
        assert!(!answerable(request(v4).icmp(message_type, 0, 0, b"")));
    }
    for message_type in [1, 2, 3, 4, 100, 137] {
        assert!(!answerable(request(v6).icmp(message_type, 0, 0, b"")));
    }
    assert!(!answerable(request(v4).payload(protocol::ICMP, &[8])));
    for ends in ENDS {
        assert!(!answerable(request(ends).udp(5000, 53, b"").fragment(1, 8, false)));
    }
}

#[test]
fn what_is_not_one_host_is_never_answered() {
    for source in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"] {
        assert!(!answerable(Ip::between(source, "198.51.100.1").udp(5000, 53, b"")), "{source}");
    }
    for source in ["::", "::1", "ff02::1"] {
        assert!(!answerable(Ip::between(source, "2001:db8:198::1").udp(5000, 53, b"")), "{source}");
    }
    assert!(!answerable(Ip::between("203.0.113.9", "224.0.0.5").udp(5000, 53, b"")));

    let packet = request(ENDS[0]).udp(5000, 53, b"").build();
    for mac in [Mac::BROADCAST, Mac([0x01, 0, 0x5e, 0, 0, 5])] {
        let frame = Buffer::new(&build::frame(mac, ROUTER, None, &packet));
        assert!(!may_answer(&summary(&frame, None), &frame));
    }
}
