use std::net::Ipv4Addr;

use super::*;

#[tokio::test]
async fn loopback_answers_in_both_families() {
    for v6 in [false, true] {
        let report = ask(Kind::Icmp, localhost(v6)).await;
        assert_report(&report, Outcome::Passed, "echo reply");
    }
}

#[tokio::test]
async fn each_of_many_pings_gets_its_own_reply() {
    let mut pings = tokio::task::JoinSet::new();
    // All of one target: a raw socket without a filter would get the replies to all others.
    for _ in 0..50 {
        pings.spawn(ask(Kind::Icmp, localhost(false)));
        pings.spawn(ask(Kind::Icmp, localhost(true)));
    }
    for report in pings.join_all().await {
        assert_report(&report, Outcome::Passed, "echo reply");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_reached_fails() {
    // Broadcast is not permitted to a socket that did not ask for it, multicast link-local without
    // an interface leads nowhere.
    let broadcast = SocketAddr::new(Ipv4Addr::BROADCAST.into(), 0);
    let report = ask(Kind::Icmp, broadcast).await;
    assert_report(&report, Outcome::Failed, "permission denied");
    let scopeless = SocketAddr::new("fe80::1".parse().unwrap(), 0);
    let report = ask(Kind::Icmp, scopeless).await;
    assert_report(&report, Outcome::Failed, "invalid argument");
}
