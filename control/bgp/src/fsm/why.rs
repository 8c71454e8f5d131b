//! Why there is no session, in an operator's words.

use thiserror::Error;

use super::Refusal;
use crate::message::{Malformed, Notification};
use crate::status::SessionState;

/// Why an attempt or a session has failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Why {
    #[error("connection timed out{}", if *password { ": does the MD5 password match?" } else { "" })]
    ConnectTimeout { password: bool },
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("they closed the connection")]
    Closed,
    #[error("connection lost: {0}")]
    Lost(String),
    #[error("{}", hold_timer(*state))]
    HoldTimer { state: SessionState },
    #[error("send hold timer expired: they do not read")]
    SendHoldTimer,
    #[error("they sent NOTIFICATION {0}")]
    Notified(Notification),
    #[error("{0}")]
    Refused(Refusal),
    #[error("they sent {0}")]
    Malformed(Malformed),
    #[error("they sent a message that does not belong in {state}")]
    Unexpected { state: SessionState },
    #[error("they connected anew after a restart")]
    Replaced,
    #[error("the other one of two connections was kept")]
    Collision,
    #[error("stopped")]
    Stopped,
}

fn hold_timer(state: SessionState) -> &'static str {
    match state {
        SessionState::OpenSent => "hold timer expired: they connected, but sent no OPEN",
        SessionState::Idle
        | SessionState::Connect
        | SessionState::Active
        | SessionState::OpenConfirm
        | SessionState::Established => "hold timer expired",
    }
}
