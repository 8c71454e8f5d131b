//! Each kind against a real server of its kind, and against dead, slow, lying and endless ones.

mod agent;
mod command;
mod dns;
mod file;
mod http;
mod icmp;
mod tcp;
mod tls;
mod udp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use super::{Context, run};
use crate::{Check, Kind, Outcome, Probe, Report, Target, Timing};

/// Longer than any answer takes: what is not about deadlines has all the time it needs.
const PATIENCE: Duration = Duration::from_secs(30);

fn probe(kind: Kind, to: SocketAddr, timeout: Duration) -> Probe {
    let timing = Timing { timeout, ..Timing::default() };
    let target = Target {
        node: "l7-1".into(),
        address: to.ip(),
        port: to.port(),
        source: None,
        preamble: None,
    };
    Probe { check: Arc::new(Check { kind, timing }), target }
}

async fn ask(kind: Kind, to: SocketAddr) -> Report {
    run(&probe(kind, to, PATIENCE), &Context::new()).await
}

/// Asks one that does not answer.
async fn ask_in_vain(kind: Kind, to: SocketAddr) -> Report {
    run(&probe(kind, to, Duration::from_millis(50)), &Context::new()).await
}

fn localhost(v6: bool) -> SocketAddr {
    let address: IpAddr = if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    SocketAddr::new(address, 0)
}

/// A server that treats each connection so.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    server_on(localhost(false), serve).await
}

async fn server_on<F>(
    address: SocketAddr,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A server that says this to whoever connects, and closes once it was read.
async fn saying(words: &'static [u8]) -> SocketAddr {
    server(move |mut stream| async move {
        let _gone = stream.write_all(words).await;
        let _gone = stream.shutdown().await;
        wait_for_end(stream).await;
    })
    .await
}

/// A server that says the beginning once, and then this again and again.
async fn endless(beginning: &'static [u8], again: &'static [u8]) -> SocketAddr {
    server(move |mut stream| async move {
        let _gone = stream.write_all(beginning).await;
        while stream.write_all(again).await.is_ok() {}
    })
    .await
}

/// A server that accepts and never says a word.
async fn slow() -> SocketAddr {
    server(wait_for_end).await
}

async fn wait_for_end(mut stream: TcpStream) {
    let _end = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// An address that refuses connections, as long as the socket lives: bound, but not listening.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(localhost(false)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// An address where datagrams meet ICMP port unreachable, as long as the socket lives: it takes them
/// from itself alone.
async fn unreachable() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(localhost(false)).await.unwrap();
    let address = socket.local_addr().unwrap();
    socket.connect(address).await.unwrap();
    (socket, address)
}

#[track_caller]
fn assert_report(report: &Report, outcome: Outcome, reason: &str) {
    assert_eq!((report.outcome, report.reason.as_str()), (outcome, reason));
}

/// Every port of the block is taken, or the address is not this host's: that says nothing of the target.
#[tokio::test]
async fn a_target_that_this_host_cannot_ask_is_not_blamed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let blocks = [
        (IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        // TEST-NET-1: nobody's address here.
        (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port),
    ];
    for (address, port) in blocks {
        let mut probe = probe(Kind::Tcp(crate::Tcp::default()), to, PATIENCE);
        probe.target.source = Some(crate::Source { address, first_port: port, last_port: port });
        let report = run(&probe, &Context::new()).await;
        assert_eq!(report.outcome, Outcome::Unasked, "{}", report.reason);
        assert!(report.reason.starts_with("not asked: "), "{}", report.reason);
    }
}
