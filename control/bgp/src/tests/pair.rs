//! Two speakers, and one speaker against a well-behaved peer.

use std::collections::BTreeSet;

use netgauze_bgp_pkt::path_attribute::PathAttributeValue;

use super::fake::{self, Fake, HIGH, restart_bits};
use super::*;

#[tokio::test]
async fn two_speakers_come_up_and_one_announces() {
    let (l4, edge) = (speaker("127.0.1.1"), speaker("127.0.1.2"));
    let to_edge = neighbor("edge", "127.0.1.1", edge.addresses()[0]);
    let to_l4 = router("l4", "127.0.1.2", l4.addresses()[0]);
    let routes = [route("198.51.100.1/32"), route("2001:db8:100::1/128")];
    edge.set(wanted(&[(&to_l4, &[])]));
    l4.set(wanted(&[(&to_edge, &routes)]));

    let status = established(&l4, "edge").await;
    assert_eq!((status.peer_id, status.peer_as), (Some(router_id("127.0.1.2")), 65000));
    assert_eq!(status.families, Families::ALL);
    assert!(status.graceful_restart && status.route_refresh && !status.extended_next_hop);
    assert_eq!((status.why, status.established, status.dropped), (None, 1, 0));
    // Two UPDATEs, and End-of-RIB of two families.
    status_when(&edge, "l4", "told", |s| s.counters.updates_in == 4).await;
    l4.flushed().await;
    let told = status_when(&l4, "edge", "announced", |s| s.announced.len() == 2).await;
    assert_eq!(&*told.announced, &routes);

    l4.set(wanted(&[(&to_edge, &[])]));
    status_when(&l4, "edge", "withdrawn", |s| s.announced.is_empty()).await;
    status_when(&edge, "l4", "told", |s| s.counters.updates_in == 6).await;

    edge.leave().await;
    failed(&l4, "edge", "they sent NOTIFICATION cease/administrative shutdown").await;
}

#[tokio::test]
async fn two_active_speakers_settle_on_one_session() {
    let (one, two) = (speaker("127.0.2.1"), speaker("127.0.2.2"));
    let to_two = neighbor("two", "127.0.2.1", two.addresses()[0]);
    let to_one = Neighbor { passive: false, ..router("one", "127.0.2.2", one.addresses()[0]) };
    two.set(wanted(&[(&to_one, &[])]));
    one.set(wanted(&[(&to_two, &[route("198.51.100.1/32")])]));
    // Whichever connection it is, both mean the same: what one says, the other hears.
    status_when(&two, "one", "told", |s| s.counters.updates_in >= 3).await;
    let status = established(&one, "two").await;
    assert!(status.dropped <= 1, "{status:#?}");
}

#[tokio::test]
async fn attributes_arrive_and_a_withdrawal_precedes_an_announcement() {
    let listener = fake::listen("127.0.3.2").await;
    let l4 = speaker("127.0.3.1");
    let edge = neighbor("edge", "127.0.3.1", listener.local_addr().unwrap());
    let attributes = Attributes {
        med: Some(50),
        local_pref: Some(7),
        prepend: 2,
        communities: BTreeSet::from([Attributes::GRACEFUL_SHUTDOWN, 0xfde8_0001]),
        large_communities: BTreeSet::from([(65000, 1, 2)]),
    };
    l4.set(wanted(&[(&edge, &[route_with("198.51.100.1/32", attributes)])]));

    let mut peer = Fake::accept(&listener).await;
    peer.establish(&fake::open(HIGH, 90)).await;
    let update = peer.update().await;
    assert_eq!(update.announced, ["198.51.100.1/32".parse().unwrap()]);
    let said: Vec<_> = update.attributes.iter().map(|a| format!("{a:?}")).collect();
    for part in [
        "NextHop { next_hop: 192.0.2.11 }",
        "[4200065001, 4200065001, 4200065001]",
        "MultiExitDiscriminator { metric: 50 }",
        "4294901760",
        "4259840001",
    ] {
        assert!(said.iter().any(|said| said.contains(part)), "{part} in {said:#?}");
    }
    // Not to another AS.
    let local = |a: &PathAttributeValue| matches!(a, PathAttributeValue::LocalPreference(_));
    assert!(!update.attributes.iter().any(local));
    assert!(peer.update().await.end_of_rib && peer.update().await.end_of_rib);

    l4.set(wanted(&[(&edge, &[route("198.51.100.2/32")])]));
    assert_eq!(peer.update().await.withdrawn, ["198.51.100.1/32".parse().unwrap()]);
    assert_eq!(peer.update().await.announced, ["198.51.100.2/32".parse().unwrap()]);
}

#[tokio::test]
async fn five_hundred_routes_reach_the_socket_in_a_few_messages() {
    let listener = fake::listen("127.0.4.2").await;
    let l4 = speaker("127.0.4.1");
    let edge = neighbor("edge", "127.0.4.1", listener.local_addr().unwrap());
    let prefix = |i: u32| format!("198.51.{}.{}/32", 100 + i / 256, i % 256);
    let routes: Vec<_> = (0..500).map(|i| route(&prefix(i))).collect();
    l4.set(wanted(&[(&edge, &routes)]));
    let mut peer = Fake::accept(&listener).await;
    peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(peer.update().await.announced.len(), 500);
    l4.flushed().await;
    let status = status_when(&l4, "edge", "told", |s| s.announced.len() == 500).await;
    assert_eq!(status.counters.updates_out, 3, "one, and two End-of-RIB");
}

#[tokio::test]
async fn end_of_rib_waits_until_the_routes_are_complete() {
    let listener = fake::listen("127.0.5.2").await;
    let l4 = started("127.0.5.1", true);
    let edge = neighbor("edge", "127.0.5.1", listener.local_addr().unwrap());
    let routes = [route("198.51.100.1/32")];
    l4.set(Wanted { settled: false, ..wanted(&[(&edge, &routes)]) });
    let mut peer = Fake::accept(&listener).await;
    let open = peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(restart_bits(&open), Some((true, false, vec![true, true])));
    assert_eq!(peer.update().await.announced.len(), 1);
    l4.flushed().await;
    let status = status_when(&l4, "edge", "told", |s| s.announced.len() == 1).await;
    assert_eq!(status.counters.updates_out, 1, "no End-of-RIB");

    // Lost before End-of-RIB: still the same restart.
    drop(peer);
    let mut peer = Fake::accept(&listener).await;
    let open = peer.establish(&fake::open(HIGH, 90)).await;
    assert!(restart_bits(&open).unwrap().0);
    assert_eq!(peer.update().await.announced.len(), 1);
    l4.set(wanted(&[(&edge, &routes)]));
    assert!(peer.update().await.end_of_rib && peer.update().await.end_of_rib);

    // From then on it is a session like any other, and F stays.
    drop(peer);
    let mut peer = Fake::accept(&listener).await;
    let open = peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(restart_bits(&open), Some((false, false, vec![true, true])));
}

#[tokio::test]
async fn a_first_start_preserves_nothing_and_a_session_that_is_lost_later_does() {
    let listener = fake::listen("127.0.5.4").await;
    let listen = vec!["127.0.5.3:0".parse().unwrap()];
    let l4 = Speaker::start(Start { listen, restarted: false, forwarding: false }).unwrap();
    let edge = neighbor("edge", "127.0.5.3", listener.local_addr().unwrap());
    l4.set(wanted(&[(&edge, &[])]));
    let mut peer = Fake::accept(&listener).await;
    let open = peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(restart_bits(&open), Some((false, false, vec![false, false])));
    assert!(peer.update().await.end_of_rib && peer.update().await.end_of_rib);
    drop(peer);
    let mut peer = Fake::accept(&listener).await;
    let open = peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(restart_bits(&open), Some((false, false, vec![true, true])));
}

#[tokio::test]
async fn who_does_not_know_end_of_rib_is_not_told() {
    let listener = fake::listen("127.0.6.2").await;
    let l4 = speaker("127.0.6.1");
    let edge = neighbor("edge", "127.0.6.1", listener.local_addr().unwrap());
    l4.set(wanted(&[(&edge, &[route("198.51.100.1/32")])]));
    let mut peer = Fake::accept(&listener).await;
    let plain =
        Neighbor { local_as: 65000, router_id: HIGH, restart_time: Duration::ZERO, ..edge.clone() };
    let offer = crate::message::Offer { neighbor: &plain, restarted: false, forwarding: false };
    peer.establish(&offer.encode()).await;
    assert_eq!(peer.update().await.announced.len(), 1);
    l4.leave().await;
    let (updates, last) = peer.rest().await;
    assert!(updates.iter().all(|update| !update.end_of_rib));
    assert_eq!(last, Some((6, 2)));
}

#[tokio::test]
async fn leaving_withdraws_before_it_says_so_and_staying_says_nothing() {
    for (address, leaves) in [("127.0.7.2", true), ("127.0.7.4", false)] {
        let listener = fake::listen(address).await;
        let l4 = speaker("127.0.7.1");
        let edge = neighbor("edge", "127.0.7.1", listener.local_addr().unwrap());
        let routes = [route("198.51.100.1/32"), route("2001:db8::1/128")];
        l4.set(wanted(&[(&edge, &routes)]));
        let mut peer = Fake::accept(&listener).await;
        peer.establish(&fake::open(HIGH, 90)).await;
        for _ in 0..4 {
            peer.update().await;
        }
        if leaves {
            l4.leave().await;
        } else {
            l4.stay();
        }
        let (updates, last) = peer.rest().await;
        let withdrawn: usize = updates.iter().map(|update| update.withdrawn.len()).sum();
        assert_eq!((withdrawn, last), if leaves { (2, Some((6, 2))) } else { (0, None) });
    }
}

#[tokio::test]
async fn a_dropped_speaker_stays() {
    let listener = fake::listen("127.0.8.2").await;
    let l4 = speaker("127.0.8.1");
    let edge = neighbor("edge", "127.0.8.1", listener.local_addr().unwrap());
    l4.set(wanted(&[(&edge, &[])]));
    let mut peer = Fake::accept(&listener).await;
    peer.establish(&fake::open(HIGH, 90)).await;
    drop(l4);
    assert_eq!(peer.last_word().await, None);
}

#[tokio::test]
async fn only_a_neighbor_whose_settings_change_is_reset() {
    let (kept, changed, gone) = (
        fake::listen("127.0.9.2").await,
        fake::listen("127.0.9.3").await,
        fake::listen("127.0.9.4").await,
    );
    let l4 = speaker("127.0.9.1");
    let at = |name, listener: &tokio::net::TcpListener| {
        neighbor(name, "127.0.9.1", listener.local_addr().unwrap())
    };
    let (one, two, three) = (at("one", &kept), at("two", &changed), at("three", &gone));
    let routes = [route("198.51.100.1/32")];
    l4.set(wanted(&[(&one, &routes), (&two, &routes), (&three, &routes)]));
    let mut peers = vec![];
    for listener in [&kept, &changed, &gone] {
        let mut peer = Fake::accept(listener).await;
        peer.establish(&fake::open(HIGH, 90)).await;
        assert_eq!(peer.update().await.announced.len(), 1);
        peers.push(peer);
    }
    let before = established(&l4, "one").await;

    let two = Neighbor { hold_time: Duration::from_secs(30), ..two };
    l4.set(wanted(&[(&one, &routes), (&two, &routes)]));
    l4.flushed().await;
    assert_eq!(peers[1].last_word().await, Some((6, 6)));
    let (updates, last) = peers[2].rest().await;
    assert_eq!(last, Some((6, 3)));
    assert!(updates.iter().any(|update| update.withdrawn.len() == 1));

    let mut peer = Fake::accept(&changed).await;
    let open = peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(open.hold_time(), 30);
    let after = established(&l4, "two").await;
    assert_eq!(after.hold_time, Some(Duration::from_secs(30)));
    assert_eq!(after.keepalive_time, Some(Duration::from_secs(10)));
    let one = established(&l4, "one").await;
    assert_eq!((one.established, one.since), (1, before.since));
    assert_eq!(l4.status().borrow().len(), 2);
}

#[tokio::test]
async fn a_router_that_asks_is_told_everything_again() {
    let listener = fake::listen("127.0.10.2").await;
    let l4 = speaker("127.0.10.1");
    let edge = neighbor("edge", "127.0.10.1", listener.local_addr().unwrap());
    l4.set(wanted(&[(&edge, &[route("198.51.100.1/32"), route("2001:db8::1/128")])]));
    let mut peer = Fake::accept(&listener).await;
    peer.establish(&fake::open(HIGH, 90)).await;
    for _ in 0..4 {
        peer.update().await;
    }
    let mut refresh = crate::message::keepalive();
    (refresh[17], refresh[18]) = (23, 5);
    refresh.extend([0, 2, 0, 1]);
    peer.send(&refresh).await;
    assert_eq!(peer.update().await.announced, ["2001:db8::1/128".parse().unwrap()]);
}

#[tokio::test]
async fn a_session_over_ipv6_announces_ipv4_with_its_next_hop() {
    let (l4, edge) = (speaker("::1"), speaker("::1"));
    let extended = |neighbor| Neighbor { extended_next_hop: true, ..neighbor };
    let to_edge = extended(neighbor("edge", "::1", edge.addresses()[0]));
    let to_edge = Neighbor {
        router_id: Ipv4Addr::new(10, 6, 6, 7),
        next_hops: NextHops { v4: None, ..to_edge.next_hops },
        ..to_edge
    };
    let to_l4 = extended(router("l4", "::1", l4.addresses()[0]));
    edge.set(wanted(&[(&to_l4, &[])]));
    l4.set(wanted(&[(&to_edge, &[route("198.51.100.1/32")])]));
    let status = status_when(&l4, "edge", "told", |s| s.announced.len() == 1).await;
    assert!(status.extended_next_hop);
    assert_eq!(status.withheld, 0);
}

#[tokio::test]
async fn a_route_without_a_next_hop_is_withheld() {
    let (l4, edge) = (speaker("127.0.11.1"), speaker("127.0.11.2"));
    let to_edge = neighbor("edge", "127.0.11.1", edge.addresses()[0]);
    let next_hops = NextHops { v6: None, ..to_edge.next_hops };
    let to_edge = Neighbor { next_hops, ..to_edge };
    edge.set(wanted(&[(&router("l4", "127.0.11.2", l4.addresses()[0]), &[])]));
    l4.set(wanted(&[(&to_edge, &[route("198.51.100.1/32"), route("2001:db8::1/128")])]));
    let status = status_when(&l4, "edge", "told", |s| s.announced.len() == 1).await;
    assert_eq!(status.withheld, 1);
}

#[tokio::test]
async fn passwords_that_match_make_a_session_and_others_do_not() {
    for (address, key, matches) in [("127.0.12", "s3cret", true), ("127.0.13", "secret", false)] {
        let (one, two) = (format!("{address}.1"), format!("{address}.2"));
        let (l4, edge) = (speaker(&one), speaker(&two));
        let to_edge = neighbor("edge", &one, edge.addresses()[0]);
        let to_edge = Neighbor { password: password("s3cret"), ..to_edge };
        let to_l4 = router("l4", &two, l4.addresses()[0]);
        let to_l4 = Neighbor { password: password(key), ..to_l4 };
        edge.set(wanted(&[(&to_l4, &[])]));
        edge.flushed().await;
        l4.set(wanted(&[(&to_edge, &[])]));
        if !matches {
            failed(&l4, "edge", "connection timed out: does the MD5 password match?").await;
            assert_eq!(established_count(&edge), 0);
            // The listener takes the new key, and has forgotten the old one.
            let to_l4 = Neighbor { password: password("s3cret"), ..to_l4 };
            edge.set(wanted(&[(&to_l4, &[])]));
        }
        established(&l4, "edge").await;
        established(&edge, "l4").await;
    }
}

fn established_count(speaker: &Speaker) -> u64 {
    speaker.status().borrow().iter().map(|status| status.established).sum()
}

#[tokio::test]
async fn a_password_that_is_taken_away_is_not_asked_for_any_more() {
    let (l4, edge) = (speaker("127.0.14.1"), speaker("127.0.14.2"));
    let to_edge = neighbor("edge", "127.0.14.1", edge.addresses()[0]);
    let to_l4 = router("l4", "127.0.14.2", l4.addresses()[0]);
    let signed = Neighbor { password: password("s3cret"), ..to_l4.clone() };
    edge.set(wanted(&[(&signed, &[])]));
    edge.flushed().await;
    edge.set(wanted(&[(&to_l4, &[])]));
    edge.flushed().await;
    l4.set(wanted(&[(&to_edge, &[])]));
    established(&l4, "edge").await;
}

#[tokio::test]
async fn sessions_with_ttl_security_come_up_over_both_families() {
    for (one, two) in [("127.0.15.1", "127.0.15.2"), ("::1", "::1")] {
        let (l4, edge) = (speaker(one), speaker(two));
        let near = |neighbor| Neighbor { ttl_security: true, ..neighbor };
        let to_edge = near(neighbor("edge", one, edge.addresses()[0]));
        let to_edge = Neighbor { router_id: Ipv4Addr::new(10, 7, 7, 7), ..to_edge };
        edge.set(wanted(&[(&near(router("l4", two, l4.addresses()[0])), &[])]));
        l4.set(wanted(&[(&to_edge, &[])]));
        established(&l4, "edge").await;
        established(&edge, "l4").await;
    }
}

#[tokio::test]
async fn what_came_from_afar_is_dropped_by_ttl_security() {
    let (l4, edge) = (speaker("127.0.18.1"), speaker("127.0.18.2"));
    let to_edge = neighbor("edge", "127.0.18.1", edge.addresses()[0]);
    // Sends with the system's TTL, which is not 255.
    let to_edge = Neighbor { hold_time: Duration::from_secs(3), ..to_edge };
    let to_l4 = router("l4", "127.0.18.2", l4.addresses()[0]);
    edge.set(wanted(&[(&Neighbor { ttl_security: true, ..to_l4 }, &[])]));
    l4.set(wanted(&[(&to_edge, &[])]));
    // Our hold timer, or the kernel's for what is not acknowledged.
    let given_up = |s: &SessionStatus| {
        s.why.as_deref().is_some_and(|w| w.contains("hold timer") || w.contains("timed out"))
    };
    status_when(&l4, "edge", "given up", given_up).await;
    // What came before the connection was accepted got in: the OPEN may have, no more.
    assert_eq!(established_count(&edge), 0);
}

#[tokio::test]
async fn a_session_within_an_as_comes_up() {
    let (l4, edge) = (speaker("127.0.16.1"), speaker("127.0.16.2"));
    let to_edge = neighbor("edge", "127.0.16.1", edge.addresses()[0]);
    let to_edge = Neighbor { local_as: 65000, ..to_edge };
    let to_l4 = Neighbor { peer_as: 65000, ..router("l4", "127.0.16.2", l4.addresses()[0]) };
    edge.set(wanted(&[(&to_l4, &[])]));
    l4.set(wanted(&[(&to_edge, &[route("198.51.100.1/32")])]));
    status_when(&l4, "edge", "told", |s| s.announced.len() == 1).await;
}

#[tokio::test]
async fn keepalives_keep_a_session_with_the_shortest_hold_time() {
    let (l4, edge) = (speaker("127.0.17.1"), speaker("127.0.17.2"));
    let to_edge = neighbor("edge", "127.0.17.1", edge.addresses()[0]);
    let to_edge = Neighbor { hold_time: Duration::from_secs(3), ..to_edge };
    edge.set(wanted(&[(&router("l4", "127.0.17.2", l4.addresses()[0]), &[])]));
    l4.set(wanted(&[(&to_edge, &[])]));
    // OPEN, the KEEPALIVE that answers it, End-of-RIB twice, and then one a second: past 3 s.
    let status = status_when(&l4, "edge", "kept", |s| s.counters.messages_in >= 10).await;
    assert_eq!((status.established, status.dropped), (1, 0));
    assert_eq!(status.keepalive_time, Some(Duration::from_secs(1)));
}
