use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A block of this many ports of an address that no other test, of this process or another, uses.
fn block(size: u16) -> Source {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let own = NEXT.fetch_add(1, Ordering::Relaxed);
    let address = Ipv4Addr::new(127, 64 | high << 4 | own, middle, low);
    // Below the ports that the system gives out by itself.
    Source { address: address.into(), first_port: 20_000, last_port: 20_000 + size - 1 }
}

fn target(to: SocketAddr, source: Option<Source>) -> Target {
    Target { node: "l7-1".into(), address: to.ip(), port: to.port(), source, preamble: None }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_dropped_connection_is_reset() {
    let (listener, address) = listener().await;
    let mut stream = tcp(&target(address, None), &Ports::default()).await.unwrap();
    assert!(stream.0.nodelay().unwrap());
    let (mut accepted, _) = listener.accept().await.unwrap();
    // Not even a polite protocol above makes it a FIN.
    stream.shutdown().await.unwrap();
    drop(stream);
    let error = accepted.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn connections_come_from_each_port_of_the_block_in_turn() {
    let (listener, address) = listener().await;
    let source = block(3);
    let ports = Ports::default();
    let mut seen = Vec::new();
    for _ in 0..7 {
        // Dropped each time: no port has to rest, as none is left in TIME_WAIT.
        let _stream = tcp(&target(address, Some(source)), &ports).await.unwrap();
        let (_accepted, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip(), source.address);
        seen.push(from.port() - source.first_port);
    }
    assert_eq!(seen, [0, 1, 2, 0, 1, 2, 0]);
}

#[tokio::test]
async fn a_port_in_use_is_passed_over_and_a_full_block_is_an_error() {
    let (_listener, address) = listener().await;
    let source = block(2);
    let ports = Ports::default();
    let target = target(address, Some(source));
    let first = tcp(&target, &ports).await.unwrap();
    let second = tcp(&target, &ports).await.unwrap();
    assert_ne!(first.0.local_addr().unwrap(), second.0.local_addr().unwrap());
    let error = tcp(&target, &ports).await.unwrap_err();
    assert!(matches!(error, Error::NoPort(full) if full == source), "{error}");
    assert_eq!(error.to_string(), "source ports 20000 to 20001 are all in use");

    drop(first);
    let third = tcp(&target, &ports).await.unwrap();
    assert_eq!(third.0.local_addr().unwrap().port(), source.first_port);
}

#[tokio::test]
async fn one_port_serves_connections_to_several_targets() {
    let ((_one, first), (_other, second)) = (listener().await, listener().await);
    let source = block(1);
    let ports = Ports::default();
    let _first = tcp(&target(first, Some(source)), &ports).await.unwrap();
    tcp(&target(second, Some(source)), &ports).await.unwrap();
}

#[tokio::test]
async fn datagrams_come_from_the_block_too() {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let source = block(2);
    let ports = Ports::default();
    let target = target(receiver.local_addr().unwrap(), Some(source));
    let held = udp(&target, &ports).unwrap();
    let socket = udp(&target, &ports).unwrap();
    socket.send(b"x").await.unwrap();
    let (_, from) = receiver.recv_from(&mut [0]).await.unwrap();
    assert_eq!(from, SocketAddr::new(source.address, source.last_port));
    assert!(matches!(udp(&target, &ports), Err(Error::NoPort(_))));
    drop(held);
    udp(&target, &ports).unwrap();
}

#[tokio::test]
async fn an_address_of_another_host_is_no_matter_of_ports() {
    let (_listener, address) = listener().await;
    let source = Source { address: Ipv4Addr::new(192, 0, 2, 77).into(), ..block(2) };
    let error = tcp(&target(address, Some(source)), &Ports::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot assign requested address");
    let error = udp(&target(address, Some(source)), &Ports::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot assign requested address");
}
