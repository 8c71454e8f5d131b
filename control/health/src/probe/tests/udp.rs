use super::*;
use crate::Udp;
use Outcome::{Failed, Passed};

fn udp(expect: Option<&[u8]>) -> Kind {
    Kind::Udp(Udp { payload: b"ping".to_vec(), expect: expect.map(<[u8]>::to_vec) })
}

/// Answers a ping by a pong.
async fn ponging(v6: bool) -> SocketAddr {
    let socket = UdpSocket::bind(localhost(v6)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 16];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            assert_eq!(&buffer[..length], b"ping");
            socket.send_to(b"pong 1", from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_reply_has_to_begin_as_expected() {
    for v6 in [false, true] {
        let address = ponging(v6).await;
        for good in [Some(&b"pong"[..]), Some(b"pong 1"), Some(b""), None] {
            assert_report(&ask(udp(good), address).await, Passed, r#"answered "pong 1""#);
        }
        for bad in [&b"ong"[..], b"pong 12"] {
            assert_report(&ask(udp(Some(bad)), address).await, Failed, r#"answered "pong 1""#);
        }
    }
}

#[tokio::test]
async fn silence_is_good_unless_an_answer_is_expected() {
    let silent = UdpSocket::bind(localhost(false)).await.unwrap();
    let address = silent.local_addr().unwrap();
    assert_report(&ask_in_vain(udp(None), address).await, Passed, "no ICMP error within 50ms");
    assert_report(&ask_in_vain(udp(Some(b"")), address).await, Failed, "no answer within 50ms");
}

#[tokio::test]
async fn a_closed_port_is_bad_even_where_silence_is_good() {
    let (_bound, address) = unreachable().await;
    for expect in [None, Some(&b"pong"[..])] {
        assert_report(&ask(udp(expect), address).await, Failed, "connection refused");
    }
}

#[tokio::test]
async fn nobody_else_answers() {
    let silent = UdpSocket::bind(localhost(false)).await.unwrap();
    let address = silent.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 16];
        let (_, from) = silent.recv_from(&mut buffer).await.unwrap();
        let forger = UdpSocket::bind(localhost(false)).await.unwrap();
        forger.send_to(b"pong", from).await.unwrap();
        silent.send_to(b"late, but from the right one", from).await.unwrap();
    });
    let report = ask(udp(Some(b"pong")), address).await;
    assert_report(&report, Failed, r#"answered "late, but from the right one""#);
}
