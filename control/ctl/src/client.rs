//! A client of a socket of palier: a line out, a line in, each within a deadline.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt::SendTimeout,
};
use nix::sys::time::TimeVal;
use nix::unistd::{Gid, Group};
use serde_json::Value;
use thiserror::Error;

/// Longest reply: a whole Snapshot or status of a large site has some ten MB.
const LONGEST: usize = 256 << 20;

/// How long a connection may take: the listener is on this host.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no reply.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// No connection is made.
    #[error("{program} is not reached at {}: {source}: {hint}", path.display())]
    Connect {
        /// Who should listen.
        program: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
        /// What to look at.
        hint: String,
    },
    /// The connection broke.
    #[error("the connection to {program} broke: {source}")]
    Lost {
        /// Whose.
        program: &'static str,
        /// How.
        source: io::Error,
    },
    /// It was closed before a whole line came.
    #[error("{0} closed the connection without an answer")]
    Closed(&'static str),
    /// It took too long.
    #[error("{program} did not answer within {}", crate::text::human(*patience))]
    Silent {
        /// Who.
        program: &'static str,
        /// How long it had.
        patience: Duration,
    },
    /// The line has no end.
    #[error("the answer of {0} is longer than {LONGEST} bytes")]
    TooLong(&'static str),
    /// The line is not what was to come.
    #[error("the answer of {program} is not understood (is it of another release?): {problem}")]
    Broken {
        /// Whose.
        program: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    program: &'static str,
    stream: UnixStream,
}

impl Client {
    /// Connects to the socket of `program`.
    ///
    /// # Errors
    /// [`Error::Connect`], with what to look at.
    pub(crate) fn connect(program: &'static str, path: &Path) -> Result<Self, Error> {
        match open(path) {
            Ok(stream) => Ok(Self { program, stream }),
            Err(source) => {
                let hint = hint(program, path, &source);
                Err(Error::Connect { program, path: path.into(), source, hint })
            }
        }
    }

    /// Sends a line, without its newline, and waits for one. Control characters inside the answer's
    /// strings are replaced: what a check or an agent said shall not write to a terminal.
    ///
    /// # Errors
    /// No line came within `patience`, or it is not JSON. The connection is of no use then.
    pub(crate) fn ask(&mut self, line: &str, patience: Duration) -> Result<Value, Error> {
        let deadline = Instant::now() + patience;
        let reply = self.send(line, deadline).and_then(|()| self.receive(deadline));
        let reply = match reply {
            Ok(Some(reply)) => reply,
            Ok(None) => return Err(Error::Closed(self.program)),
            Err(error) => return Err(self.lost(error, patience)),
        };
        let mut value = serde_json::from_slice(&reply)
            .map_err(|error| Error::Broken { program: self.program, problem: error.to_string() })?;
        scrub(&mut value);
        Ok(value)
    }

    fn send(&mut self, line: &str, deadline: Instant) -> io::Result<()> {
        self.stream.set_write_timeout(Some(left(deadline)?))?;
        self.stream.write_all(line.as_bytes())?;
        self.stream.write_all(b"\n")
    }

    /// A line, or nothing if the other side closed before its end.
    fn receive(&mut self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        let (mut line, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            self.stream.set_read_timeout(Some(left(deadline)?))?;
            let read = match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(read) => &chunk[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // One answer a question: nothing that is wanted follows the newline.
            if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&read[..end]);
                return Ok(Some(line));
            }
            line.extend_from_slice(read);
            if line.len() > LONGEST {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
    }

    fn lost(&self, source: io::Error, patience: Duration) -> Error {
        let program = self.program;
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::Silent { program, patience }
            }
            io::ErrorKind::FileTooLarge => Error::TooLong(program),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Closed(program),
            _ => Error::Lost { program, source },
        }
    }
}

/// What is left until the deadline, never nothing: that would mean no timeout at all.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Connects within [`CONNECT`], also where the listener hangs and its queue is full.
fn open(path: &Path) -> io::Result<UnixStream> {
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, SendTimeout, &TimeVal::new(CONNECT.as_secs() as i64, 0))?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd.into())
}

fn hint(program: &'static str, path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return format!("is {program} running?");
    }
    let group = std::fs::metadata(path).ok().map(|socket| Gid::from_raw(socket.gid()));
    match group.and_then(|gid| Group::from_gid(gid).ok().flatten()) {
        Some(group) => format!("that takes root, or membership of group {}", group.name),
        None => "that takes root, or membership of the socket's group".into(),
    }
}

/// Replaces control characters in every string.
fn scrub(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => {
            if text.contains(char::is_control) {
                *text = text.replace(char::is_control, "\u{fffd}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::Object(fields) => fields.values_mut().for_each(scrub),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// Asks a server that reads a line, does what `behave` does, and closes.
    fn ask(behave: impl FnOnce(&mut UnixStream) + Send + 'static) -> Result<Value, Error> {
        ask_within(Duration::from_secs(60), behave)
    }

    fn ask_within(
        patience: Duration,
        behave: impl FnOnce(&mut UnixStream) + Send + 'static,
    ) -> Result<Value, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            io::BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
            behave(&mut stream);
        });
        let reply = Client::connect("a server", &path).unwrap().ask("{}", patience);
        server.join().unwrap();
        reply
    }

    #[test]
    fn a_line_in_pieces_is_put_together() {
        let reply = ask(|stream| {
            stream.write_all(br#"{"answer""#).unwrap();
            stream.write_all(b": 42}\nand more").unwrap();
        });
        assert_eq!(reply.unwrap()["answer"], 42);
    }

    #[test]
    fn what_could_write_to_a_terminal_is_replaced() {
        let line = serde_json::json!({ "a": [{ "b": "\u{1b}[2Jhello\u{9b}\n" }] }).to_string();
        let reply = ask(move |stream| writeln!(stream, "{line}").unwrap()).unwrap();
        assert_eq!(reply["a"][0]["b"], "\u{fffd}[2Jhello\u{fffd}\u{fffd}");
    }

    #[test]
    fn half_a_line_is_no_answer() {
        let reply = ask(|stream| stream.write_all(br#"{"answer": 42}"#).unwrap());
        assert!(matches!(reply, Err(Error::Closed(_))), "{reply:?}");
    }

    #[test]
    fn bytes_that_trickle_in_do_not_prolong_the_deadline() {
        // The server goes on until the client is gone.
        let patience = Duration::from_millis(300);
        let reply = ask_within(patience, |stream| while stream.write_all(b" ").is_ok() {});
        assert!(matches!(reply, Err(Error::Silent { .. } | Error::TooLong(_))), "{reply:?}");
    }

    #[test]
    fn what_is_not_json_is_named() {
        let reply = ask(|stream| stream.write_all(b"502 Bad Gateway\n").unwrap());
        assert!(matches!(reply, Err(Error::Broken { .. })), "{reply:?}");
    }

    #[test]
    fn a_dead_socket_says_what_to_look_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        for path in [path, dir.path().join("none")] {
            let error = Client::connect("a server", &path).unwrap_err().to_string();
            assert!(error.ends_with("is a server running?"), "{error}");
        }
    }
}
