//! Room for so many connections: who comes when there is none takes the place of whoever has been silent for
//! longest, so that nobody who only sits there keeps others out.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;

/// The connections of a thread.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    began: Instant,
    places: Mutex<Places>,
    /// Connections that are open.
    pub(super) open: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Places {
    last: u64,
    taken: HashMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    heard: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Room {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Self {
        let (places, open) = (Mutex::default(), Arc::default());
        Self { most, began: Instant::now(), places, open }
    }

    /// Has a connection be served, and somebody else's end if there is no room.
    pub(super) fn serve<F>(self: &Arc<Self>, task: impl FnOnce(Heard) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut places = self.places.lock();
        if places.taken.len() >= self.most {
            let silent = places.taken.iter().min_by_key(|(_, place)| place.heard.load(Relaxed));
            if let Some((&number, _)) = silent
                && let Some(place) = places.taken.remove(&number)
            {
                place.task.abort();
            }
        }
        places.last += 1;
        let number = places.last;
        let heard = Heard { room: self.clone(), at: Arc::default() };
        heard.note();
        let (at, seat) = (heard.at.clone(), Seat { room: self.clone(), number });
        self.open.fetch_add(1, Relaxed);
        let task = task(heard);
        let task = tokio::spawn(async move {
            // However it ends.
            let _seat = seat;
            task.await;
        });
        places.taken.insert(number, Place { heard: at, task: task.abort_handle() });
    }
}

/// A place, which is given back when this is dropped.
struct Seat {
    room: Arc<Room>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.places.lock().taken.remove(&self.number);
        self.room.open.fetch_sub(1, Relaxed);
    }
}

/// When something was last heard of a connection.
#[derive(Debug)]
pub(super) struct Heard {
    room: Arc<Room>,
    /// Microseconds since the room was made.
    at: Arc<AtomicU64>,
}

impl Heard {
    fn note(&self) {
        self.at.store(self.room.began.elapsed().as_micros() as u64, Relaxed);
    }

    /// A stream whose bytes are heard.
    pub(super) fn of<S>(self, stream: S) -> Listening<S> {
        Listening { stream, heard: self }
    }
}

/// A stream of which is noted when something came.
#[derive(Debug)]
pub(super) struct Listening<S> {
    stream: S,
    heard: Heard,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.heard.note();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
