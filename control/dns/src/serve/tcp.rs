//! TCP, and TLS above it: questions one after the other, or many at once (RFC 7766).

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Counters, Shared, now, some_turn};
use crate::answer::{Asker, Resolve, Scratch};
use crate::message::{HEADER, Reply};

/// Bytes of a question at most.
const LONGEST: usize = 4096;
/// Bytes of questions that are read at once.
const READ: usize = 16 << 10;
/// Bytes of answers that are collected before they are written.
const WRITE: usize = 64 << 10;

/// How long whoever is connected may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Without a question.
    pub idle: Duration,
    /// For a question, from its first byte to its last; for answers that go together.
    pub message: Duration,
}

impl Default for Patience {
    /// RFC 7766 section 6.2.3 asks for seconds, not minutes.
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), message: Duration::from_secs(5) }
    }
}

/// Answers questions of a connection until it ends, or takes too long. Questions that come together are answered
/// together, in their order.
///
/// # Errors
/// The connection broke, or took too long, or what came was no question.
pub async fn serve_stream<S, R>(
    mut stream: S,
    from: IpAddr,
    shared: &Shared<R>,
    patience: Patience,
    counters: &Counters,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Resolve,
{
    counters.connected();
    let mut buffer = Vec::with_capacity(READ);
    // Not everybody who connects is to find the same first.
    let mut answers = Answers { turn: some_turn(), ..Answers::default() };
    loop {
        let end = Instant::now() + patience.idle;
        if timeout_at(end, stream.read_buf(&mut buffer)).await?? == 0 {
            return Ok(());
        }
        // The rest of a question has a time of its own, however it drips.
        let mut end = Instant::now() + patience.message;
        loop {
            while answers.take(&mut buffer, from, shared, counters) {
                write(&mut stream, &mut answers.bytes, patience.message).await?;
                end = Instant::now() + patience.message;
            }
            if answers.is_broken {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if buffer.is_empty() {
                break;
            }
            if timeout_at(end, stream.read_buf(&mut buffer)).await?? == 0 {
                return Ok(());
            }
        }
    }
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &mut Vec<u8>,
    patience: Duration,
) -> io::Result<()> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    // However slowly it goes.
    timeout(patience, written).await??;
    bytes.clear();
    Ok(())
}

/// Answers of one connection.
#[derive(Debug, Default)]
struct Answers {
    bytes: Vec<u8>,
    reply: Reply,
    scratch: Scratch,
    turn: u32,
    /// What came last is no question: nothing is known of what follows.
    is_broken: bool,
}

impl Answers {
    /// Answers the questions at the beginning of `buffer`, as many as are whole and as are written at once;
    /// whether there are answers.
    fn take<R: Resolve>(
        &mut self,
        buffer: &mut Vec<u8>,
        from: IpAddr,
        shared: &Shared<R>,
        counters: &Counters,
    ) -> bool {
        let contents = shared.load();
        let (server, now) = (contents.server(), now());
        let mut rest = &buffer[..];
        while self.bytes.len() < WRITE
            && !self.is_broken
            && let Some((&length, after)) = rest.split_first_chunk()
        {
            let length = usize::from(u16::from_be_bytes(length));
            if !(HEADER..=LONGEST).contains(&length) {
                self.is_broken = true;
                break;
            }
            let Some((question, after)) = after.split_at_checked(length) else { break };
            rest = after;
            self.turn = self.turn.wrapping_add(1);
            let asker = Asker { address: from, is_connected: true, now, turn: self.turn };
            let answered = server.answer(question, &asker, &mut self.scratch, &mut self.reply);
            let Some(outcome) = answered else {
                counters.dropped();
                self.is_broken = true;
                break;
            };
            counters.answered(outcome, self.reply.is_truncated());
            // No reply is longer than that.
            self.bytes.extend_from_slice(&(self.reply.len() as u16).to_be_bytes());
            self.bytes.extend_from_slice(self.reply.as_bytes());
        }
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
        !self.bytes.is_empty()
    }
}
