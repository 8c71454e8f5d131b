//! A client's connection with its deadlines. What may be waited for depends on where the conversation
//! stands; that it goes on byte by byte does not help: a header has one deadline, not one per byte.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::interim::Interim;
use crate::patience::Patience;
use crate::settings::ClientTimeouts;
use crate::stage::{Phase, Stage};

/// A connection that fails when a phase lasts too long.
pub(crate) struct Guarded<S> {
    inner: S,
    stage: Stage,
    timeouts: ClientTimeouts,
    /// The phase that the deadline is of, by its number.
    timed: u32,
    deadline: Pin<Box<Sleep>>,
    /// With a client that does not read.
    patience: Patience,
    interim: Interim,
    /// All that was to be written has been.
    is_flushed: bool,
    /// The last has been written.
    lingers: bool,
}

/// How long a client may go on to send what nobody wants any more.
const LINGER: Duration = Duration::from_secs(30);

impl<S> Guarded<S> {
    /// One on which nothing has come yet.
    pub(crate) fn new(inner: S, stage: Stage, interim: Interim, timeouts: ClientTimeouts) -> Self {
        let deadline = Box::pin(sleep_until(Instant::now() + timeouts.idle));
        let patience = Patience::of(timeouts.body);
        let timed = stage.number();
        Self {
            inner,
            timed,
            stage,
            timeouts,
            deadline,
            patience,
            interim,
            is_flushed: true,
            lingers: false,
        }
    }

    fn limit(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Idle => Some(self.timeouts.idle),
            Phase::Header => Some(self.timeouts.header),
            Phase::Serving | Phase::Tunnel => None,
        }
    }

    /// Whether the phase has lasted too long. If not, the task is woken when it has: also where nobody reads
    /// just now, as at the end of an answer, after which nobody may ever read again.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.follow();
        self.limit(self.stage.get()).is_some() && self.deadline.as_mut().poll(context).is_ready()
    }

    /// Starts the clock of a phase that has begun.
    fn follow(&mut self) {
        let number = self.stage.number();
        if number != self.timed {
            self.timed = number;
            if let Some(limit) = self.limit(self.stage.get()) {
                self.deadline.as_mut().reset(Instant::now() + limit);
            }
        }
    }

    /// What became of an attempt to write, for a client that has to read it some day.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(result) => {
                self.patience.moved();
                Poll::Ready(result)
            }
            Poll::Pending
                if self.stage.get() != Phase::Tunnel && self.patience.is_over(context) =>
            {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads and forgets the rest of a request that is answered already: closed before, the connection would be
    /// reset, and the answer lost with it (RFC 9112 section 9.6).
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut space = [MaybeUninit::uninit(); 8192];
        loop {
            // Not by the timer alone: where much was read in one go that does not run out either.
            if Instant::now() >= self.deadline.deadline() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.deadline.as_mut().poll(context),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(context, buffer) {
            if self.stage.get() == Phase::Idle && buffer.filled().len() > before {
                self.stage.set(Phase::Header);
            }
            return Poll::Ready(read);
        }
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Writes interim answers, if what is written next begins an answer.
    fn write_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.interim.any() {
            return Poll::Ready(Ok(()));
        }
        if !self.is_flushed {
            self.interim.pass_over();
            return Poll::Ready(Ok(()));
        }
        let written = self.interim.poll_write(Pin::new(&mut self.inner), context);
        self.written(written, context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_interim(context))?;
        self.is_flushed = false;
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_interim(context))?;
        self.is_flushed = false;
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Asked by hyper each time that it has written all it has, also if that is nothing.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_flushed = true;
        ready!(self.write_interim(context))?;
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        // What that says is for the next who reads.
        let _ = self.is_over(context);
        self.written(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.lingers {
            let shut = Pin::new(&mut self.inner).poll_shutdown(context);
            ready!(self.written(shut, context))?;
            if !self.stage.is_unread() {
                return Poll::Ready(Ok(()));
            }
            self.lingers = true;
            self.deadline.as_mut().reset(Instant::now() + LINGER);
        }
        self.linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http::{HeaderMap, StatusCode};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn hints_wait_until_the_answer_before_has_gone() {
        let (ours, mut theirs) = duplex(8);
        let interim = Interim::default();
        let timeouts = ClientTimeouts::default();
        let mut stream = Guarded::new(ours, Stage::default(), interim.clone(), timeouts);
        assert_eq!(stream.write(b"an answer").await.unwrap(), 8);

        let _exchange = interim.open(&Context::from_waker(Waker::noop()));
        interim.add(1, StatusCode::EARLY_HINTS, &HeaderMap::new());
        let mut read = [0; 37];
        let (written, _) = tokio::join!(
            async {
                stream.write_all(b"r").await?;
                stream.flush().await?;
                stream.write_all(b"ok").await
            },
            theirs.read_exact(&mut read),
        );
        written.unwrap();
        assert_eq!(&read, b"an answerHTTP/1.1 103 Early Hints\r\n\r\n");
        assert_eq!(theirs.read(&mut read).await.unwrap(), 2);
    }
}
