//! Bodies on their way through: nothing of them is kept but what is in flight.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use crate::pool::{Lease, Server};
use crate::stream::{Phase, Stage};
use crate::upstream::Kept;

/// A request's body on its way to a server.
pub(crate) struct Outgoing {
    incoming: Option<Incoming>,
    /// When something of it went last: from then on the server may take its time.
    moved: Rc<Cell<Instant>>,
}

impl Outgoing {
    /// The client's.
    pub(super) fn of(incoming: Incoming, moved: Rc<Cell<Instant>>) -> Self {
        Self { incoming: Some(incoming), moved }
    }

    /// Of a request that has none.
    pub(super) fn none(moved: Rc<Cell<Instant>>) -> Self {
        Self { incoming: None, moved }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = Pin::new(incoming).poll_frame(context);
        if frame.is_ready() {
            self.moved.set(Instant::now());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Where a server's connection goes once its answer has been read.
pub(super) struct Release {
    pub(super) kept: Rc<Kept>,
    pub(super) server: Arc<Server>,
    pub(super) sender: SendRequest<Outgoing>,
}

/// An answer's body on its way to the client.
pub(crate) struct Answer {
    source: Source,
    stage: Stage,
}

enum Source {
    Server { incoming: Incoming, release: Option<Release>, _lease: Lease },
    Own(Option<Bytes>),
}

impl Answer {
    /// A server's.
    pub(super) fn of(incoming: Incoming, release: Release, lease: Lease, stage: Stage) -> Self {
        let source = Source::Server { incoming, release: Some(release), _lease: lease };
        Self { source, stage }
    }

    /// Our own.
    pub(super) fn own(text: impl Into<Bytes>, stage: Stage) -> Self {
        let text: Bytes = text.into();
        Self { source: Source::Own(Some(text).filter(|text| !text.is_empty())), stage }
    }
}

impl Source {
    /// The whole answer has been read: its connection may carry the next.
    fn finish(&mut self) {
        if let Self::Server { release, .. } = self
            && let Some(Release { kept, server, sender }) = release.take()
        {
            kept.put(&server, sender);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.source {
            Source::Server { incoming, .. } => {
                std::task::ready!(Pin::new(incoming).poll_frame(context))
            }
            Source::Own(text) => text.take().map(|text| Ok(Frame::data(text))),
        };
        if frame.is_none() {
            self.source.finish();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Server { incoming, .. } => incoming.is_end_stream(),
            Source::Own(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Server { incoming, .. } => incoming.size_hint(),
            Source::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // One whose length is known is not asked for its end.
        if self.is_end_stream() {
            self.source.finish();
        }
        self.stage.set(Phase::Idle);
    }
}
