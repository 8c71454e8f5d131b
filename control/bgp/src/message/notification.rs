//! NOTIFICATION: why a session ends (RFC 4271 4.5, 6).

use std::fmt;

/// The reason for which a session ends, as it is sent or was received.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    data: Box<[u8]>,
}

/// Subcodes of Cease, code 6 (RFC 4486, 8538).
pub(crate) mod cease {
    /// We leave.
    pub(crate) const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
    /// The neighbor is not configured any more.
    pub(crate) const PEER_DECONFIGURED: u8 = 3;
    /// The neighbor's settings changed.
    pub(crate) const OTHER_CONFIGURATION_CHANGE: u8 = 6;
    /// There is a better connection.
    pub(crate) const CONNECTION_COLLISION_RESOLUTION: u8 = 7;
}

impl Notification {
    /// Hold Timer Expired.
    pub(crate) fn hold_timer_expired() -> Self {
        Self::new(4, 0, &[])
    }

    /// Finite State Machine Error: a message that does not belong in the state (RFC 6608).
    pub(crate) fn unexpected(subcode: u8) -> Self {
        Self::new(5, subcode, &[])
    }

    /// Cease.
    pub(crate) fn cease(subcode: u8) -> Self {
        Self::new(6, subcode, &[])
    }

    /// Send Hold Timer Expired (RFC 9687).
    pub(crate) fn send_hold_timer_expired() -> Self {
        Self::new(8, 0, &[])
    }

    pub(crate) fn new(code: u8, subcode: u8, data: &[u8]) -> Self {
        Self { code, subcode, data: data.into() }
    }

    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        super::frame(super::NOTIFICATION, &[&[self.code, self.subcode], &self.data[..]].concat())
    }

    /// What an operator over there wrote (RFC 9003). Only what can be shown in a line.
    fn communication(&self) -> Option<String> {
        let (6, 2 | 4, [length, rest @ ..]) = (self.code, self.subcode, &self.data[..]) else {
            return None;
        };
        let text = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        (!text.is_empty()).then_some(text)
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, subcode, .. } = *self;
        let (name, detail) = names(code, subcode);
        match (name, detail) {
            (Some(name), Some(detail)) => write!(f, "{name}/{detail}")?,
            (Some(name), None) if subcode == 0 => f.write_str(name)?,
            (Some(name), None) => write!(f, "{name}/{subcode}")?,
            (None, _) => write!(f, "{code}/{subcode}")?,
        }
        match self.communication() {
            Some(text) => write!(f, ": {text:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({self})", self.code, self.subcode)
    }
}

/// IANA's names, in small letters.
fn names(code: u8, subcode: u8) -> (Option<&'static str>, Option<&'static str>) {
    let (name, details): (_, &[&str]) = match code {
        1 => (
            "message header error",
            &["connection not synchronized", "bad message length", "bad message type"],
        ),
        2 => (
            "OPEN message error",
            &[
                "unsupported version number",
                "bad peer AS",
                "bad BGP identifier",
                "unsupported optional parameter",
                "authentication failure",
                "unacceptable hold time",
                "unsupported capability",
                "",
                "",
                "",
                "role mismatch",
            ],
        ),
        3 => (
            "UPDATE message error",
            &[
                "malformed attribute list",
                "unrecognized well-known attribute",
                "missing well-known attribute",
                "attribute flags error",
                "attribute length error",
                "invalid ORIGIN attribute",
                "AS routing loop",
                "invalid NEXT_HOP attribute",
                "optional attribute error",
                "invalid network field",
                "malformed AS_PATH",
            ],
        ),
        4 => ("hold timer expired", &[]),
        5 => (
            "finite state machine error",
            &[
                "unexpected message in OpenSent",
                "unexpected message in OpenConfirm",
                "unexpected message in Established",
            ],
        ),
        6 => (
            "cease",
            &[
                "maximum number of prefixes reached",
                "administrative shutdown",
                "peer de-configured",
                "administrative reset",
                "connection rejected",
                "other configuration change",
                "connection collision resolution",
                "out of resources",
                "hard reset",
                "BFD down",
            ],
        ),
        7 => ("ROUTE-REFRESH message error", &["invalid message length"]),
        8 => ("send hold timer expired", &[]),
        _ => return (None, None),
    };
    let detail = usize::from(subcode).checked_sub(1).and_then(|i| details.get(i)).copied();
    (Some(name), detail.filter(|detail| !detail.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_words() {
        for (code, subcode, data, text) in [
            (6, 2, &b""[..], "cease/administrative shutdown"),
            (6, 2, b"\x05maint", "cease/administrative shutdown: \"maint\""),
            (6, 4, b"\x02a\n", "cease/administrative reset: \"a\""),
            (6, 2, b"\x09maint", "cease/administrative shutdown"),
            (6, 9, b"", "cease/hard reset"),
            (6, 99, b"", "cease/99"),
            (4, 0, b"", "hold timer expired"),
            (2, 2, b"", "OPEN message error/bad peer AS"),
            (2, 8, b"", "OPEN message error/8"),
            (77, 3, b"", "77/3"),
        ] {
            assert_eq!(Notification::new(code, subcode, data).to_string(), text);
        }
    }
}
