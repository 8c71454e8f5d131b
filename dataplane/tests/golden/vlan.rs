//! A port whose frames are tagged: in, out, and in answers.

use packet::build::{self, Ip};
use packet::icmp;

use crate::case::{Case, check_with};
use crate::site::{CLIENT, CLIENT6, DNS, PORT, ROUTER, VIP, VIP_OVER6, VIP6, WEB, tcp, udp};

const VLAN: u16 = 7;

fn tag(id: u16) -> impl FnOnce(&mut Vec<u8>) {
    move |frame| {
        frame.splice(12..12, [0x81, 0x00].into_iter().chain(id.to_be_bytes()));
    }
}

#[test]
fn frames_of_the_ports_vlan_pass_with_its_tag_and_no_others_do() {
    const OTHER: &str = "drop_other_vlan";
    let (v4, v6) = (tcp(CLIENT, 1, VIP, WEB), udp(CLIENT6, 1, VIP6, DNS));
    let over6 = tcp(CLIENT, 1, VIP_OVER6, WEB);
    let echo = |from: &str, to: &str, kind: u8| Ip::between(from, to).icmp(kind, 0, 5, b"hello");
    let request =
        build::frame(PORT, ROUTER, Some(VLAN), &echo(CLIENT, VIP, icmp::v4::ECHO_REQUEST).build());
    let reply =
        build::frame(ROUTER, PORT, Some(VLAN), &echo(VIP, CLIENT, icmp::v4::ECHO_REPLY).build());
    let big = v4.carry(v4.ip().id(3), 0, &[1; 1460]);
    let fragments = udp(CLIENT6, 2, VIP6, DNS);
    let [first, second] = fragments.packet(&[5; 100]).fragments(8, 64).try_into().unwrap();
    check_with(
        &["--vlan", "7"],
        Some(VLAN),
        &[
            Case::tunnelled("IPv4", v4, v4.packet(b"some data")).in_frame(tag(VLAN)),
            Case::tunnelled("IPv6", v6, v6.packet(b"some data")).in_frame(tag(VLAN)),
            Case::tunnelled("4 in 6", over6, over6.packet(b"some data")).in_frame(tag(VLAN)),
            Case::tunnelled("with a priority", v4, v4.packet(b"soon"))
                .in_frame(tag(5 << 13 | VLAN)),
            Case::frame_answered("an echo request", request, reply, "echo_replied"),
            Case::made_into("too big", v4, &big.clone().build(), big.fragments(3, 1456))
                .in_frame(tag(VLAN))
                .also("fragmented"),
            Case::made_into("a later fragment", fragments, &second, vec![second.clone()])
                .in_frame(tag(VLAN))
                .also("fragment_held"),
            Case::made_into("its first one", fragments, &first, vec![first.clone()])
                .in_frame(tag(VLAN)),
            Case::dropped("another VLAN", &v4.packet(b"x").build(), OTHER).in_frame(tag(8)),
            Case::dropped("without a tag", &v4.packet(b"x").build(), OTHER),
        ],
    );
}
