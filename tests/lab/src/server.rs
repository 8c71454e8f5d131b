//! What an L7 node serves in the lab: a small HTTP/1.1 server and a UDP echo, on threads of this
//! process. Every answer tells the name of the node that gave it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` (and any other path) | the node's name |
//! | `GET /healthcheck` | 200, or what [`Server::set_health`] says |
//! | `GET /bytes/N` | N bytes |
//! | `GET /slow?seconds=S` | 1 KiB each 100 ms, for S seconds |
//! | `GET /late?seconds=S` | nothing, S seconds late |
//! | `POST` | how many bytes came |
//! | a UDP datagram | the node's name, a space, and the datagram |

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket,
    sockopt::{IpFreebind, ReceiveTimeout},
};
use nix::sys::time::TimeVal;

use crate::{Error, Namespace};

/// TCP port of the HTTP server.
pub const HTTP_PORT: u16 = 80;
/// TCP port of HTTPS, where the L7 nodes are proxies.
pub const HTTPS_PORT: u16 = 443;
/// UDP port of the echo.
pub const ECHO_PORT: u16 = 7;

/// How often an idle thread looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(250);
/// The pace of a slow download.
const CHUNK_INTERVAL: Duration = Duration::from_millis(100);
const CHUNK: usize = 1024;
/// Connections are many and their threads do little.
const STACK: usize = 128 * 1024;

/// The servers of one node. They end, and their connections are cut, when it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    port: u16,
    ending: AtomicBool,
    requests: AtomicU64,
    checks: AtomicU64,
    accepted: AtomicU64,
    health: Mutex<(u16, Option<String>)>,
    /// Nobody listens for HTTP: connections are refused.
    refusing: AtomicBool,
    listening: AtomicBool,
    /// Health checks are read and left without an answer.
    stalling: AtomicBool,
    open: Mutex<HashMap<u64, TcpStream>>,
}

impl Server {
    /// Serves HTTP on every address of the namespace, and the echo on `echo_at`.
    ///
    /// # Errors
    /// A port is taken, or an address is not there.
    pub fn start(namespace: &Namespace, name: &str, echo_at: &[IpAddr]) -> Result<Self, Error> {
        Self::on(namespace, name, HTTP_PORT, echo_at)
    }

    /// The same with HTTP on another port.
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn on(
        namespace: &Namespace,
        name: &str,
        port: u16,
        echo_at: &[IpAddr],
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            name: name.into(),
            port,
            ending: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            checks: AtomicU64::new(0),
            health: Mutex::new((200, None)),
            refusing: AtomicBool::new(false),
            listening: AtomicBool::new(true),
            stalling: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let mut server = Self { shared, threads: Vec::new() };
        // A socket stays in the namespace in which it was made; its threads need not.
        let (listener, echoes) = namespace
            .enter(|| {
                let listener = listen(port)?;
                // One socket an address: the answer's source is then the address asked.
                let echoes = echo_at.iter().map(|&address| echo_socket(address));
                Ok((listener, echoes.collect::<io::Result<Vec<_>>>()?))
            })
            .map_err(Error::system(format!("starting the servers of {name}")))?;
        let shared = Arc::clone(&server.shared);
        let namespace = namespace.clone();
        server.threads.push(thread::spawn(move || accept(listener, &namespace, &shared)));
        for socket in echoes {
            let shared = Arc::clone(&server.shared);
            server.threads.push(thread::spawn(move || echo(&socket, &shared)));
        }
        Ok(server)
    }

    /// What `/healthcheck` is answered with from now on: status, and `Palier-State`.
    pub fn set_health(&self, status: u16, state: Option<&str>) {
        *self.shared.health() = (status, state.map(Into::into));
    }

    /// Leaves health checks without an answer from now on, as a server that is stuck does; or answers
    /// them again, those that still wait among them.
    pub fn stall(&self, stalling: bool) {
        self.shared.stalling.store(stalling, Relaxed);
    }

    /// Refuses HTTP connections from now on, or accepts them again; those that are open stay. Returns
    /// once it is so.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Relaxed);
        let what = if refusing { "the server refuses" } else { "the server listens" };
        crate::wait_until(what, Duration::from_secs(30), || {
            self.shared.listening.load(Relaxed) != refusing
        });
    }

    /// Health checks answered so far: they are no requests.
    pub fn checks(&self) -> u64 {
        self.shared.checks.load(Relaxed)
    }

    /// HTTP requests answered so far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// TCP connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Relaxed)
    }

    /// The clients' ends of the TCP connections that are open now.
    pub fn clients(&self) -> Vec<SocketAddr> {
        let open = self.shared.open();
        let peers = open.values().filter_map(|stream| stream.peer_addr().ok());
        // The listener is of IPv6, and serves IPv4 too.
        peers.map(|peer| SocketAddr::new(peer.ip().to_canonical(), peer.port())).collect()
    }

    /// TCP connections open now.
    pub fn connections(&self) -> usize {
        self.shared.open().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ending.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // It has told its panic already.
            let _ = thread.join();
        }
        for stream in self.shared.open().values() {
            // It may have ended on its own.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> std::sync::MutexGuard<'_, (u16, Option<String>)> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ending(&self) -> bool {
        self.ending.load(Relaxed)
    }
}

/// A socket for the echo at an address, which may come later.
fn echo_socket(address: IpAddr) -> io::Result<UdpSocket> {
    let at = SocketAddr::new(address, ECHO_PORT);
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // Of both families: an IPv6 socket is one of IPv4, too.
    setsockopt(&socket, IpFreebind, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(at))?;
    Ok(UdpSocket::from(socket))
}

/// A listener for HTTP that looks up from time to time.
fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?;
    setsockopt(&listener, ReceiveTimeout, &TimeVal::new(0, 250_000))?;
    Ok(listener)
}

fn accept(listener: TcpListener, namespace: &Namespace, shared: &Arc<Shared>) {
    let mut listener = Some(listener);
    while !shared.ending() {
        let refusing = shared.refusing.load(Relaxed);
        if refusing {
            listener = None;
        } else if listener.is_none() {
            listener = namespace.enter(|| listen(shared.port)).ok();
        }
        shared.listening.store(listener.is_some(), Relaxed);
        let Some(listener) = &listener else {
            thread::park_timeout(Duration::from_millis(10));
            continue;
        };
        let Ok((stream, _)) = listener.accept() else { continue };
        let Ok(for_cut) = stream.try_clone() else { continue };
        let number = shared.accepted.fetch_add(1, Relaxed);
        shared.open().insert(number, for_cut);
        let of_thread = Arc::clone(shared);
        let serving = thread::Builder::new().stack_size(STACK).spawn(move || {
            // Broken connections are the client's to notice.
            let _ = serve(&stream, &of_thread);
            of_thread.open().remove(&number);
        });
        if serving.is_err() {
            shared.open().remove(&number);
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Accepted sockets inherit the listener's: a client may pause for as long as it likes.
    stream.set_read_timeout(None)?;
    let mut reader = BufReader::with_capacity(4096, stream);
    while let Some(request) = Request::read(&mut reader)? {
        if request.path == "/healthcheck" {
            shared.checks.fetch_add(1, Relaxed);
            check(stream, shared)?;
            continue;
        }
        shared.requests.fetch_add(1, Relaxed);
        respond(&request, &mut reader, stream, shared)?;
    }
    Ok(())
}

fn check(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    while shared.stalling.load(Relaxed) && !shared.ending() {
        thread::park_timeout(Duration::from_millis(10));
    }
    let (status, state) = shared.health().clone();
    let state = state.map_or_else(String::new, |state| format!("Palier-State: {state}\r\n"));
    let head = format!("HTTP/1.1 {status} Health\r\n{state}Content-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes())
}

fn respond(
    request: &Request,
    reader: &mut impl Read,
    mut stream: &TcpStream,
    shared: &Shared,
) -> io::Result<()> {
    let name = &shared.name;
    let mut head = |length: usize| {
        let text = format!("HTTP/1.1 200 OK\r\nX-Node: {name}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(text.as_bytes())
    };
    if request.method == "POST" {
        let came = io::copy(&mut reader.take(request.body), &mut io::sink())?;
        let text = format!("{came}\n");
        head(text.len())?;
        return stream.write_all(text.as_bytes());
    }
    if let Some(length) = request.number_after("/bytes/") {
        head(length)?;
        return io::copy(&mut io::repeat(b'.').take(length as u64), &mut stream).map(drop);
    }
    if let Some(seconds) = request.number_after("/late?seconds=") {
        // So is this answer: whoever asks is to wait.
        thread::sleep(Duration::from_secs(seconds as u64));
        return head(0);
    }
    if let Some(seconds) = request.number_after("/slow?seconds=") {
        let chunks = seconds * 10;
        head(chunks * CHUNK)?;
        for _ in 0..chunks {
            stream.write_all(&[b'.'; CHUNK])?;
            // The download is slow on purpose: this is its pace, not a wait for something.
            thread::sleep(CHUNK_INTERVAL);
        }
        return Ok(());
    }
    head(name.len() + 1)?;
    stream.write_all(format!("{name}\n").as_bytes())
}

struct Request {
    method: String,
    path: String,
    body: u64,
}

impl Request {
    /// The next request of a connection; `None` at its end.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(ErrorKind::InvalidData.into());
        };
        let mut request = Self { method: method.into(), path: path.into(), body: 0 };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                request.body = value.trim().parse().map_err(|_| ErrorKind::InvalidData)?;
            }
        }
        Ok(Some(request))
    }

    fn number_after(&self, prefix: &str) -> Option<usize> {
        self.path.strip_prefix(prefix)?.parse().ok()
    }
}

fn echo(socket: &UdpSocket, shared: &Shared) {
    let mut datagram = [0; 65536];
    if socket.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    while !shared.ending() {
        let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
        let mut answer = format!("{} ", shared.name).into_bytes();
        answer.extend_from_slice(&datagram[..length]);
        // A client that is gone does not miss it.
        let _: io::Result<usize> = socket.send_to(&answer, from as SocketAddr);
    }
}
