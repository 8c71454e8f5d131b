use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;
use crate::Jar;
use crate::limit::Rate;
use crate::name::Name;
use crate::resolve::Resolvers;
use crate::zone::Zone;

/// A zone in which `a` has this address.
fn contents(last: u8) -> Contents<Resolvers> {
    let large = vec!["x".repeat(250); 40].join(" ");
    let text = format!(
        "@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\na A 192.0.2.{last}\nbig TXT {large}\n"
    );
    let read = |_: &Path| -> io::Result<Vec<u8>> { Ok(text.clone().into_bytes()) };
    let apex = Name::parse(b"example.org.", None).unwrap();
    let zone = Zone::load_by(&apex, Path::new("z"), 86_400, &read, &|_, _| None).unwrap().zone;
    let jar = Jar::new([7; 16]);
    let settings = Settings { jar, max_udp: 1232, max_nocookie: 512, id: None, version: None };
    Contents {
        zones: [Arc::new(zone)].into_iter().collect(),
        resolvers: Resolvers::default(),
        settings,
    }
}

fn shared() -> Shared<Resolvers> {
    Arc::new(ArcSwap::from_pointee(contents(7)))
}

/// A question about a name of one label.
fn question(id: u16, label: &str, rtype: u8) -> Vec<u8> {
    let mut all = id.to_be_bytes().to_vec();
    all.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8]);
    all.extend_from_slice(label.as_bytes());
    all.extend_from_slice(b"\x07example\x03org\0\0");
    all.extend_from_slice(&[rtype, 0, 1]);
    all
}

/// A message with its length before it.
fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// A message that is an answer.
fn answer() -> Vec<u8> {
    let mut answer = question(1, "a", 1);
    answer[2] = 0x80;
    answer
}

/// The next answer by UDP.
fn hear(client: &UdpSocket, from: SocketAddr) -> Vec<u8> {
    let mut reply = vec![0; 512];
    let (length, source) = client.recv_from(&mut reply).unwrap();
    assert_eq!(source, from);
    reply.truncate(length);
    reply
}

#[test]
fn questions_by_udp_are_answered_by_all_sockets_and_with_what_is_new() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let shared = shared();
        let first = bind_udp(any.parse().unwrap()).unwrap();
        let address: SocketAddr = first.local_addr().unwrap();
        let start = |socket| UdpWorker::start(1, socket, &shared, None).unwrap();
        let workers = [first, bind_udp(address).unwrap()].map(start);
        let client = |_| {
            let client = UdpSocket::bind(SocketAddr::new(address.ip(), 0)).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client
        };
        let ask = |client: &UdpSocket, id: u16| {
            client.send_to(&question(id, "a", 1), address).unwrap();
            let reply = hear(client, address);
            assert_eq!(reply[..2], id.to_be_bytes());
            *reply.last().unwrap()
        };
        let clients: Vec<UdpSocket> = (0..64).map(client).collect();
        for (id, client) in clients.iter().enumerate() {
            assert_eq!(ask(client, id as u16), 7);
        }
        for worker in &workers {
            assert!(worker.counters().read().rcodes[0] > 0, "the kernel spreads them");
        }
        shared.store(Arc::new(contents(8)));
        assert_eq!(ask(&clients[0], 1), 8);
        // What is no question gets nothing; what is too long, an answer to its header.
        let mut long = question(3, "a", 1);
        long[11] = 1;
        long.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0x13, 0x88]);
        long.extend_from_slice(&[0; 5000]);
        for message in [&[][..], &[0; 11], &answer(), &long] {
            clients[0].send_to(message, address).unwrap();
        }
        let refused = hear(&clients[0], address);
        assert_eq!((refused.len(), refused[1], refused[3] & 15), (12, 3, 1));
        assert_eq!(ask(&clients[0], 2), 8);
        let dropped: u64 = workers.iter().map(|worker| worker.counters().read().dropped).sum();
        assert_eq!(dropped, 3);
    }
}

#[test]
fn strangers_get_so_many_answers_and_are_told_to_come_by_tcp() {
    let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let rate = Rate { per_second: 1, slip: 1 };
    let worker = UdpWorker::start(1, socket, &shared(), Some(rate)).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut replies = Vec::new();
    for id in 0..10 {
        client.send_to(&question(id, "a", 1), address).unwrap();
        replies.push(hear(&client, address));
    }
    assert_eq!((replies[0].len(), replies[0][2] & 2), (47, 0));
    let slipped: Vec<_> = replies.iter().filter(|reply| reply[2] & 2 != 0).collect();
    // A second may pass, and bring another.
    assert!(slipped.len() > 5, "{}", slipped.len());
    for reply in &slipped {
        assert_eq!((reply.len(), &reply[4..12]), (31, &[0, 1, 0, 0, 0, 0, 0, 0][..]));
    }
    assert_eq!(worker.counters().read().slipped, slipped.len() as u64);
}

const PATIENCE: Patience =
    Patience { idle: Duration::from_secs(30), message: Duration::from_secs(5) };

/// The other end of a connection, who answers there, and what is counted.
fn connected(room: usize) -> (DuplexStream, JoinHandle<io::Result<()>>, Arc<Counters>) {
    let (ours, theirs) = duplex(room);
    let counters = Arc::<Counters>::default();
    let counts = counters.clone();
    let task = tokio::spawn(async move {
        let from = [192, 0, 2, 77].into();
        serve_stream(ours, from, &shared(), PATIENCE, &counts).await
    });
    (theirs, task, counters)
}

/// The id of the next answer, and its length.
async fn next(stream: &mut (impl AsyncRead + Unpin)) -> (u16, usize) {
    let length = stream.read_u16().await.unwrap();
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await.unwrap();
    (u16::from_be_bytes([reply[0], reply[1]]), reply.len())
}

#[tokio::test]
async fn thousands_of_questions_at_once_are_all_answered_in_their_order() {
    const COUNT: u16 = 5000;
    let (stream, task, counters) = connected(1000);
    let (mut read, mut write) = tokio::io::split(stream);
    let asking = tokio::spawn(async move {
        for id in 0..COUNT {
            let (label, rtype) = if id % 100 == 0 { ("big", 16) } else { ("a", 1) };
            write.write_all(&framed(&question(id, label, rtype))).await.unwrap();
        }
        write.shutdown().await.unwrap();
    });
    for id in 0..COUNT {
        let (answered, length) = next(&mut read).await;
        assert_eq!(answered, id);
        assert_eq!(length > 10_000, id % 100 == 0, "by TCP there is room");
    }
    asking.await.unwrap();
    task.await.unwrap().unwrap();
    let counts = counters.read();
    assert_eq!((counts.rcodes[0], counts.connections), (u64::from(COUNT), 1));
}

#[tokio::test]
async fn a_question_may_come_byte_by_byte() {
    let (mut stream, task, _) = connected(1000);
    for byte in framed(&question(9, "a", 1)) {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(next(&mut stream).await.0, 9);
    drop(stream);
    task.await.unwrap().unwrap();
}

/// Has somebody be let go, after so many seconds.
async fn let_go(task: JoinHandle<io::Result<()>>, since: Instant, seconds: u64) {
    assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(since.elapsed().as_secs(), seconds);
}

#[tokio::test(start_paused = true)]
async fn who_takes_too_long_is_let_go() {
    let (_stream, task, _) = connected(1000);
    let_go(task, Instant::now(), 30).await;

    // Drop by drop is no way on.
    let (mut stream, task, _) = connected(1000);
    let since = Instant::now();
    tokio::spawn(async move {
        for byte in framed(&question(9, "a", 1)) {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    let_go(task, since, 5).await;

    // Nor is not to read.
    let (mut stream, task, _) = connected(100);
    stream.write_all(&framed(&question(1, "big", 16))).await.unwrap();
    let_go(task, Instant::now(), 5).await;
}

#[tokio::test]
async fn what_is_no_question_ends_the_connection() {
    for bytes in [framed(&answer()), framed(&[0; 11]), framed(&[0; 5000])] {
        let (mut stream, task, _) = connected(8000);
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
