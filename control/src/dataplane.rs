//! The forwarder, as control sees it: a socket that answers, or does not.
//!
//! [`link`] keeps it fed with the latest Snapshot, whole; [`watchdog`] says whether it forwards.
//! A dataplane without control goes on with what it has.

pub mod link;
pub mod watchdog;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use api::{Reply, Request};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// Why the dataplane gave no answer.
#[derive(Debug, Error)]
pub enum Unanswered {
    /// Nobody is there, or it went.
    #[error("its socket: {0}")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// What came back is not in the protocol.
    #[error("its answer is not understood: {0}")]
    Malformed(String),
}

/// A connection to its socket.
#[derive(Debug)]
pub struct Client {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(socket: &Path) -> Result<Self, Unanswered> {
        let (read, out) = UnixStream::connect(socket).await?.into_split();
        Ok(Self { lines: BufReader::new(read), out })
    }

    /// One request, one reply.
    ///
    /// # Errors
    /// It did not come within `limit`, or not in the protocol. The connection is of no use then.
    pub async fn ask(&mut self, request: &Request, limit: Duration) -> Result<Reply, Unanswered> {
        self.say(&request.to_line(), limit).await
    }

    /// A request's line there, one reply back.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn say(&mut self, line: &str, limit: Duration) -> Result<Reply, Unanswered> {
        let answer = self.exchange(line, limit).await?;
        serde_json::from_str(&answer).map_err(|error| Unanswered::Malformed(error.to_string()))
    }

    /// A line there, a line back, as they are.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn exchange(&mut self, line: &str, limit: Duration) -> Result<String, Unanswered> {
        let talk = async {
            self.out.write_all(line.as_bytes()).await?;
            self.out.write_all(b"\n").await?;
            let mut answer = String::new();
            match self.lines.read_line(&mut answer).await? {
                0 => Err(io::Error::from(ErrorKind::UnexpectedEof)),
                _ => Ok(answer),
            }
        };
        Ok(timeout(limit, talk).await.map_err(|_| Unanswered::Late(limit))??)
    }

    /// Returns when the other side goes: nothing else comes unasked.
    pub async fn gone(&mut self) -> Unanswered {
        match self.lines.fill_buf().await {
            Ok([]) => io::Error::from(ErrorKind::UnexpectedEof).into(),
            Ok(_) => Unanswered::Malformed("a line that was not asked for".into()),
            Err(error) => error.into(),
        }
    }
}

/// One request on a connection of its own, so that it delays no other.
///
/// # Errors
/// As [`Client::ask`].
pub async fn ask(socket: &Path, request: &Request, limit: Duration) -> Result<Reply, Unanswered> {
    Client::connect(socket).await?.ask(request, limit).await
}
