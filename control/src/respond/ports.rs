//! Where questions come: sockets, which outlive what answers at them, and the threads that do.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use config::Dns;
use dns::limit::Rate;
use dns::resolve::Resolvers;
use dns::serve::{Counts, Shared, UdpWorker, bind_udp};
use proxy::Listeners;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};

use super::streams::{Gate, StreamThread};
use crate::handover::{Datagrams, Estate};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Ports {
    udp: Datagrams,
    tcp: Listeners,
    workers: Vec<UdpWorker>,
    streams: Vec<StreamThread>,
    /// With what the workers run.
    rate: Option<Rate>,
    /// Counted by threads that have ended.
    before: Counts,
}

impl Ports {
    /// Opens what the node listens at, but for what another process hands over. Questions wait.
    ///
    /// # Errors
    /// An address cannot be had; nothing was opened.
    pub(super) fn open(&mut self, own: &Dns, estate: &mut Estate) -> Result<(), String> {
        let threads = threads(own);
        let failed = |what, at| move |error| format!("cannot listen at {at} ({what}): {error}");
        let (mut udp, mut tcp) = (Datagrams::new(), Listeners::new());
        for &at in own.listen.iter().filter(|at| !self.udp.contains_key(at)) {
            let mut sockets = estate.datagrams.remove(&at).unwrap_or_default();
            while sockets.len() < threads {
                sockets.push(bind_udp(at).map_err(failed("udp", at))?);
            }
            udp.insert(at, sockets);
        }
        for at in connected(own).filter(|at| !self.tcp.contains_key(at)) {
            let mut sockets = estate.listeners.remove(&at).unwrap_or_default();
            while sockets.len() < threads {
                sockets.push(bind_tcp(at).map_err(failed("tcp", at))?);
            }
            tcp.insert(at, sockets);
        }
        self.udp.extend(udp);
        self.tcp.extend(tcp);
        Ok(())
    }

    /// Answers there, and nowhere else, from now on.
    ///
    /// # Errors
    /// There can be no more threads or descriptors.
    pub(super) fn answer(
        &mut self,
        own: &Dns,
        tls: Option<&Arc<ServerConfig>>,
        shared: &Shared<Resolvers>,
    ) -> io::Result<()> {
        let is_same = self.udp.keys().all(|at| own.listen.contains(at));
        if !is_same || self.workers.len() != sockets(&self.udp) || self.rate != own.rate_limit {
            self.udp.retain(|at, _| own.listen.contains(at));
            self.answer_datagrams(own, shared)?;
        }
        let kept: Vec<_> = connected(own).collect();
        self.tcp.retain(|at, _| kept.contains(at));
        if self.streams.is_empty() {
            let most = own.max_connections.div_ceil(threads(own) as u32);
            let start = |number| StreamThread::start(number, shared, most);
            self.streams = (0..threads(own)).map(start).collect::<io::Result<_>>()?;
        }
        let mut gates: Vec<Vec<Gate>> = self.streams.iter().map(|_| Vec::new()).collect();
        for (at, listeners) in &self.tcp {
            let is_tls = own.tls.as_ref().is_some_and(|tls| tls.listen.contains(at));
            for (number, listener) in listeners.iter().enumerate() {
                let tls = tls.filter(|_| is_tls).cloned();
                let gate = Gate { listener: listener.try_clone()?, tls };
                gates[number % self.streams.len()].push(gate);
            }
        }
        for (thread, gates) in self.streams.iter().zip(gates) {
            thread.set(gates);
        }
        Ok(())
    }

    fn answer_datagrams(&mut self, own: &Dns, shared: &Shared<Resolvers>) -> io::Result<()> {
        self.before = self.counts();
        self.workers.clear();
        self.rate = own.rate_limit;
        for sockets in self.udp.values() {
            // The kernel spreads a network's questions over all of them.
            let share = |rate: Rate| {
                let per_second = usize::from(rate.per_second).div_ceil(sockets.len());
                Rate { per_second: per_second as u16, ..rate }
            };
            for socket in sockets {
                let number = self.workers.len();
                let rate = own.rate_limit.map(share);
                self.workers.push(UdpWorker::start(number, socket.try_clone()?, shared, rate)?);
            }
        }
        Ok(())
    }

    /// Copies of the sockets, for another process.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub(super) fn sockets(&self) -> io::Result<(Listeners, Datagrams)> {
        let tcp = copies(&self.tcp, TcpListener::try_clone)?;
        Ok((tcp, copies(&self.udp, UdpSocket::try_clone)?))
    }

    /// What was counted, all threads together.
    pub(super) fn counts(&self) -> Counts {
        let workers = self.workers.iter().map(|worker| worker.counters().read());
        let streams = self.streams.iter().map(|thread| thread.counters().read());
        workers.chain(streams).fold(self.before, |all, one| all + one)
    }

    /// Answers what has come, and nothing more. Those who are connected may ask on.
    pub(super) async fn close(&mut self) {
        for thread in &self.streams {
            thread.set(Vec::new());
        }
        let workers = std::mem::take(&mut self.workers);
        // Each takes a moment to notice.
        let ended = tokio::task::spawn_blocking(move || drop(workers));
        // A panic was told of when it happened.
        let _ = ended.await;
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> u64 {
        self.streams.iter().map(StreamThread::open).sum()
    }
}

/// Where clients connect.
fn connected(own: &Dns) -> impl Iterator<Item = SocketAddr> + '_ {
    own.listen.iter().chain(own.tls.iter().flat_map(|tls| &tls.listen)).copied()
}

/// Threads at each address.
pub(super) fn threads(own: &Dns) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    own.workers.map_or_else(all, usize::from)
}

fn sockets(udp: &Datagrams) -> usize {
    udp.values().map(Vec::len).sum()
}

fn copies<T>(
    all: &BTreeMap<SocketAddr, Vec<T>>,
    copy: impl Fn(&T) -> io::Result<T>,
) -> io::Result<BTreeMap<SocketAddr, Vec<T>>> {
    let one = |(&at, sockets): (&SocketAddr, &Vec<T>)| {
        Ok((at, sockets.iter().map(&copy).collect::<io::Result<_>>()?))
    };
    all.iter().map(one).collect()
}

fn bind_tcp(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // A VIP may come onto this host later.
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
