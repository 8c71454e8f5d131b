//! What the proxy answers itself.

use bytes::Bytes;
use http::{Response, StatusCode, header};

use super::{Answer, Client};
use crate::core::State;
use crate::pages::Page;
use crate::settings::{Action, Http};
use crate::state::NodeState;

/// Tells tier 2 what a node wants to be, at once.
const PALIER_STATE: header::HeaderName = header::HeaderName::from_static("palier-state");

/// Why a request goes nowhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: &'static str,
}

impl Refusal {
    pub(super) const BAD: Self = Self { status: StatusCode::BAD_REQUEST, text: "bad request\n" };
    pub(super) const NOWHERE: Self = Self { status: StatusCode::NOT_FOUND, text: "no such site\n" };
    pub(super) const METHOD: Self =
        Self { status: StatusCode::METHOD_NOT_ALLOWED, text: "no such method here\n" };
    pub(super) const CODING: Self =
        Self { status: StatusCode::NOT_IMPLEMENTED, text: "no such transfer coding here\n" };
    pub(super) const BUSY: Self =
        Self { status: StatusCode::SERVICE_UNAVAILABLE, text: "no server is available\n" };
    pub(super) const FAILED: Self =
        Self { status: StatusCode::BAD_GATEWAY, text: "the server failed\n" };
    pub(super) const SLOW: Self =
        Self { status: StatusCode::REQUEST_TIMEOUT, text: "the request takes too long\n" };
    pub(super) const LATE: Self =
        Self { status: StatusCode::GATEWAY_TIMEOUT, text: "the server takes too long\n" };
}

impl Client {
    /// Whether requests can be served here.
    pub(super) fn health(&self, http: &Http, state: &State) -> Response<Answer> {
        let mut pools = http.routes.iter().filter_map(|route| match route.action {
            Action::Pool(place) => state.pools.get(place),
            Action::Redirect(..) | Action::Answer(..) => None,
        });
        let node = self.core.node();
        let enough = pools.all(|pool| pool.usable() >= pool.settings.quorum as usize);
        if enough && node == NodeState::Ready {
            return self.own_answer(StatusCode::OK, "up\n");
        }
        let word = match node {
            NodeState::Ready | NodeState::Disabled => None,
            NodeState::Drain => Some("drain"),
            NodeState::Maintenance => Some("maintenance"),
        };
        let mut response = self.own_answer(StatusCode::SERVICE_UNAVAILABLE, "down\n");
        if let Some(word) = word {
            let word = header::HeaderValue::from_static(word);
            response.headers_mut().insert(PALIER_STATE, word);
        }
        response
    }

    /// What a client is told instead of a server's answer.
    pub(super) fn refusal(&self, why: Refusal, pages: &[Page]) -> Response<Answer> {
        match pages.iter().find(|page| page.status == why.status) {
            None => self.own_answer(why.status, why.text),
            Some(page) => {
                let mut response = self.own_answer(why.status, page.body.clone());
                response.headers_mut().insert(header::CONTENT_TYPE, page.content_type.clone());
                response
            }
        }
    }

    pub(super) fn own_answer(
        &self,
        status: StatusCode,
        text: impl Into<Bytes>,
    ) -> Response<Answer> {
        let text = text.into();
        let has_text = !text.is_empty();
        let mut response = Response::new(Answer::own(text, self.stage.clone()));
        *response.status_mut() = status;
        if has_text {
            let kind = header::HeaderValue::from_static("text/plain");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response
    }
}
