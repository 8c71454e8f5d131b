//! One TCP connection: messages in and out, without waiting for either.
//!
//! What is to be sent is written at once as far as the kernel takes it; the rest waits here. There is
//! never more of it than one round of changes, since nobody adds routes before it is gone. What comes
//! in is looked at message by message and forgotten.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::message::{self, Malformed, Message};

/// Bytes that are read at once: several messages, at least one.
const BUFFER: usize = 4 * message::MAX;
/// How long a connection that ends may take to send its last words.
const CLOSING: Duration = Duration::from_secs(2);

/// A connection.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    input: Box<[u8; BUFFER]>,
    /// Where in `input` the bytes are that have not been looked at.
    unread: std::ops::Range<usize>,
    output: Vec<u8>,
    /// Bytes of `output` that the kernel has.
    written: usize,
    /// When the kernel last took something, or there was nothing to take.
    progress: Instant,
}

impl Session {
    pub(crate) fn new(stream: TcpStream, now: Instant) -> Self {
        Self {
            stream,
            input: Box::new([0; BUFFER]),
            unread: 0..0,
            output: Vec::new(),
            written: 0,
            progress: now,
        }
    }

    /// Sends a message after those before it.
    pub(crate) fn send(&mut self, message: &[u8], now: Instant) {
        if self.is_flushed() {
            self.progress = now;
        }
        self.output.extend_from_slice(message);
    }

    /// Whether the kernel has all that was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.output.is_empty()
    }

    /// Since when they have not taken anything, though there is something to take.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        (!self.is_flushed()).then_some(self.progress)
    }

    /// Gives the kernel what it takes.
    pub(crate) fn flush(&mut self, now: Instant) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.try_write(&self.output[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.written += written;
                    self.progress = now;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Mostly keepalives follow: a table's worth of memory is not kept for them.
        self.output = Vec::new();
        self.written = 0;
        Ok(())
    }

    /// Reads what is there, a few messages at most. `false` at the end of the stream.
    pub(crate) fn read(&mut self) -> io::Result<bool> {
        self.input.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        // There is room: after `next_message` less than a message is left.
        match self.stream.try_read(&mut self.input[self.unread.end..]) {
            Ok(0) => Ok(false),
            Ok(read) => {
                self.unread.end += read;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next message of what was read.
    pub(crate) fn next_message(&mut self) -> Result<Option<Message>, Malformed> {
        let decoded = message::decode(&self.input[self.unread.clone()])?;
        Ok(decoded.map(|(message, length)| {
            self.unread.start += length;
            message
        }))
    }

    /// Ready when there may be something to read, or room to write what waits.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let readable = self.stream.poll_read_ready(context).is_ready();
        let writable = !self.is_flushed() && self.stream.poll_write_ready(context).is_ready();
        if readable || writable { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Sends what waits and closes. Reads on for so long: a close with bytes unread is a reset, which
    /// can overtake the NOTIFICATION.
    pub(crate) async fn close(mut self) {
        let gently = async {
            while !self.is_flushed() {
                if self.flush(Instant::now()).is_err() {
                    return;
                }
                if !self.is_flushed() && self.stream.writable().await.is_err() {
                    return;
                }
            }
            if socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write).is_err() {
                return;
            }
            loop {
                let readable = poll_fn(|context| self.stream.poll_read_ready(context)).await;
                match readable.and_then(|()| self.stream.try_read(&mut self.input[..])) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        // They had their chance.
        let _ = timeout(CLOSING, gently).await;
    }
}
