//! Three nodes that keep each other up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use health::Admin;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::site::{Ca, FATAL, PATIENCE, Running, directory, identity, peer, wait_until};
use crate::peer::{Counter, Gossip, Heard, Pace, Reach};

/// Faster than in earnest; the deadline as in earnest, so that a busy machine fails no test.
const PACE: Pace = Pace { every: Duration::from_millis(20), deadline: Duration::from_secs(2) };

/// A node that answers and can ask.
struct Talking {
    running: Running,
    gossip: Arc<super::super::Gossip<super::site::Memory>>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Talking {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Talking {
    /// Asks on from now on.
    fn talk(&mut self) -> watch::Receiver<BTreeMap<String, Heard>> {
        self.task = Some(tokio::spawn(Arc::clone(&self.gossip).run()));
        self.gossip.heard()
    }

    fn holds(&self, node: &str, state: Admin) -> bool {
        self.running.memory.states().get(node).is_some_and(|entry| entry.state == state)
    }
}

/// l4-1, l4-2 and l4-3, which know where the others are.
fn site(ca: &Ca) -> [Talking; 3] {
    let nodes = ["l4-1", "l4-2", "l4-3"].map(|name| Running::of(ca, name));
    let peers: Vec<_> = nodes.iter().map(Running::as_peer).collect();
    nodes.map(|running| {
        let own = running.as_peer().name;
        let others = peers.iter().filter(|peer| peer.name != own).cloned().collect();
        running.directory.send_replace(directory(&own, others));
        let gossip = Gossip::new(
            Arc::clone(&running.identity),
            running.directory.subscribe(),
            Arc::clone(&running.memory),
            Arc::clone(&running.counters),
            PACE,
        );
        Talking { running, gossip, task: None }
    })
}

#[tokio::test]
async fn a_state_reaches_every_node_whoever_asks() {
    let ca = Ca::new();
    let mut nodes = site(&ca);
    nodes[0].running.memory.set("l7-1", 1, Admin::Drain);
    nodes[2].running.memory.set("l7-2", 1, Admin::Maintenance);
    // Only l4-2 asks: l4-1's state goes there with its answer, and on to l4-3 with a question.
    let heard = nodes[1].talk();
    wait_until("all know all", || {
        nodes.iter().all(|n| n.holds("l7-1", Admin::Drain) && n.holds("l7-2", Admin::Maintenance))
    })
    .await;

    nodes[0].running.memory.set("l7-1", 2, Admin::Ready);
    wait_until("ready", || nodes.iter().all(|n| n.holds("l7-1", Admin::Ready))).await;
    wait_until("heard", || heard.borrow().len() == 2).await;
    for name in ["l4-1", "l4-3"] {
        let heard = heard.borrow()[name].clone();
        assert_eq!(heard.error, None);
        assert_eq!(heard.status.unwrap().0.node, name);
    }
}

#[tokio::test]
async fn the_tables_of_every_node_are_known_sent_or_not() {
    let ca = Ca::new();
    let mut site = site(&ca);
    for (node, rows) in site.iter().zip([251, 251, 65537]) {
        node.running.memory.has_a_table_of(rows);
    }
    let heard = site[0].talk();
    let rows = |node: &str| {
        let (status, _) = heard.borrow().get(node)?.status.clone()?;
        let tables = status.tables.as_ref()?;
        Some(tables["web 198.51.100.1"].rows)
    };
    wait_until("both have told", || rows("l4-2").is_some() && rows("l4-3").is_some()).await;
    assert_eq!((rows("l4-2"), rows("l4-3")), (Some(251), Some(65537)));
}

#[tokio::test]
async fn a_node_that_stops_is_named_and_what_it_last_said_is_kept() {
    let ca = Ca::new();
    let [mut asking, second, third] = site(&ca);
    let heard = asking.talk();
    let error = |name: &str| heard.borrow().get(name).and_then(|h| h.error.clone());
    wait_until("both answer", || {
        heard.borrow().len() == 2 && heard.borrow().values().all(|h| h.status.is_some())
    })
    .await;

    drop(second);
    wait_until("gone", || error("l4-2").as_deref() == Some("connection refused")).await;
    assert!(heard.borrow()["l4-2"].status.is_some());
    // The other one is asked on.
    let before = third.running.count(Counter::Requests);
    wait_until("asked", || third.running.count(Counter::Requests) > before + 1).await;
    assert_eq!(error("l4-3"), None);
}

#[tokio::test]
async fn a_node_that_leaves_the_file_is_forgotten() {
    let ca = Ca::new();
    let [mut asking, second, _third] = site(&ca);
    let heard = asking.talk();
    wait_until("both answer", || heard.borrow().len() == 2).await;
    asking.running.directory.send_replace(directory("l4-1", vec![second.running.as_peer()]));
    wait_until("forgotten", || heard.borrow().keys().eq(["l4-2"])).await;
}

#[tokio::test]
async fn a_node_that_hangs_does_not_keep_the_others_waiting() {
    let ca = Ca::new();
    let [mut asking, _second, third] = site(&ca);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hung = peer("l4-2", &[silent.local_addr().unwrap()]);
    asking.running.directory.send_replace(directory("l4-1", vec![hung, third.running.as_peer()]));
    let heard = asking.talk();
    wait_until("l4-3 answers often", || third.running.count(Counter::Requests) >= 5).await;
    wait_until("l4-2 is named", || {
        heard.borrow().get("l4-2").and_then(|h| h.error.as_deref()) == Some("no answer within 2s")
    })
    .await;
}

#[tokio::test]
async fn what_an_operator_types_reaches_all_at_once_without_a_round() {
    let ca = Ca::new();
    let nodes = site(&ca);
    nodes[0].running.memory.set("l7-1", 1, Admin::Drain);
    let failed = nodes[0].gossip.spread("l7-1", Reach::Everyone).await;
    assert_eq!(failed, []);
    assert!(nodes.iter().all(|node| node.holds("l7-1", Admin::Drain)));
}

#[tokio::test]
async fn those_that_were_not_reached_are_named() {
    let ca = Ca::new();
    let [first, second, third] = site(&ca);
    drop(second);
    for (node, reach, expected) in [
        ("l7-1", Reach::Everyone, vec!["l4-2: connection refused"]),
        ("l4-3", Reach::Itself, vec![]),
        ("l4-2", Reach::Itself, vec!["l4-2: connection refused"]),
    ] {
        first.running.memory.set(node, 1, Admin::Drain);
        let failed = timeout(PATIENCE, first.gossip.spread(node, reach)).await.unwrap();
        let named: Vec<_> = failed.iter().map(|f| format!("{}: {}", f.what, f.reason)).collect();
        assert_eq!(named, expected, "{node}");
        assert!(third.holds(node, Admin::Drain));
    }
}

#[tokio::test]
async fn a_node_that_does_not_accept_a_state_was_not_reached() {
    let ca = Ca::new();
    let [first, ..] = &site(&ca);
    // The others have no such node.
    first.running.memory.set("l7-77", 1, Admin::Drain);
    let failed = first.gossip.spread("l7-77", Reach::Everyone).await;
    let named: Vec<_> = failed.iter().map(|f| f.what.as_str()).collect();
    assert_eq!(named, ["l4-2", "l4-3"]);
    assert!(failed[0].reason.contains("does not accept it"), "{}", failed[0].reason);
}

#[tokio::test]
async fn a_panic_over_an_answer_is_counted_and_asking_goes_on() {
    let ca = Ca::new();
    let [mut asking, second, third] = site(&ca);
    second.running.memory.set(FATAL, 1, Admin::Drain);
    let heard = asking.talk();
    wait_until("counted", || asking.running.count(Counter::Panics) > 1).await;
    wait_until("said", || {
        let error = heard.borrow().get("l4-2").and_then(|h| h.error.clone());
        error.is_some_and(|error| error.contains("see its log"))
    })
    .await;
    let before = third.running.count(Counter::Requests);
    wait_until("asked", || third.running.count(Counter::Requests) > before).await;

    let before = asking.running.count(Counter::Panics);
    let failed = asking.gossip.spread("l7-1", Reach::Everyone).await;
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].what, "l4-2");
    assert!(asking.running.count(Counter::Panics) > before);
}

#[tokio::test]
async fn a_stranger_hears_nothing_from_those_it_asks() {
    let ca = Ca::new();
    let [_first, second, _third] = site(&ca);
    let stranger = Running::start(identity(&ca, "l4-9"), "l4-9", crate::peer::Limits::default());
    stranger.directory.send_replace(directory("l4-9", vec![second.running.as_peer()]));
    stranger.memory.set("l7-1", 9, Admin::Maintenance);
    let gossip = Gossip::new(
        Arc::clone(&stranger.identity),
        stranger.directory.subscribe(),
        Arc::clone(&stranger.memory),
        Arc::clone(&stranger.counters),
        PACE,
    );
    let failed = gossip.spread("l7-1", Reach::Everyone).await;
    assert!(failed[0].reason.contains("certificate is for l4-9"), "{}", failed[0].reason);
    assert!(second.running.memory.states().is_empty());
    assert_eq!(second.running.count(Counter::RefusedName), 1);
}
