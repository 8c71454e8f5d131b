use tokio::io::AsyncReadExt as _;

use super::*;
use crate::Tcp;
use Outcome::{Failed, Passed};

fn expecting(expect: &[u8]) -> Kind {
    Kind::Tcp(Tcp { send: None, expect: Some(expect.to_vec()) })
}

#[tokio::test]
async fn a_connection_is_enough() {
    for v6 in [false, true] {
        let address = server_on(localhost(v6), wait_for_end).await;
        assert_report(&ask(Kind::Tcp(Tcp::default()), address).await, Passed, "connected");
    }
}

#[tokio::test]
async fn a_word_is_sent_and_another_expected() {
    let address = server(|mut stream| async move {
        let mut ping = [0; 6];
        stream.read_exact(&mut ping).await.unwrap();
        assert_eq!(&ping, b"PING\r\n");
        // In pieces: what is expected may come in two.
        for piece in [&b"+PO"[..], b"NG\r\n"] {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        wait_for_end(stream).await;
    })
    .await;
    let redis = Tcp { send: Some(b"PING\r\n".to_vec()), expect: Some(b"PONG".to_vec()) };
    assert_report(&ask(Kind::Tcp(redis), address).await, Passed, r#"answered "PONG""#);
}

#[tokio::test]
async fn every_seam_between_pieces_is_searched() {
    let address = server(|mut stream| async move {
        stream.set_nodelay(true).unwrap();
        for byte in b"xxabcabcabd" {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        wait_for_end(stream).await;
    })
    .await;
    assert_eq!(ask(expecting(b"abcabd"), address).await.outcome, Passed);
}

#[tokio::test]
async fn another_answer_fails_when_it_ends_or_grows_too_long() {
    let short = saying(b"-ERR unknown command\r\n").await;
    let long = endless(b"", &[b'x'; 4096]).await;
    for address in [short, long] {
        assert_report(&ask(expecting(b"PONG"), address).await, Failed, r#"answer lacks "PONG""#);
    }
}

#[tokio::test]
async fn the_dead_refuse_and_the_slow_run_out_of_time() {
    let (_bound, address) = refusing();
    assert_report(&ask(Kind::Tcp(Tcp::default()), address).await, Failed, "connection refused");
    let report = ask_in_vain(expecting(b"PONG"), slow().await).await;
    assert_report(&report, Failed, "no answer within 50ms");
}

#[tokio::test]
async fn a_preamble_comes_first_and_agents_get_none() {
    let echo = server(|mut stream| async move {
        let mut said = [0; 19];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"PROXY UNKNOWN\r\nPING");
        stream.write_all(b"PONG").await.unwrap();
        wait_for_end(stream).await;
    });
    let kind = Kind::Tcp(Tcp { send: Some(b"PING".to_vec()), expect: Some(b"PONG".to_vec()) });
    let mut probe = super::probe(kind, echo.await, PATIENCE);
    probe.target.preamble = Some(b"PROXY UNKNOWN\r\n"[..].into());
    assert_eq!(run(&probe, &Context::new()).await.outcome, Passed);

    let agent = server(|mut stream| async move {
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"state");
        stream.write_all(b"up\n").await.unwrap();
        wait_for_end(stream).await;
    });
    let kind = Kind::Agent(crate::Agent { send: Some(b"state".to_vec()) });
    let mut probe = super::probe(kind, agent.await, PATIENCE);
    probe.target.preamble = Some(b"PROXY UNKNOWN\r\n"[..].into());
    assert_eq!(run(&probe, &Context::new()).await.outcome, Passed);
}
