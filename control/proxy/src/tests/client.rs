use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::SOON;

/// A client that says what it is told to.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    lines: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { lines: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    pub(super) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Asks for a path, on a connection that may be used again.
    pub(super) fn get(&mut self, path: &str) -> Response {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n"))
    }

    pub(super) fn ask(&mut self, request: &str) -> Response {
        self.say(request);
        self.hear().expect("an answer")
    }

    /// The next answer; nothing if the connection was closed before it.
    pub(super) fn hear(&mut self) -> Option<Response> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if self.lines.read_line(&mut head).ok()? == 0 {
                return None;
            }
            if &head[before..] == "\r\n" {
                break;
            }
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut response = Response { status, head, body: Vec::new() };
        if let Some(length) = response.header("content-length") {
            response.body.resize(length.parse().ok()?, 0);
            self.lines.read_exact(&mut response.body).ok()?;
        } else if response.header("transfer-encoding").is_some() {
            loop {
                let mut size = String::new();
                self.lines.read_line(&mut size).ok()?;
                let size = usize::from_str_radix(size.trim(), 16).ok()?;
                let mut chunk = vec![0; size + 2];
                self.lines.read_exact(&mut chunk).ok()?;
                if size == 0 {
                    break;
                }
                response.body.extend_from_slice(&chunk[..size]);
            }
        }
        Some(response)
    }

    /// Reads so many bytes as they are.
    pub(super) fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.lines.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the other side has closed the connection: reads what is left.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.lines.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
