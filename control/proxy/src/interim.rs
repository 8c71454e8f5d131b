//! Interim answers (1xx, RFC 9110 section 15.2) of servers on their way to clients.
//!
//! hyper's server knows none but 100, and that is its own matter, so these are written below it: where what it
//! wrote last has gone, and the answer that they precede has not begun.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use parking_lot::Mutex;
use tokio::io::AsyncWrite;

/// Bytes of interim answers that wait for a client at most; more are not passed on, as nobody has to read them.
const MOST: usize = 16 << 10;

/// Those that wait for one client. All who share it are on one core, but hyper's callback may not know that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interim(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Something waits: looked at with each write.
    any: AtomicBool,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    bytes: BytesMut,
    /// How many exchanges there were.
    exchanges: u64,
    /// Who serves the client, as long as the final answer is not there.
    client: Option<Waker>,
}

/// A server is asked, and may give interim answers until this is dropped.
pub(crate) struct Exchange {
    interim: Interim,
    /// Which of the client's it is.
    number: u64,
}

impl Interim {
    /// The answer to a client's request is waited for, by the task of this context.
    pub(crate) fn open(&self, context: &Context<'_>) -> Exchange {
        let mut line = self.0.line.lock();
        line.exchanges += 1;
        line.client = Some(context.waker().clone());
        Exchange { interim: self.clone(), number: line.exchanges }
    }

    pub(crate) fn any(&self) -> bool {
        self.0.any.load(Relaxed)
    }

    /// An answer has begun, or one before has not gone: what was to precede it comes too late.
    pub(crate) fn pass_over(&self) {
        let mut line = self.0.line.lock();
        if line.client.is_none() {
            line.bytes.clear();
            self.0.any.store(false, Relaxed);
        }
    }

    /// What the server that was asked in this exchange says.
    pub(crate) fn add(&self, exchange: u64, status: StatusCode, headers: &HeaderMap) {
        let mut line = self.0.line.lock();
        let Line { bytes, exchanges, client: Some(client) } = &mut *line else { return };
        if *exchanges != exchange {
            return;
        }
        let before = bytes.len();
        bytes.extend_from_slice(b"HTTP/1.1 ");
        bytes.extend_from_slice(status.as_str().as_bytes());
        bytes.extend_from_slice(b" ");
        bytes.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        bytes.extend_from_slice(b"\r\n");
        for (name, value) in headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        if bytes.len() > MOST {
            bytes.truncate(before);
            return;
        }
        self.0.any.store(true, Relaxed);
        client.wake_by_ref();
    }

    /// Writes all that waits.
    pub(crate) fn poll_write(
        &self,
        mut stream: Pin<&mut impl AsyncWrite>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut line = self.0.line.lock();
        while !line.bytes.is_empty() {
            let written = ready!(stream.as_mut().poll_write(context, &line.bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            line.bytes.advance(written);
        }
        self.0.any.store(false, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl Exchange {
    /// Passes on what the server says before its answer to a request.
    pub(crate) fn listen<B>(
        &self,
        request: &mut Request<B>,
        strip: impl Fn(&mut HeaderMap) + Send + Sync + 'static,
    ) {
        let (interim, number) = (self.interim.clone(), self.number);
        hyper::ext::on_informational(request, move |response| {
            // Clients were told to continue when their bodies were asked for.
            if response.status() == StatusCode::CONTINUE {
                return;
            }
            let mut headers = response.headers().clone();
            strip(&mut headers);
            interim.add(number, response.status(), &headers);
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.interim.0.line.lock().client = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn hint(interim: &Interim, exchange: u64) {
        interim.add(exchange, StatusCode::EARLY_HINTS, &HeaderMap::new());
    }

    fn written(interim: &Interim) -> String {
        let mut bytes = Vec::new();
        assert!(interim.poll_write(Pin::new(&mut bytes), &mut context()).is_ready());
        assert!(!interim.any());
        String::from_utf8(bytes).unwrap()
    }

    const HINT: &str = "HTTP/1.1 103 Early Hints\r\n\r\n";

    #[test]
    fn a_client_that_reads_nothing_has_so_much_waiting_and_no_more() {
        let interim = Interim::default();
        let _exchange = interim.open(&context());
        (0..MOST).for_each(|_| hint(&interim, 1));
        assert_eq!(written(&interim), HINT.repeat(MOST / HINT.len()));
    }

    #[test]
    fn what_comes_after_the_answer_is_no_hint_of_the_next() {
        let interim = Interim::default();
        drop(interim.open(&context()));
        hint(&interim, 1);
        assert!(!interim.any());
        let _exchange = interim.open(&context());
        hint(&interim, 1);
        assert!(!interim.any());
        hint(&interim, 2);
        assert_eq!(written(&interim), HINT);
    }

    #[test]
    fn hints_wait_for_the_answer_before_but_not_beyond_their_own() {
        let interim = Interim::default();
        let exchange = interim.open(&context());
        hint(&interim, 1);
        interim.pass_over();
        assert!(interim.any());
        drop(exchange);
        interim.pass_over();
        assert!(!interim.any());
        assert_eq!(written(&interim), "");
    }
}
