//! Peers that behave badly.

use nix::sys::resource::{UsageWho, getrusage};

use super::fake::{self, Fake, HIGH, LOW};
use super::*;

/// A speaker whose neighbor is played by a test, which waits for connections, and opens some.
struct Stage {
    speaker: Speaker,
    listener: tokio::net::TcpListener,
    edge: Neighbor,
    address: String,
}

impl Stage {
    async fn new(net: u8, change: impl FnOnce(Neighbor) -> Neighbor) -> Self {
        let (own, address) = (format!("127.1.{net}.1"), format!("127.1.{net}.2"));
        let listener = fake::listen(&address).await;
        let speaker = speaker(&own);
        let edge = change(neighbor("edge", &own, listener.local_addr().unwrap()));
        speaker.set(wanted(&[(&edge, &[route("198.51.100.1/32")])]));
        Self { speaker, listener, edge, address }
    }

    async fn accept(&self) -> Fake {
        Fake::accept(&self.listener).await
    }

    async fn connect(&self) -> Fake {
        Fake::connect(&self.address, self.speaker.addresses()[0]).await
    }

    async fn failed(&self, why: &str) -> SessionStatus {
        failed(&self.speaker, "edge", why).await
    }
}

fn passive(neighbor: Neighbor) -> Neighbor {
    Neighbor { passive: true, ..neighbor }
}

fn quick(neighbor: Neighbor) -> Neighbor {
    Neighbor { hold_time: Duration::from_secs(3), ..neighbor }
}

#[tokio::test]
async fn garbage_is_answered_and_the_session_tried_again() {
    let stage = Stage::new(1, |n| n).await;
    let mut peer = stage.accept().await;
    peer.open().await;
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(peer.last_word().await, Some((1, 1)));
    stage.failed("they sent not BGP: no marker").await;

    let mut peer = stage.accept().await;
    peer.establish(&fake::open(HIGH, 90)).await;
    let mut bad = crate::message::keepalive();
    bad[18] = 77;
    peer.send(&bad).await;
    assert_eq!(peer.last_word().await, Some((1, 3)));
    let status = stage.failed("a message of unknown type 77").await;
    assert_eq!((status.established, status.dropped), (1, 1));
    stage.accept().await;
}

#[tokio::test]
async fn an_open_that_is_not_acceptable_is_refused_with_the_reason() {
    let of_as = |asn: u16| {
        let mut open = fake::open(HIGH, 90);
        open[20..22].copy_from_slice(&asn.to_be_bytes());
        let at = open.windows(2).position(|pair| pair == [65, 4]).unwrap();
        open[at + 4..at + 6].copy_from_slice(&asn.to_be_bytes());
        open
    };
    let stage = Stage::new(2, |n| n).await;
    for (open, last, why) in [
        (of_as(65009), (2, 2), "they are of AS 65009"),
        (fake::open(HIGH, 1), (2, 6), "hold time of 1 s"),
        (fake::open(Ipv4Addr::UNSPECIFIED, 90), (2, 3), "their BGP identifier, 0.0.0.0"),
    ] {
        let mut peer = stage.accept().await;
        peer.send(&open).await;
        assert_eq!(peer.last_word().await, Some(last));
        stage.failed(why).await;
    }
}

#[tokio::test]
async fn half_a_message_and_then_nothing_is_silence() {
    let stage = Stage::new(3, quick).await;
    let mut peer = stage.accept().await;
    peer.establish(&fake::open(HIGH, 90)).await;
    peer.send(&crate::message::keepalive()[..10]).await;
    let (_, last) = peer.rest().await;
    assert_eq!(last, Some((4, 0)));
    stage.failed("hold timer expired").await;
}

#[tokio::test]
async fn messages_in_pieces_are_put_together() {
    let stage = Stage::new(4, |n| n).await;
    let mut peer = stage.accept().await;
    for byte in [fake::open(HIGH, 90), crate::message::keepalive()].concat() {
        peer.send(&[byte]).await;
    }
    established(&stage.speaker, "edge").await;
}

#[tokio::test]
async fn silence_again_and_again_gives_a_hint() {
    let stage = Stage::new(5, quick).await;
    for _ in 0..2 {
        let mut silent = stage.accept().await;
        silent.establish(&fake::open(HIGH, 90)).await;
        assert_eq!(silent.last_word().await, Some((4, 0)));
    }
    stage.failed("does the router want TTL security?").await;
}

#[tokio::test]
async fn who_does_not_read_is_left() {
    // The kernel goes by our hold time of 90 s, so that what ends the session after 3 s is ours.
    let stage = Stage::new(6, |n| n).await;
    let mut peer = stage.accept().await;
    peer.establish(&fake::open(HIGH, 3)).await;
    // More than the sockets hold, said again and again; keepalives keep the hold timer from expiring.
    let routes: Vec<_> = (0..60_000u32)
        .map(|i| route(&format!("10.{}.{}.{}/32", i >> 16, i >> 8 & 255, i & 255)))
        .collect();
    let other: Vec<_> = routes
        .iter()
        .map(|route| {
            let attributes = Attributes { med: Some(9), ..Attributes::default() };
            Route { prefix: route.prefix, attributes: Arc::new(attributes) }
        })
        .collect();
    let (_reader, mut writer) = peer.stream.split();
    let chatter = async {
        use tokio::io::AsyncWriteExt;
        while writer.write_all(&crate::message::keepalive()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let change = async {
        for round in 0.. {
            let routes = if round % 2 == 0 { &routes } else { &other };
            stage.speaker.set(wanted(&[(&stage.edge, routes)]));
            let status = stage.speaker.status().borrow().clone();
            if status.iter().any(|s| s.dropped == 1) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, async {
        tokio::select! { () = chatter => {}, () = change => {} }
    })
    .await
    .expect("the session ends");
    let ended = status_when(&stage.speaker, "edge", "dropped", |s| s.dropped == 1).await;
    let why = ended.why.unwrap();
    assert!(why.contains("they do not read"), "{why}");
}

#[tokio::test]
async fn a_full_table_costs_no_memory() {
    let stage = Stage::new(7, |n| n).await;
    let mut peer = stage.accept().await;
    peer.establish(&fake::open(HIGH, 90)).await;
    let neighbor = Neighbor { local_as: 65000, ..stage.edge.clone() };
    let encoder = crate::message::Encoder::new(&neighbor, Families::ALL, true, false);
    let resident = || getrusage(UsageWho::RUSAGE_SELF).unwrap().max_rss();
    let chunk = |from: u32| -> Vec<u8> {
        let prefix = |i: u32| ipnet::IpNet::new(Ipv4Addr::from(0x0100_0000 + i * 256).into(), 24);
        let prefixes: Vec<_> = (from..from + 1000).map(|i| prefix(i).unwrap()).collect();
        encoder.announce(&prefixes, &Attributes::default()).concat()
    };
    peer.send(&chunk(0)).await;
    let before = resident();
    let mut sent = 0;
    for _ in 0..10 {
        for from in (0..200_000).step_by(1000) {
            let updates = chunk(from);
            sent += updates.len();
            peer.send(&updates).await;
        }
    }
    let all = |s: &SessionStatus| s.counters.updates_in >= 2001;
    status_when(&stage.speaker, "edge", "read all", all).await;
    // Kilobytes, of the whole process with the tests that run beside this one.
    let grown = resident() - before;
    assert!(sent > 8_000_000 && grown < 64_000, "{sent} bytes made {grown} KiB");
    assert_eq!(established(&stage.speaker, "edge").await.dropped, 0);
}

/// Two connections, both past their OPENs. Which one stays?
async fn collide(net: u8, id: Ipv4Addr, outgoing_first: bool) -> &'static str {
    let stage = Stage::new(net, |n| n).await;
    let open = fake::open(id, 90);
    let mut theirs = stage.accept().await;
    theirs.open().await;
    let mut ours = stage.connect().await;
    ours.open().await;
    let (first, second) =
        if outgoing_first { (&mut theirs, &mut ours) } else { (&mut ours, &mut theirs) };
    first.send(&open).await;
    assert_eq!(
        first.receive().await,
        Some(netgauze_bgp_pkt::BgpMessage::KeepAlive),
        "in OpenConfirm"
    );
    second.send(&open).await;
    let keepalive = crate::message::keepalive();
    // The one that stays goes on; the other one ends with Cease/7.
    tokio::select! {
        last = theirs.last_word() => {
            assert_eq!(last, Some((6, 7)));
            ours.send(&keepalive).await;
            established(&stage.speaker, "edge").await;
            "incoming"
        }
        last = ours.last_word() => {
            assert_eq!(last, Some((6, 7)));
            theirs.send(&keepalive).await;
            established(&stage.speaker, "edge").await;
            "outgoing"
        }
    }
}

#[tokio::test]
async fn of_two_connections_that_of_the_higher_identifier_stays() {
    for (net, id, outgoing_first, stays) in [
        (8, LOW, true, "outgoing"),
        (9, LOW, false, "outgoing"),
        (10, HIGH, true, "incoming"),
        (11, HIGH, false, "incoming"),
    ] {
        assert_eq!(collide(net, id, outgoing_first).await, stays, "{id} {outgoing_first}");
    }
}

/// Waits until a session is older than what counts as opened at the same time.
async fn aged() {
    tokio::time::sleep(Duration::from_millis(600)).await;
}

#[tokio::test]
async fn a_router_that_restarted_gracefully_takes_over() {
    let stage = Stage::new(12, |n| n).await;
    let mut old = stage.accept().await;
    old.establish(&fake::open(LOW, 90)).await;
    established(&stage.speaker, "edge").await;
    aged().await;
    let mut new = stage.connect().await;
    new.establish(&fake::open(LOW, 90)).await;
    assert_eq!(new.update().await.announced.len(), 1);
    assert_eq!(old.last_word().await, None, "a dead connection gets no NOTIFICATION");
    let status = status_when(&stage.speaker, "edge", "up again", |s| s.established == 2).await;
    assert_eq!((status.state, status.dropped), (SessionState::Established, 1));
}

#[tokio::test]
async fn without_graceful_restart_an_established_session_stays() {
    let stage = Stage::new(13, |n| Neighbor { restart_time: Duration::ZERO, ..n }).await;
    let mut old = stage.accept().await;
    old.establish(&fake::open(LOW, 90)).await;
    established(&stage.speaker, "edge").await;
    aged().await;
    let mut new = stage.connect().await;
    new.send(&fake::open(LOW, 90)).await;
    assert_eq!(new.last_word().await, Some((6, 7)));
    assert_eq!(established(&stage.speaker, "edge").await.established, 1);
    assert_eq!(old.update().await.announced.len(), 1);
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_keep_the_neighbor_out() {
    let stage = Stage::new(14, passive).await;
    let mut silent = vec![];
    for _ in 0..5 {
        let mut peer = stage.connect().await;
        peer.open().await;
        silent.push(peer);
    }
    let mut peer = stage.connect().await;
    peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(peer.update().await.announced.len(), 1);
}

#[tokio::test]
async fn who_is_no_neighbor_is_turned_away() {
    let stage = Stage::new(15, passive).await;
    let mut peer = Fake::connect("127.1.15.9", stage.speaker.addresses()[0]).await;
    assert_eq!(peer.receive().await, None);
}

#[tokio::test]
async fn attempts_pause_and_come_back() {
    let stage = Stage::new(16, |n| n).await;
    let at = stage.listener.local_addr().unwrap();
    drop(stage.accept().await);
    let Stage { speaker, listener, .. } = stage;
    drop(listener);
    let refused = failed(&speaker, "edge", "cannot connect: connection refused").await;
    assert!(matches!(refused.state, SessionState::Active | SessionState::Connect));
    let listener = tokio::net::TcpListener::bind(at).await.unwrap();
    let mut peer = Fake::accept(&listener).await;
    peer.establish(&fake::open(HIGH, 90)).await;
    assert_eq!(peer.update().await.announced.len(), 1);
}

#[tokio::test]
async fn a_notification_is_told_as_it_was_meant() {
    let stage = Stage::new(17, |n| n).await;
    let mut peer = stage.accept().await;
    peer.establish(&fake::open(HIGH, 90)).await;
    let text = crate::message::Notification::new(6, 2, b"\x0bmaintenance").encode();
    peer.send(&text).await;
    let why = "they sent NOTIFICATION cease/administrative shutdown: \"maintenance\"";
    let status = stage.failed(why).await;
    assert_eq!(status.counters.notifications_in, 1);
}
