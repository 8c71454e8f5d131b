//! Which requests may be sent twice.

use std::rc::Rc;

use http::{Method, Request};
use hyper::body::Body as _;

use super::Outgoing;
use super::outgoing::Progress;

/// Whether a request may be sent twice: it changes nothing (RFC 9110 section 9.2.2), and is here as a whole.
pub(super) fn is_repeatable(request: &Request<Outgoing>) -> bool {
    request.method().is_idempotent() && request.body().is_end_stream()
}

/// Whether a request has a body that servers may not expect (RFC 9110 sections 9.3.1, 9.3.2 and 9.3.5). One that
/// does not read it takes it for the next request, and its answer would be for whoever asks next.
pub(super) fn has_odd_body(request: &Request<Outgoing>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE)
        && !request.body().is_end_stream()
}

/// The same, to be sent again.
pub(super) fn copy(request: &Request<Outgoing>, progress: &Rc<Progress>) -> Request<Outgoing> {
    let mut copy = Request::new(Outgoing::none(progress.clone()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}
