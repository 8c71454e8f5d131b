//! Bodies of requests on their way to servers: nothing of them is kept but what is in flight.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;
use tokio::time::Instant;

use crate::patience::Patience;
use crate::stage::Stage;

/// Why a body ends before its end.
#[derive(Debug, Error)]
pub(crate) enum Cut {
    /// The other side's connection broke, or what it said was no body.
    #[error("{0}")]
    Broken(#[from] hyper::Error),
    /// It took too long.
    #[error("it takes too long")]
    Late,
}

/// How a request's body gets on.
#[derive(Debug)]
pub(super) struct Progress {
    /// When something of it went last: from then on the server may take its time.
    pub(super) moved: Cell<Instant>,
    /// The client is waited for.
    pub(super) waiting: Cell<bool>,
    /// It was waited for in vain.
    pub(super) late: Cell<bool>,
    /// What it sent was no body, or ended too early.
    pub(super) broken: Cell<bool>,
    /// All of it has gone.
    pub(super) sent: Cell<bool>,
}

impl Default for Progress {
    fn default() -> Self {
        let moved = Cell::new(Instant::now());
        let (waiting, late, broken, sent) = Default::default();
        Self { moved, waiting, late, broken, sent }
    }
}

impl Progress {
    /// Until when the server may say nothing, if it may for so long once it has what there is of the request.
    pub(super) fn patience_ends(&self, limit: Duration) -> Instant {
        let since = if self.waiting.get() { Instant::now() } else { self.moved.get() };
        since + limit
    }
}

/// A request's body on its way to a server.
pub(crate) struct Outgoing {
    client: Option<Upload>,
    progress: Rc<Progress>,
}

/// A body that a client sends.
struct Upload {
    incoming: Incoming,
    /// With the client.
    patience: Patience,
    stage: Stage,
}

impl Outgoing {
    /// The client's, who may say nothing for so long.
    pub(super) fn of(
        incoming: Incoming,
        limit: Duration,
        progress: Rc<Progress>,
        stage: Stage,
    ) -> Self {
        let patience = Patience::of(limit);
        Self { client: Some(Upload { incoming, patience, stage }), progress }
    }

    /// Of a request that has none.
    pub(super) fn none(progress: Rc<Progress>) -> Self {
        progress.sent.set(true);
        Self { client: None, progress }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Self { client, progress } = self.get_mut();
        let Some(Upload { incoming, patience, stage }) = client else { return Poll::Ready(None) };
        progress.moved.set(Instant::now());
        progress.waiting.set(false);
        if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(context) {
            patience.moved();
            progress.broken.set(matches!(frame, Some(Err(_))));
            // Of chunks the end alone tells that it is one.
            let is_end = frame.is_none() || incoming.is_end_stream();
            progress.sent.set(is_end && !progress.broken.get());
            stage.set_unread(!progress.sent.get());
            return Poll::Ready(frame.map(|frame| frame.map_err(Cut::from)));
        }
        if patience.is_over(context) {
            progress.late.set(true);
            return Poll::Ready(Some(Err(Cut::Late)));
        }
        progress.waiting.set(true);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.client.as_ref().is_none_or(|upload| upload.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |upload: &Upload| upload.incoming.size_hint();
        self.client.as_ref().map_or_else(|| SizeHint::with_exact(0), hint)
    }
}
