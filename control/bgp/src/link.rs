//! A connection: what is read becomes messages, what is to be written waits for its turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::fault::Fault;
use crate::frame::{self, Received};
use crate::fsm::Input;

/// What may wait to be written: a peer that asks again and again and reads nothing costs no more.
const BACKLOG: usize = 8 << 20;
/// How long a peer may read nothing while something waits (RFC 9687 asks for the hold time, or 8 min).
const SEND_HOLD: Duration = Duration::from_secs(480);
/// How long a last word may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a side hears of its connection.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Which connection.
    pub(crate) link: u64,
    pub(crate) input: Input,
}

/// A connection. It ends when this is dropped, once what waits is written or takes too long.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: u64,
    writing: mpsc::UnboundedSender<Write>,
    backlog: Arc<AtomicUsize>,
    reader: AbortHandle,
}

#[derive(Debug)]
enum Write {
    Message(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

impl Link {
    /// Reads and writes from now on; `heard` is told what comes. A peer that reads nothing for `hold` is
    /// given up.
    pub(crate) fn new(
        id: u64,
        stream: TcpStream,
        hold: Duration,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        let (read, write) = stream.into_split();
        let (writing, to_write) = mpsc::unbounded_channel();
        let backlog = Arc::new(AtomicUsize::new(0));
        let reader = tokio::spawn(listen(id, read, heard.clone())).abort_handle();
        let hold = if hold.is_zero() { SEND_HOLD } else { hold };
        tokio::spawn(speak(id, write, to_write, backlog.clone(), hold, heard));
        Self { id, writing, backlog, reader }
    }

    /// Sends a message. What is too much is dropped with the connection, which its side is told of.
    pub(crate) fn send(&self, message: Vec<u8>) -> Result<(), Fault> {
        if self.backlog.fetch_add(message.len(), Relaxed) > BACKLOG {
            return Err(Fault::SEND_HOLD);
        }
        // A writer that is gone has told so.
        let _ = self.writing.send(Write::Message(message));
        Ok(())
    }

    /// Tells when everything so far was handed to the kernel, or will never be.
    pub(crate) fn flush(&self, done: oneshot::Sender<()>) {
        let _ = self.writing.send(Write::Flush(done));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn listen(link: u64, mut read: OwnedReadHalf, heard: mpsc::Sender<Heard>) {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        let mut taken = 0;
        let input = loop {
            match frame::next(&bytes[taken..]) {
                Ok(Some((received, length))) => {
                    taken += length;
                    let last = matches!(received, Received::Notification { .. });
                    if heard.send(Heard { link, input: Input::Received(received) }).await.is_err() {
                        return;
                    }
                    if last {
                        return;
                    }
                }
                Ok(None) => break None,
                Err(fault) => break Some(Input::Malformed(fault)),
            }
        };
        bytes.drain(..taken);
        let input = match input {
            Some(input) => input,
            None => match read.read_buf(&mut bytes).await {
                Ok(0) => Input::Closed("the router closed the connection".into()),
                Ok(_) => continue,
                Err(error) => Input::Closed(error.to_string()),
            },
        };
        let _ = heard.send(Heard { link, input }).await;
        return;
    }
}

async fn speak(
    link: u64,
    mut write: OwnedWriteHalf,
    mut to_write: mpsc::UnboundedReceiver<Write>,
    backlog: Arc<AtomicUsize>,
    hold: Duration,
    heard: mpsc::Sender<Heard>,
) {
    let mut batch = Vec::new();
    while let Some(first) = to_write.recv().await {
        let mut flushes = Vec::new();
        let mut next = Some(first);
        while let Some(write) = next {
            match write {
                Write::Message(message) => batch.extend(message),
                Write::Flush(done) => flushes.push(done),
            }
            next = to_write.try_recv().ok();
        }
        // The end of the link closes the queue: what is left are last words.
        let patience = if to_write.is_closed() { LAST_WORD } else { hold };
        let outcome = timeout(patience, write.write_all(&batch)).await;
        backlog.fetch_sub(batch.len(), Relaxed);
        batch.clear();
        let input = match outcome {
            Ok(Ok(())) => {
                // Who does not wait any more needs no answer.
                flushes.into_iter().for_each(|done| _ = done.send(()));
                continue;
            }
            Ok(Err(error)) => Input::Closed(error.to_string()),
            Err(_) => Input::Malformed(Fault::SEND_HOLD),
        };
        let _ = heard.send(Heard { link, input }).await;
        return;
    }
    let _ = timeout(LAST_WORD, write.shutdown()).await;
}
