//! A request as the server gets it.

use std::borrow::Cow;

use http::{Request, Uri, Version, header, request};
use hyper::body::Body;

use super::attempt::Attempt;
use super::{Outgoing, Refusal, edit, headers, route};
use crate::upstream::Origin;

impl Attempt<'_> {
    /// The request as the server gets it; whether it asks for an upgrade is known.
    pub(super) fn prepared(
        &self,
        request: Request<Outgoing>,
        upgrades: bool,
    ) -> Result<Request<Outgoing>, Refusal> {
        let (mut head, body) = request.into_parts();
        self.prepare(&mut head, upgrades)?;
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            // hyper sends a body with GET and HEAD only if it is told how.
            let chunked = header::HeaderValue::from_static("chunked");
            head.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        Ok(Request::from_parts(head, body))
    }

    fn prepare(&self, head: &mut request::Parts, upgrades: bool) -> Result<(), Refusal> {
        let protocol = headers::strip(&mut head.headers);
        if let Some(protocol) = protocol.filter(|_| upgrades) {
            headers::ask_upgrade(&mut head.headers, protocol);
        }
        let Origin { ends, tls, .. } = &self.client.origin;
        headers::forwarded(&mut head.headers, ends.client.ip(), tls.is_some(), self.trusted);
        head.version = Version::HTTP_11;
        if !head.headers.contains_key(header::HOST) {
            // HTTP/1.0 has none; HTTP/1.1 asks for one.
            let us = ends.local.to_string();
            let host = header::HeaderValue::try_from(us).map_err(|_| Refusal::BAD)?;
            head.headers.insert(header::HOST, host);
        }
        let path = route::path_and_query(&head.uri);
        let rewritten =
            self.route.rewrite.as_ref().and_then(|rewrite| route::rewrite(&path, rewrite));
        let absolute = head.uri.authority().is_some().then_some(path);
        if let Some(path) = rewritten.or_else(|| absolute.map(Cow::into_owned)) {
            head.uri = path.parse::<Uri>().map_err(|_| Refusal::BAD)?;
        }
        if let (Some(header), Some(id)) = (&self.http.unique_id, self.known.unique_id) {
            let value = header::HeaderValue::try_from(id).map_err(|_| Refusal::BAD)?;
            head.headers.insert(header, value);
        }
        for edits in [&self.http.request_headers, &self.route.request_headers] {
            edit::apply(edits, &mut head.headers, self.known);
        }
        Ok(())
    }
}
