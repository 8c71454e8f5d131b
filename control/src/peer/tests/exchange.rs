//! Nodes that get along.

use std::sync::Arc;

use admin::{PeerReply, PeerRequest, States};
use health::Admin;
use rustls::HandshakeKind;

use super::callers::Caller;
use super::site::{
    Ca, FATAL, Memory, NOW, PATIENCE, Pki, Running, directory, hello, identity, peer,
};
use crate::peer::{Counter, Limits, Node, ask};

fn drained() -> States {
    let memory = Memory::new("l4-1");
    memory.set("l7-1", 1, Admin::Drain);
    memory.states()
}

#[tokio::test]
async fn a_question_brings_states_there_and_back() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    node.memory.set("l7-2", 4, Admin::Maintenance);

    let me = identity(&ca, "l4-1");
    let reply = ask(&me, &node.as_peer(), &hello(drained()), PATIENCE).await.unwrap();
    let PeerReply::Hello(status) = reply else { panic!("{reply:?}") };
    assert_eq!(status.node, "l4-2");
    assert_eq!(status.states["l7-1"].state, Admin::Drain);
    assert_eq!(status.states["l7-2"].version, 4);
    assert_eq!(node.memory.states(), status.states);
    assert_eq!(node.count(Counter::Requests), 1);
    node.refused_once(Counter::Requests).await;
}

#[tokio::test]
async fn tables_are_sent_to_those_alone_that_have_others() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    node.memory.has_a_table_of(251);
    let me = identity(&ca, "l4-1");
    for (mine, sent) in [("251", false), ("65537", true), ("", true)] {
        let version = admin::VERSION;
        let question =
            PeerRequest::Hello { version, states: States::new(), tables: mine.to_owned() };
        let reply = ask(&me, &node.as_peer(), &question, PATIENCE).await.unwrap();
        let PeerReply::Hello(status) = reply else { panic!("{reply:?}") };
        assert_eq!(status.tables_fingerprint, "251");
        assert_eq!(status.tables.is_some(), sent, "{mine}");
    }
}

#[tokio::test]
async fn both_families_answer() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    let me = identity(&ca, "l4-1");
    assert_eq!(node.addresses.len(), 2);
    for address in &node.addresses {
        let there = peer("l4-2", &[*address]);
        assert!(ask(&me, &there, &hello(States::new()), PATIENCE).await.is_ok(), "{address}");
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_leaves_the_next() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    let me = identity(&ca, "l4-1");
    let nobody = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    let there = peer("l4-2", &[nobody, node.addresses[1]]);
    assert!(ask(&me, &there, &hello(States::new()), PATIENCE).await.is_ok());
}

#[tokio::test]
async fn a_connection_carries_many_requests_and_survives_those_that_are_no_good() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    let caller = Caller::with(&ca, Some(&ca.issue("l4-1")));
    let mut connection = caller.connect(&node).await.unwrap();
    let good = "{\"hello\":{\"version\":1,\"states\":{}}}\n";

    for (said, heard) in [
        (good, "{\"hello\":{\"node\":\"l4-2\""),
        ("{\"hello\":{}}\n", "{\"error\":\"not understood: missing field"),
        ("{\"shutdown\":{}}\n", "{\"error\":\"not understood: unknown variant"),
        ("\n", "{\"error\":\"not understood: EOF"),
        (
            "{\"hello\":{\"version\":2,\"states\":{}}}\n",
            "{\"error\":\"it speaks version 1 of this protocol, not 2",
        ),
        (good, "{\"hello\":{\"node\":\"l4-2\""),
    ] {
        let answer = connection.say(said).await.unwrap();
        assert!(answer.starts_with(heard), "{said}: {answer}");
    }
    assert_eq!(node.count(Counter::Requests), 2);
    assert_eq!(node.count(Counter::BadRequests), 4);
    assert_eq!(node.count(Counter::Connections), 1);
}

#[tokio::test]
async fn a_line_that_does_not_end_ends_the_connection() {
    let ca = Ca::new();
    let limits = Limits { line: 1024, ..Limits::default() };
    let node = Running::start(identity(&ca, "l4-2"), "l4-2", limits);
    let caller = Caller::with(&ca, Some(&ca.issue("l4-1")));
    let mut connection = caller.connect(&node).await.unwrap();
    let answer = connection.say(&"x".repeat(100_000)).await.unwrap();
    assert_eq!(answer, "{\"error\":\"a line of more than 1024 bytes\"}\n");
    assert_eq!(connection.hear().await.unwrap(), "");
    assert_eq!(node.count(Counter::BadRequests), 1);
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_is_counted() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    let caller = Caller::with(&ca, Some(&ca.issue("l4-1")));
    let mut other = caller.connect(&node).await.unwrap();

    let memory = Memory::new("l4-1");
    memory.set(FATAL, 1, Admin::Drain);
    let me = identity(&ca, "l4-1");
    let error = ask(&me, &node.as_peer(), &hello(memory.states()), PATIENCE).await.unwrap_err();
    assert_eq!(error.to_string(), "closed the connection without an answer");
    node.refused_once(Counter::Panics).await;

    let answer = other.say("{\"hello\":{\"version\":1,\"states\":{}}}\n").await.unwrap();
    assert!(answer.starts_with("{\"hello\""), "{answer}");
    assert!(ask(&me, &node.as_peer(), &hello(States::new()), PATIENCE).await.is_ok());
}

#[tokio::test]
async fn each_connection_proves_anew_who_calls() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    // This caller would resume a session if it was let.
    let caller = Caller::with(&ca, Some(&ca.issue("l4-1")));
    for _ in 0..2 {
        let mut connection = caller.connect(&node).await.unwrap();
        let answer = connection.say("{\"hello\":{\"version\":1,\"states\":{}}}\n").await.unwrap();
        assert!(answer.starts_with("{\"hello\""), "{answer}");
        let (_, session) = connection.0.get_ref().get_ref();
        assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn a_node_that_leaves_the_file_has_no_say_on_the_connections_it_has() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    let caller = Caller::with(&ca, Some(&ca.issue("l4-1")));
    let mut connection = caller.connect(&node).await.unwrap();
    let good = "{\"hello\":{\"version\":1,\"states\":{}}}\n";
    assert!(connection.say(good).await.unwrap().starts_with("{\"hello\""));

    node.directory.send_replace(directory("l4-2", vec![peer("l4-3", &[])]));
    let last = connection.say(good).await.unwrap();
    assert!(
        last.contains("certificate is for l4-1, which is no other node that speaks here"),
        "{last}"
    );
    assert_eq!(node.count(Counter::RefusedName), 1);
}

#[tokio::test]
async fn certificates_change_without_a_restart() {
    let (old, new) = (Ca::new(), Ca::new());
    let pki = Pki::new(&[&old.pem]);
    pki.put("l4-2", &old.issue("l4-2"));
    let node = Running::start(Arc::new(pki.load("l4-2").unwrap()), "l4-2", Limits::default());
    let (of_old, of_new) = (identity(&old, "l4-1"), identity(&new, "l4-1"));
    let there = node.as_peer();
    assert!(ask(&of_old, &there, &hello(States::new()), PATIENCE).await.is_ok());
    assert!(ask(&of_new, &there, &hello(States::new()), PATIENCE).await.is_err());

    // Half of it is there: what was in force stays.
    std::fs::write(pki.path().join("ca.pem"), &new.pem).unwrap();
    node.identity.reload().unwrap_err();
    assert!(ask(&of_old, &there, &hello(States::new()), PATIENCE).await.is_ok());

    pki.put("l4-2", &new.issue("l4-2"));
    node.identity.reload().unwrap();
    assert!(ask(&of_new, &there, &hello(States::new()), PATIENCE).await.is_ok());
    assert!(ask(&of_old, &there, &hello(States::new()), PATIENCE).await.is_err());
}

#[test]
fn the_nodes_of_these_tests_merge_as_nodes_do() {
    let memory = Memory::new("l4-2");
    memory.learn("l4-1", &drained());
    assert_eq!(memory.states()["l7-1"].at_ms, NOW);
}
