//! Bodies of answers on their way to clients: nothing of them is kept but what is in flight.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use super::outgoing::{Cut, Outgoing, Progress};
use super::record::Record;
use crate::patience::Patience;
use crate::pool::{Lease, Server};
use crate::stage::{Phase, Stage};
use crate::stats::count;
use crate::upstream::Kept;

/// Where a server's connection goes once its answer has been read.
pub(super) struct Release {
    /// Nowhere, if what the server says next could be about something that was no request.
    pub(super) kept: Option<Rc<Kept>>,
    pub(super) server: Arc<Server>,
    pub(super) sender: SendRequest<Outgoing>,
    /// Serves the connection.
    pub(super) task: AbortHandle,
}

/// An answer's body on its way to the client.
pub(crate) struct Answer {
    source: Source,
    stage: Stage,
    record: Option<Record>,
    /// When it has to be over, if it has.
    deadline: Option<Pin<Box<Sleep>>>,
}

enum Source {
    Server {
        incoming: Incoming,
        /// With the server.
        patience: Patience,
        /// The request's, which may still be on its way.
        progress: Rc<Progress>,
        release: Option<Release>,
        lease: Option<Lease>,
    },
    Own(Option<Bytes>),
}

impl Answer {
    /// A server's, which may not say nothing for too long.
    pub(super) fn of(
        incoming: Incoming,
        patience: Patience,
        progress: Rc<Progress>,
        release: Release,
        lease: Lease,
        stage: Stage,
    ) -> Self {
        let (release, lease) = (Some(release), Some(lease));
        let source = Source::Server { incoming, patience, progress, release, lease };
        Self { source, stage, record: None, deadline: None }
    }

    /// Takes what counts as the server's request, for whoever has it for longer than the answer lasts.
    pub(super) fn take_lease(&mut self) -> Option<Lease> {
        match &mut self.source {
            Source::Server { lease, .. } => lease.take(),
            Source::Own(_) => None,
        }
    }

    /// The same, which is noted once it has gone.
    pub(super) fn noted(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    /// The same, if it is over by then.
    pub(super) fn until(mut self, deadline: Option<Pin<Box<Sleep>>>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Our own.
    pub(super) fn own(text: impl Into<Bytes>, stage: Stage) -> Self {
        let text: Bytes = text.into();
        let source = Source::Own(Some(text).filter(|text| !text.is_empty()));
        Self { source, stage, record: None, deadline: None }
    }
}

impl Source {
    /// The whole answer has been read: its connection may carry the next.
    fn finish(&mut self) {
        let Self::Server { release, progress, .. } = self else { return };
        let Some(Release { kept, server, sender, task }) = release.take() else { return };
        match kept {
            // Nobody waits for the rest of a request that is answered.
            _ if !progress.sent.get() => task.abort(),
            Some(kept) => kept.put(&server, sender, task),
            None => {}
        }
    }
}

/// Whether a server has said nothing for too long, and that not because a request's body keeps it busy.
fn is_stuck(patience: &mut Patience, progress: &Progress, context: &mut Context<'_>) -> bool {
    let is_over = patience.is_over(context);
    if is_over && progress.patience_ends(patience.limit()) > Instant::now() {
        patience.moved();
        return patience.is_over(context);
    }
    is_over
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(Cut::Late)));
        }
        let frame = match &mut self.source {
            Source::Server { incoming, patience, progress, release, .. } => {
                match Pin::new(incoming).poll_frame(context) {
                    Poll::Ready(frame) => {
                        patience.moved();
                        frame.map(|frame| frame.map_err(Cut::from))
                    }
                    Poll::Pending if is_stuck(patience, progress, context) => {
                        if let Some(Release { server, .. }) = release.take() {
                            count(&server.counters().failed);
                        }
                        Some(Err(Cut::Late))
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            Source::Own(text) => text.take().map(|text| Ok(Frame::data(text))),
        };
        if frame.is_none() {
            self.source.finish();
        }
        if let Some(record) = &mut self.record {
            match &frame {
                None => record.complete = true,
                Some(Ok(frame)) => {
                    record.bytes += frame.data_ref().map_or(0, |data| data.len() as u64)
                }
                Some(Err(_)) => {}
            }
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
            if let Some(record) = &mut self.record {
                record.complete = true;
            }
        }
        self.stage.set(Phase::Idle);
    }
}
