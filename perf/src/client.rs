//! A connection to a proxy that asks, and reads what is answered: the part of the load that is cheap
//! enough not to be measured itself. Requests are so small that a socket takes them at once.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// The name that is asked for.
pub const NAME: &str = "www.example.org";
/// Bytes that are read at once: less than a large body, so that others have their turn.
pub const BUFFER: usize = 128 * 1024;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// What fits into a packet with its header.
    Small,
    /// A MiB.
    Large,
}

impl Body {
    /// Its name at the server.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    /// Its bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Small => 82,
            Self::Large => 1 << 20,
        }
    }
}

/// Whom a client asks, and for what.
#[derive(Clone, Debug)]
pub struct Question {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    text: Vec<u8>,
    /// Whether a connection is for one request.
    pub(crate) close: bool,
}

impl Question {
    /// Over connections that stay, or that are for one request each.
    pub fn new(address: SocketAddr, body: Body, close: bool) -> Self {
        let last = if close { "Connection: close\r\n" } else { "" };
        let text = format!("GET /{} HTTP/1.1\r\nHost: {NAME}\r\n{last}\r\n", body.name());
        Self { address, tls: None, text: text.into(), close }
    }

    /// The same over TLS.
    pub fn over(self, tls: Arc<ClientConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

/// TLS 1.3, with a full handshake for each connection.
///
/// # Errors
/// This is no certificate.
pub fn tls(certificate: CertificateDer<'static>) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing that is complete.
    Waiting,
    /// An answer.
    Answered,
    /// The other side has closed, and nothing was to come.
    Closed,
}

/// A connection.
pub struct Client {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    answer: Answer,
}

impl Client {
    /// Connects; the handshake of TLS begins with the first request.
    ///
    /// # Errors
    /// It is not accepted.
    pub fn connect(question: &Question) -> io::Result<Self> {
        let stream = TcpStream::connect(question.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let session = |config: &Arc<ClientConfig>| {
            let name = ServerName::try_from(NAME).expect("it is a name");
            ClientConnection::new(config.clone(), name).map(Box::new).map_err(io::Error::other)
        };
        let tls = question.tls.as_ref().map(session).transpose()?;
        Ok(Self { stream, tls, answer: Answer::default() })
    }

    /// Asks.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn ask(&mut self, question: &Question) -> io::Result<()> {
        self.answer = Answer::Head(Vec::new());
        let Some(tls) = &mut self.tls else { return self.stream.write_all(&question.text) };
        // Kept until the handshake is over.
        tls.writer().write_all(&question.text)?;
        flush(tls, &mut self.stream)
    }

    /// Reads what is there, or as much as this buffer takes.
    ///
    /// # Errors
    /// The connection is broken, or what came is no answer of this kind.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        match &mut self.tls {
            None => match self.stream.read(buffer) {
                Ok(0) => self.answer.end(),
                Ok(length) => self.answer.take(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Progress::Waiting),
                Err(error) => Err(error),
            },
            Some(tls) => {
                let closed = match tls.read_tls(&mut self.stream) {
                    Ok(length) => length == 0,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => false,
                    Err(error) => return Err(error),
                };
                let state = tls.process_new_packets().map_err(io::Error::other)?;
                flush(tls, &mut self.stream)?;
                let mut left = state.plaintext_bytes_to_read();
                let mut progress = Progress::Waiting;
                while left > 0 {
                    let length = tls.reader().read(buffer)?;
                    left -= length;
                    progress = self.answer.take(&buffer[..length])?;
                }
                let closed = closed || state.peer_has_closed();
                if closed && progress == Progress::Waiting {
                    self.answer.end()
                } else {
                    Ok(progress)
                }
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn flush(tls: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    Ok(())
}

/// How far an answer has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum Answer {
    /// None is to come.
    #[default]
    None,
    /// This much of its head is there.
    Head(Vec<u8>),
    /// So many bytes of its body are to come.
    Body(usize),
}

impl Answer {
    fn take(&mut self, bytes: &[u8]) -> io::Result<Progress> {
        let left = match self {
            Self::None => return Err(io::Error::other("more than was asked for")),
            Self::Body(left) => left.checked_sub(bytes.len()),
            Self::Head(head) => {
                head.extend_from_slice(bytes);
                let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
                    return Ok(Progress::Waiting);
                };
                length(&head[..end])?.checked_sub(head.len() - end - 4)
            }
        };
        let left = left.ok_or_else(|| io::Error::other("more than it said"))?;
        if left > 0 {
            *self = Self::Body(left);
            return Ok(Progress::Waiting);
        }
        *self = Self::None;
        Ok(Progress::Answered)
    }

    fn end(&self) -> io::Result<Progress> {
        match self {
            Self::None => Ok(Progress::Closed),
            Self::Head(_) | Self::Body(_) => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What a head says of its body.
fn length(head: &[u8]) -> io::Result<usize> {
    let wrong = || io::Error::other(format!("not as expected: {}", String::from_utf8_lossy(head)));
    let head = std::str::from_utf8(head).map_err(|_| wrong())?;
    let mut lines = head.split("\r\n");
    lines.next().filter(|line| line.starts_with("HTTP/1.1 200 ")).ok_or_else(wrong)?;
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse().ok())
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_come_in_pieces() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\n\r\nabc";
        for cut in 1..text.len() {
            let mut answer = Answer::Head(Vec::new());
            assert_eq!(answer.take(&text[..cut]).unwrap(), Progress::Waiting, "{cut}");
            assert!(answer.end().is_err(), "{cut}");
            assert_eq!(answer.take(&text[cut..]).unwrap(), Progress::Answered, "{cut}");
            assert_eq!(answer.end().unwrap(), Progress::Closed);
        }
    }

    #[test]
    fn what_is_no_good_answer_is_an_error() {
        for text in [
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        ] {
            assert!(Answer::Head(Vec::new()).take(text.as_bytes()).is_err(), "{text}");
        }
    }
}
