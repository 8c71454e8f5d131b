//! Protocols that take a connection over (WebSocket): after the server's 101, and not before, bytes go to
//! and fro as they are.

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::headers::upgrade;
use super::{Answer, Client};
use crate::stage::Phase;
use crate::tunnel;

/// The client's side, if it asks: as far as servers are told.
pub(super) fn take(request: &mut Request<Incoming>) -> Option<OnUpgrade> {
    let asks = request.version() == Version::HTTP_11 && upgrade(request.headers()).is_some();
    asks.then(|| hyper::upgrade::on(request))
}

/// Joins both sides if the server grants what the client asked for.
pub(super) fn join(
    asked: Option<OnUpgrade>,
    mut response: Response<Answer>,
    client: &Client,
) -> Response<Answer> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let Some(ours) = asked else { return response };
    let theirs = hyper::upgrade::on(&mut response);
    let limit = client.frontend.timeouts.tunnel;
    client.stage.set(Phase::Tunnel);
    // It is the server's, and a connection of ours, until its end.
    let door = client.core.state().door(client.listening).cloned();
    let admitted = door.and_then(|door| door.stats.admission.admit(None));
    let counted = (response.body_mut().take_lease(), client.core.opened(), admitted);
    tokio::task::spawn_local(async move {
        let _counted = counted;
        // Whoever hangs up in between has no tunnel.
        if let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) {
            tunnel::run(TokioIo::new(ours), TokioIo::new(theirs), limit).await;
        }
    });
    response
}
