//! What was recorded cannot be said again.

use std::sync::Arc;

use admin::{PeerReply, States};
use health::Admin;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::site::{Ca, Memory, NOW, PATIENCE, Running, hello, identity, peer, wait_until};
use crate::peer::{Counter, Peer, ask};

/// Somebody on the way, who writes down what the asker says.
struct Recorder {
    at: Peer,
    recorded: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    async fn before(node: &Running) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = peer(&node.as_peer().name, &[listener.local_addr().unwrap()]);
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let (there, record) = (node.addresses[0], Arc::clone(&recorded));
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let server = TcpStream::connect(there).await.unwrap();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            });
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
                record.lock().extend_from_slice(&bytes[..n]);
                to_server.write_all(&bytes[..n]).await.unwrap();
            }
        });
        Self { at, recorded }
    }
}

#[tokio::test]
async fn a_recorded_change_played_back_is_refused_and_counted() {
    let ca = Ca::new();
    let node = Running::of(&ca, "l4-2");
    let recorder = Recorder::before(&node).await;
    let me = identity(&ca, "l4-1");
    let operator = Memory::new("l4-1");
    operator.set("l7-1", 1, Admin::Drain);

    let reply = ask(&me, &recorder.at, &hello(operator.states()), PATIENCE).await.unwrap();
    assert!(matches!(reply, PeerReply::Hello(_)));
    assert_eq!(node.count(Counter::Requests), 1);

    // The node loses its memory, so that the change would be one again.
    node.memory.forget();
    let recorded = recorder.recorded.lock().clone();
    assert!(recorded.len() > 500, "a handshake and a request: {} bytes", recorded.len());
    let mut replay = TcpStream::connect(node.addresses[0]).await.unwrap();
    let _ = replay.write_all(&recorded).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, replay.read_to_end(&mut answer)).await.expect("the node hangs on");

    wait_until("refused", || node.count(Counter::RefusedProtocol) == 1).await;
    assert_eq!(node.count(Counter::Requests), 1);
    assert_eq!(node.count(Counter::Connections), 2);
    assert_eq!(node.memory.states(), States::new());

    // The same said by its author is heard.
    ask(&me, &node.as_peer(), &hello(operator.states()), PATIENCE).await.unwrap();
    assert_eq!(node.memory.states()["l7-1"].at_ms, NOW);
}
