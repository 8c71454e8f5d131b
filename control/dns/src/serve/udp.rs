//! UDP: a thread for each socket, which takes and sends many messages with one call (`recvmmsg`, `sendmmsg`).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::Cache;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use socket2::{Domain, Socket, Type};

use super::{Counters, Shared, now, some_turn};
use crate::answer::{Asker, Resolve, Scratch};
use crate::limit::{Limiter, Rate, Verdict};
use crate::message::Reply;

/// Messages that are taken at once.
const BATCH: usize = 32;
/// Bytes of a question at most: longer ones are cut off, and refused.
const LONGEST: usize = 4096;
/// How long a thread may take to notice that it is to end.
const TURN: Duration = Duration::from_millis(100);
/// Bytes that wait in a socket: a burst, while the thread does something else.
const BUFFER: usize = 4 << 20;

/// A socket of an address, which others may have, too: the kernel spreads askers over them.
///
/// # Errors
/// The system refuses.
pub fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    // A VIP may come onto this host later.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    // As much of it as the system allows.
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_read_timeout(Some(TURN))?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A thread that answers at a socket. On drop it ends.
#[derive(Debug)]
pub struct UdpWorker {
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpWorker {
    /// Starts it. Strangers get their answers at this rate, if there is one: the thread's share of it.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn start<R>(
        number: usize,
        socket: UdpSocket,
        shared: &Shared<R>,
        rate: Option<Rate>,
    ) -> io::Result<Self>
    where
        R: Resolve + Send + Sync + 'static,
    {
        let (counters, stop) = (Arc::<Counters>::default(), Arc::<AtomicBool>::default());
        let (counts, stops, shared) = (counters.clone(), stop.clone(), shared.clone());
        let thread = thread::Builder::new().name(format!("dns-{number}"));
        let thread = thread.spawn(move || {
            let limiter = rate.map(Limiter::new);
            run(&socket, &shared, limiter, &counts, &stops);
        })?;
        Ok(Self { counters, stop, thread: Some(thread) })
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for UdpWorker {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic was told of when it happened.
            let _ = thread.join();
        }
    }
}

fn run<R: Resolve>(
    socket: &UdpSocket,
    shared: &Shared<R>,
    mut limiter: Option<Limiter>,
    counters: &Counters,
    stop: &AtomicBool,
) {
    let began = Instant::now();
    let mut contents = Cache::new(&**shared);
    let mut headers = [(); 2].map(|()| MultiHeaders::preallocate(BATCH, None));
    let [incoming, outgoing] = &mut headers;
    let mut buffers = vec![[0; LONGEST]; BATCH];
    let mut replies: Vec<Reply> = (0..BATCH).map(|_| Reply::default()).collect();
    let (mut received, mut askers) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let (mut scratch, mut turn) = (Scratch::default(), some_turn());
    while !stop.load(Relaxed) {
        received.clear();
        // Nobody asks; or somebody who was answered is not there any more, which is no news.
        if receive(socket, incoming, &mut buffers, &mut received).is_err() {
            continue;
        }
        let contents = contents.load();
        let (server, now) = (contents.server(), now());
        let millis = began.elapsed().as_millis() as u32;
        askers.clear();
        for (buffer, &(length, from)) in buffers.iter().zip(&received) {
            turn = turn.wrapping_add(1);
            let Some(address) = from.as_ref().and_then(ip) else { continue };
            let asker = Asker { address, is_connected: false, now, turn };
            let reply = &mut replies[askers.len()];
            match server.answer(&buffer[..length], &asker, &mut scratch, reply) {
                Some(outcome) => {
                    counters.answered(outcome, reply.is_truncated());
                    let limiter = limiter.as_mut().filter(|_| !outcome.is_known);
                    match limiter.map_or(Verdict::Send, |it| it.judge(address, millis)) {
                        Verdict::Send => askers.push(from),
                        Verdict::Slip => {
                            reply.slip();
                            counters.slipped();
                            askers.push(from);
                        }
                        Verdict::Drop => counters.limited(),
                    }
                }
                None => counters.dropped(),
            }
        }
        send(socket, outgoing, &replies, &askers, counters);
    }
}

/// Bytes of a message, and who sent it.
type Received = (usize, Option<SockaddrStorage>);

/// Waits for messages, and takes as many as there are.
fn receive(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [[u8; LONGEST]],
    received: &mut Vec<Received>,
) -> nix::Result<()> {
    let mut slices: Vec<_> = buffers.iter_mut().map(|it| [IoSliceMut::new(it)]).collect();
    let flags = MsgFlags::MSG_WAITFORONE;
    let messages = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), flags, None)?;
    received.extend(messages.map(|message| (message.bytes, message.address)));
    Ok(())
}

/// Sends all of them, but for those that the kernel refuses.
fn send(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    replies: &[Reply],
    askers: &[Option<SockaddrStorage>],
    counters: &Counters,
) {
    let mut done = 0;
    while done < askers.len() {
        let rest = &replies[done..askers.len()];
        let slices: Vec<_> = rest.iter().map(|it| [IoSlice::new(it.as_bytes())]).collect();
        let (fd, to) = (socket.as_raw_fd(), &askers[done..]);
        match sendmmsg(fd, headers, slices.iter(), to, [], MsgFlags::empty()) {
            Ok(sent) => done += sent.count().max(1),
            Err(Errno::EINTR) => {}
            Err(_) => {
                // The first of them cannot be sent.
                counters.unsent();
                done += 1;
            }
        }
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}
