use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that answers as a test wants. Its thread ends with the listener.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// A request as it came: its header as text, its body.
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Server {
    /// One that does this with each connection.
    pub(super) fn raw(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::start(move |stream, _| handle(stream))
    }

    /// One that answers requests, any number on a connection; `None` closes it.
    pub(super) fn new(
        answer: impl Fn(&Request) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |mut stream, shared| {
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while let Some(request) = read(&mut lines) {
                shared.heads.lock().unwrap().push(request.head.clone());
                let Some(text) = answer(&request) else { return };
                if stream.write_all(&text).is_err() {
                    return;
                }
            }
        })
    }

    fn start(handle: impl Fn(TcpStream, &Shared) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (there, handle) = (shared.clone(), Arc::new(handle));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if there.stop.load(SeqCst) {
                    return;
                }
                there.connections.fetch_add(1, SeqCst);
                let (there, handle) = (there.clone(), handle.clone());
                thread::spawn(move || handle(stream.unwrap(), &there));
            }
        });
        Self { address, shared }
    }

    /// One that says its name.
    pub(super) fn named(name: &'static str) -> Self {
        Self::new(move |_| Some(ok(name)))
    }

    /// Connections that came so far.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// The headers of the requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// An answer with this body.
pub(super) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Reads a request; nothing at the end.
pub(super) fn read(lines: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if lines.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if &head[before..] == "\r\n" {
            break;
        }
    }
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if let Some(length) = lower.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        body.resize(length.trim().parse().ok()?, 0);
        lines.read_exact(&mut body).ok()?;
    } else if lower.contains("transfer-encoding: chunked") {
        loop {
            let mut size = String::new();
            lines.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            lines.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    Some(Request { head, body })
}
