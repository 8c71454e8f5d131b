//! Those who are not let in, and those who are not who they should be.

use std::sync::Arc;
use std::time::Duration;

use admin::{Entry, States};
use health::Admin;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS12;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::callers::Caller;
use super::site::{Ca, PATIENCE, Pair, Pki, Running, expired, hello, identity, peer, wait_until};
use crate::peer::{Counter, Identity, Limits, Peer, ask};

async fn question(identity: &Identity, there: &Peer) -> String {
    match ask(identity, there, &hello(States::new()), PATIENCE).await {
        Ok(reply) => format!("{reply:?}"),
        Err(error) => error.to_string(),
    }
}

fn self_signed(node: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([node.to_owned()]).unwrap().self_signed(&key).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

#[tokio::test]
async fn who_has_no_certificate_of_the_site_is_refused() {
    let (ca, other) = (Ca::new(), Ca::new());
    let cases = [
        ("none", None, "CertificateRequired"),
        // Same name of the CA, another key.
        ("of another CA", Some(other.issue("l4-1")), ""),
        ("of its own", Some(self_signed("l4-1")), "UnknownCA"),
        ("expired", Some(ca.issue_with("l4-1", expired)), "CertificateExpired"),
        (
            "of a server alone",
            Some(ca.issue_with("l4-1", |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
            })),
            "UnsupportedCertificate",
        ),
    ];
    for (what, pair, alert) in cases {
        let node = Running::of(&ca, "l4-2");
        let error = Caller::with(&ca, pair.as_ref()).knock(&node).await.unwrap_err().to_string();
        assert!(error.contains(alert), "{what}: {error}");
        node.refused_once(Counter::RefusedCertificate).await;
    }
}

#[tokio::test]
async fn who_is_refused_hears_why() {
    let (ca, other) = (Ca::new(), Ca::new());
    let node = Running::of(&ca, "l4-2");
    // It believes both CAs, but its certificate is of the wrong one.
    let pki = Pki::new(&[&ca.pem, &other.pem]);
    pki.put("l4-1", &other.issue("l4-1"));
    let me = pki.load("l4-1").unwrap();
    // However much it has to say: the node does not wait for the end of it.
    let entry = |i| {
        (
            format!("l7-{i}"),
            Entry {
                version: 1,
                at_ms: 0,
                state: Admin::Drain,
                by: "x".repeat(200),
                weight: None,
                said: None,
            },
        )
    };
    for states in [States::new(), (0..10_000).map(entry).collect()] {
        let asked = ask(&me, &node.as_peer(), &hello(states), PATIENCE).await;
        let heard = asked.unwrap_err().to_string();
        assert_eq!(heard, "refuses this node's certificate: it is not of that node's CA");
    }
    assert_eq!(node.count(Counter::RefusedCertificate), 2);
}

#[tokio::test]
async fn who_is_no_other_l4_node_of_the_file_is_refused() {
    let ca = Ca::new();
    for name in ["l4-9", "l7-1", "l4-2"] {
        let node = Running::of(&ca, "l4-2");
        let heard = question(&identity(&ca, name), &node.as_peer()).await;
        let expected =
            format!("refuses: certificate is for {name}, which is no other node that speaks here");
        assert_eq!(heard, expected);
        node.refused_once(Counter::RefusedName).await;
        assert!(node.memory.states().is_empty());
    }
}

#[tokio::test]
async fn a_node_in_anothers_place_is_refused_by_the_asker() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-3");
    let there = peer("l4-2", &node.addresses);
    let heard = question(&identity(&ca, "l4-1"), &there).await;
    assert_eq!(heard, "certificate is for l4-3, not l4-2");
    node.refused_once(Counter::Abandoned).await;
}

#[tokio::test]
async fn a_node_of_another_site_is_refused_by_the_asker() {
    let (ca, other) = (Ca::new(), Ca::new());
    let node = Running::of(&other, "l4-2");
    let heard = question(&identity(&ca, "l4-1"), &node.as_peer()).await;
    assert_eq!(heard, "certificate is not of this site's CA");
    node.refused_once(Counter::Abandoned).await;
}

/// What answers TLS with any certificate, asks for none, and hands out tickets.
fn showing(pair: &Pair) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A server in l4-2's place, for one connection.
async fn impostor(pair: &Pair) -> Peer {
    let acceptor = showing(pair);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await
    });
    peer("l4-2", &[address])
}

#[tokio::test]
async fn a_node_whose_certificate_is_over_or_of_its_own_is_refused_by_the_asker() {
    let ca = Ca::new();
    let me = identity(&ca, "l4-1");
    let there = impostor(&ca.issue_with("l4-2", expired)).await;
    assert_eq!(question(&me, &there).await, "certificate has expired");
    let there = impostor(&self_signed("l4-2")).await;
    assert_eq!(question(&me, &there).await, "certificate is not of this site's CA");
}

#[tokio::test]
async fn an_asker_proves_each_time_who_it_is_even_where_it_need_not() {
    let ca = Ca::new();
    let acceptor = showing(&ca.issue("l4-2"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = peer("l4-2", &[listener.local_addr().unwrap()]);
    let served = tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut tls = acceptor.accept(stream).await.unwrap();
            assert_eq!(tls.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
            tls.write_all(b"{\"error\":\"no\"}\n").await.unwrap();
            tls.shutdown().await.unwrap();
        }
    });
    let me = identity(&ca, "l4-1");
    for _ in 0..2 {
        assert_eq!(question(&me, &there).await, "refuses: no");
    }
    served.await.unwrap();
}

/// Says something to the node's port, and waits until it ends the connection.
async fn shout(node: &Running, text: &[u8]) {
    let mut stream = TcpStream::connect(node.addresses[0]).await.unwrap();
    stream.write_all(text).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the node hangs on");
}

#[tokio::test]
async fn who_does_not_speak_tls_is_refused() {
    let ca = Ca::new();
    // A record's header of a kind that there is not, one of a ClientHello that is none, and bytes.
    let broken = [&[22, 3, 1, 0, 6, 1, 0, 0, 2][..], &[7; 64]].concat();
    for said in [
        &b"{\"hello\":{\"version\":1,\"states\":{}}}\n"[..],
        b"GET / HTTP/1.1\r\nHost: l4-2\r\n\r\n",
        &[0xff; 4096],
        &broken,
    ] {
        let node = Running::of(&ca, "l4-2");
        shout(&node, said).await;
        node.refused_once(Counter::RefusedProtocol).await;
    }
}

#[tokio::test]
async fn who_speaks_an_older_tls_is_refused() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    let caller = Caller::speaking(&ca, Some(&ca.issue("l4-1")), &TLS12);
    caller.knock(&node).await.unwrap_err();
    node.refused_once(Counter::RefusedProtocol).await;
}

#[tokio::test]
async fn half_a_handshake_that_stalls_is_refused() {
    let ca = Ca::new();
    let limits = Limits { handshake: Duration::from_millis(100), ..Limits::default() };
    let node = Running::start(identity(&ca, "l4-2"), "l4-2", limits);
    // The header of a record, and half of what it announces.
    shout(&node, &[&[22, 3, 1, 1, 0][..], &[1; 100]].concat()).await;
    node.refused_once(Counter::RefusedSlow).await;
}

#[tokio::test]
async fn who_leaves_at_once_is_counted_apart() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    drop(TcpStream::connect(node.addresses[0]).await.unwrap());
    node.refused_once(Counter::Abandoned).await;
}

#[tokio::test]
async fn who_says_nothing_more_is_let_go() {
    let ca = Ca::new();
    let limits = Limits { idle: Duration::from_millis(100), ..Limits::default() };
    let node = Running::start(identity(&ca, "l4-2"), "l4-2", limits);
    let caller = Caller::with(&ca, Some(&ca.issue("l4-1")));
    for said in ["", "{\"hello\":"] {
        let mut connection = caller.connect(&node).await.unwrap();
        assert_eq!(connection.say(said).await.unwrap(), "");
    }
}

#[tokio::test]
async fn there_are_only_so_many_connections() {
    let ca = Ca::new();
    let limits = Limits { connections: 3, from_one: 2, ..Limits::default() };
    let node = Running::start(identity(&ca, "l4-2"), "l4-2", limits);
    let caller = Caller::with(&ca, Some(&ca.issue("l4-1")));
    let first = caller.connect(&node).await.unwrap();
    let _second = caller.connect(&node).await.unwrap();
    assert!(caller.connect(&node).await.is_err());
    assert_eq!(node.count(Counter::RefusedFull), 1);

    drop(first);
    let mut let_in = false;
    while !let_in {
        let_in = timeout(PATIENCE, caller.knock(&node)).await.unwrap().is_ok();
    }
    assert_eq!(node.count(Counter::RefusedProtocol), 0);
}

#[tokio::test]
async fn a_node_that_is_not_there_or_hangs_is_named_with_the_reason() {
    let ca = Ca::new();
    let me = identity(&ca, "l4-1");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = peer("l4-2", &[silent.local_addr().unwrap()]);
    let deadline = Duration::from_millis(100);
    let error = ask(&me, &there, &hello(States::new()), deadline).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 100ms");

    drop(silent);
    assert_eq!(question(&me, &there).await, "connection refused");
}

#[tokio::test]
async fn a_node_that_speaks_something_else_is_named_with_the_reason() {
    let ca = Ca::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = peer("l4-2", &[listener.local_addr().unwrap()]);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {
            if stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.is_err() {
                return;
            }
        }
    });
    let heard = question(&identity(&ca, "l4-1"), &there).await;
    assert!(heard.starts_with("does not speak TLS 1.3: "), "{heard}");
}

#[tokio::test]
async fn refusals_do_not_hold_places() {
    let ca = Ca::new();
    let limits = Limits { connections: 2, from_one: 2, ..Limits::default() };
    let node = Running::start(identity(&ca, "l4-2"), "l4-2", limits);
    for _ in 0..8 {
        shout(&node, b"GET / HTTP/1.1\r\n\r\n").await;
    }
    let me = identity(&ca, "l4-1");
    let there = node.as_peer();
    wait_until("everybody has left", || {
        node.count(Counter::RefusedProtocol) + node.count(Counter::RefusedFull) == 8
    })
    .await;
    while ask(&me, &there, &hello(States::new()), PATIENCE).await.is_err() {}
}
