//! BGP messages: framing of the stream, and what of each message matters here.
//!
//! The codec's types stay in here. The bytes of a peer are believed in nothing: whatever they are, the
//! answer is a [`Message`] or a [`Malformed`], after one look at each byte.

mod notification;
mod open;
mod update;

use thiserror::Error;

use crate::settings::Families;

pub(crate) use notification::{Notification, cease};
pub(crate) use open::{GracefulRestart, Offer, Open};
pub(crate) use update::Encoder;

/// Bytes of a message's header: marker, length, type (RFC 4271 4.1).
const HEADER: usize = 19;
/// Most bytes of a message: extended messages (RFC 8654) are not offered.
pub(crate) const MAX: usize = 4096;

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;
const ROUTE_REFRESH: u8 = 5;

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Who they are and what they can do.
    Open(Open),
    /// Routes, which are none of our business.
    Update,
    /// The session has ended, and why.
    Notification(Notification),
    /// They are there.
    Keepalive,
    /// They want to be told all routes of these families again (RFC 2918).
    RouteRefresh(Families),
}

/// What is wrong with a message, such that the session cannot go on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    #[error("not BGP: no marker")]
    Marker,
    #[error("a message of type {kind} and {length} bytes")]
    Length { kind: u8, length: u16 },
    #[error("a message of unknown type {0}")]
    Kind(u8),
    #[error("an OPEN of version {0}")]
    Version(u8),
    #[error("an OPEN that does not parse")]
    Open,
    #[error("an OPEN with an unknown parameter, {0}")]
    Parameter(u8),
    #[error("an UPDATE whose lengths contradict each other")]
    Update,
}

impl Malformed {
    /// The NOTIFICATION that is due (RFC 4271 6.1-6.3).
    pub(crate) fn notification(self) -> Notification {
        match self {
            Self::Marker => Notification::new(1, 1, &[]),
            Self::Length { length, .. } => Notification::new(1, 2, &length.to_be_bytes()),
            Self::Kind(kind) => Notification::new(1, 3, &[kind]),
            Self::Version(_) => Notification::new(2, 1, &4u16.to_be_bytes()),
            Self::Open => Notification::new(2, 0, &[]),
            Self::Parameter(_) => Notification::new(2, 4, &[]),
            Self::Update => Notification::new(3, 1, &[]),
        }
    }
}

/// Takes the first message off the stream's bytes. Nothing if not all of it has come; otherwise the
/// message and its length.
///
/// # Errors
/// The stream cannot be followed any further.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, Malformed> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
        // What cannot become a message is not waited for.
        let marker = &bytes[..bytes.len().min(16)];
        return if marker.iter().all(|&b| b == 0xff) { Ok(None) } else { Err(Malformed::Marker) };
    };
    if header[..16] != [0xff; 16] {
        return Err(Malformed::Marker);
    }
    let (length, kind) = (u16::from_be_bytes([header[16], header[17]]), header[18]);
    let size = usize::from(length);
    let fits = match kind {
        OPEN => (29..=MAX).contains(&size),
        UPDATE => (23..=MAX).contains(&size),
        NOTIFICATION => (21..=MAX).contains(&size),
        KEEPALIVE => size == HEADER,
        ROUTE_REFRESH => (23..=MAX).contains(&size),
        _ if (HEADER..=MAX).contains(&size) => return Err(Malformed::Kind(kind)),
        _ => false,
    };
    if !fits {
        return Err(Malformed::Length { kind, length });
    }
    let Some(body) = bytes.get(HEADER..size) else { return Ok(None) };

    let message = match kind {
        OPEN => Message::Open(Open::parse(body)?),
        UPDATE => update::check(body).map(|()| Message::Update)?,
        NOTIFICATION => Message::Notification(Notification::new(body[0], body[1], &body[2..])),
        ROUTE_REFRESH => Message::RouteRefresh(refresh(body)),
        _ => Message::Keepalive,
    };
    Ok(Some((message, size)))
}

/// Which families are to be sent again. None for what was not offered: ORF, and the demarcations of RFC
/// 7313.
fn refresh(body: &[u8]) -> Families {
    match body {
        [0, 1, 0, 1] => Families { ipv4: true, ipv6: false },
        [0, 2, 0, 1] => Families { ipv4: false, ipv6: true },
        _ => Families::NONE,
    }
}

/// A KEEPALIVE.
pub(crate) fn keepalive() -> Vec<u8> {
    frame(KEEPALIVE, &[])
}

/// A message around its body.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = HEADER + body.len();
    debug_assert!(length <= MAX);
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&[0xff; 16]);
    bytes.extend_from_slice(&(length as u16).to_be_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests;
