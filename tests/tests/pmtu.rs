//! Packets that do not fit the tunnel: avoided by L7 nodes that ask for smaller segments, else their
//! senders are told, else they are fragmented.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::thread;

use api::CaptureFilter;
use lab::{ECHO_PORT, Lab, VIP, Wire};
use system_tests::{SOON, URLS, VIPS};

const UPLOAD: usize = 1_000_000;
/// Length of a frame's header.
const ETHERNET: u32 = 14;

/// Uploads to each VIP; the answer tells how much came.
fn upload(lab: &Lab) {
    for url in URLS {
        let answer = lab.client().post(url, &vec![b'x'; UPLOAD]).unwrap();
        assert_eq!(answer.body, format!("{UPLOAD}\n").as_bytes(), "{url}");
    }
}

/// L7 nodes that do not know of the tunnel: no `advmss` on their routes.
fn forget_advmss(lab: &Lab) {
    let router = lab.router().fabric();
    for l7 in lab.l7s() {
        let lines = format!(
            "route replace 0.0.0.0/0 via {}\nroute replace ::/0 via {}\n",
            router.v4, router.v6
        );
        l7.namespace().ip(&lines).unwrap();
    }
}

/// The MTU that the client has learned for its way to a VIP.
fn learned_mtu(lab: &Lab, vip: IpAddr) -> Option<u16> {
    let route = lab.client().namespace().run("ip", &["route", "get", &vip.to_string()]).unwrap();
    let mut words = route.split_whitespace();
    words.find(|&word| word == "mtu")?;
    words.next()?.parse().ok()
}

#[test]
fn uploads_pass_whole_where_l7_nodes_ask_for_segments_that_fit() {
    let lab = Lab::new().l4(1).start();
    upload(&lab);
    let stats = lab.l4(1).stats();
    for counter in ["too_big_replied", "fragmented", "drop_too_big", "drop_too_big_limit"] {
        assert_eq!(stats.counters[counter], 0, "{counter}");
    }
    assert_eq!(VIPS.map(|vip| learned_mtu(&lab, vip)), [None, None]);
}

#[test]
fn uploads_pass_whole_where_the_fabric_has_room_for_full_size_packets_in_a_tunnel() {
    let lab = Lab::new().l4(1).wire(Wire::AfPacket).start();
    let l4 = lab.l4(1);
    for vip in VIPS {
        let filter = CaptureFilter {
            packets: 200,
            timeout_ms: 60_000,
            reason: Some("forwarded".into()),
            destination: Some(vip.into()),
            ..CaptureFilter::default()
        };
        let forwarded = thread::scope(|scope| {
            let capture = scope.spawn(|| l4.capture(&filter));
            while !capture.is_finished() {
                upload(&lab);
            }
            capture.join().unwrap()
        });
        let longest = forwarded.iter().map(|packet| packet.length).max();
        assert_eq!(longest, Some(ETHERNET + 1500), "{vip}");
    }
    let stats = l4.stats();
    assert_eq!((stats.counters["too_big_replied"], stats.counters["fragmented"]), (0, 0));
}

#[test]
fn senders_are_told_what_fits_and_their_uploads_pass() {
    let lab = Lab::new().l4(1).start();
    forget_advmss(&lab);
    upload(&lab);
    assert!(lab.l4(1).counter("too_big_replied") >= 2, "one for each family");
    let learned = VIPS.map(|vip| learned_mtu(&lab, vip));
    assert_eq!(learned, [Some(1500 - 20), Some(1500 - 40)]);
}

#[test]
fn datagrams_without_df_are_fragmented_before_the_tunnel_and_arrive_whole() {
    let lab = Lab::new().l4(1).start();
    // Sockets of this client leave DF out.
    lab.client().namespace().sysctl(&[("net.ipv4.ip_no_pmtu_disc", "1")]).unwrap();
    let sent: Vec<u8> = (0..=u8::MAX).cycle().take(1500 - 28).collect();
    let mut received = Vec::new();
    lab.wait_until("the datagram comes back", SOON, || {
        match lab.client().udp_exchange((VIP, ECHO_PORT).into(), &sent) {
            Ok((_, data)) => received = data,
            Err(_) => return false,
        }
        true
    });
    assert!(received == sent, "it arrives as it was sent");
    assert!(lab.l4(1).counter("fragmented") >= 1);
    assert_eq!(lab.l4(1).counter("too_big_replied"), 0);
}
