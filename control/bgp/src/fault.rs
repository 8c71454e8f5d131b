//! What ends a session, in the words of NOTIFICATION (RFC 4271, 4.5 and 6; RFC 4486).

use std::borrow::Cow;
use std::fmt;

/// An error, as a NOTIFICATION tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Error code.
    pub(crate) code: u8,
    /// Error subcode.
    pub(crate) subcode: u8,
    /// What goes with it.
    pub(crate) data: Vec<u8>,
    said: Cow<'static, str>,
}

impl Fault {
    pub(crate) const NOT_SYNCHRONIZED: Self = Self::new(1, 1, "the header has no marker");
    pub(crate) const BAD_OPEN: Self = Self::new(2, 0, "the OPEN cannot be understood");
    pub(crate) const BAD_VERSION: Self = Self::new(2, 1, "the OPEN is of another version than 4");
    pub(crate) const BAD_AS: Self = Self::new(2, 2, "the OPEN has another AS than `peer_as`");
    pub(crate) const BAD_ID: Self = Self::new(2, 3, "the OPEN has a bad BGP identifier");
    pub(crate) const BAD_HOLD_TIME: Self =
        Self::new(2, 6, "the OPEN has a hold time of 1 or 2 seconds");
    pub(crate) const HOLD_TIMER: Self = Self::new(4, 0, "hold timer expired");
    pub(crate) const SHUTDOWN: Self = Self::new(6, 2, "this node stops");
    pub(crate) const DECONFIGURED: Self = Self::new(6, 3, "the site file has this session no more");
    pub(crate) const RESET: Self = Self::new(6, 6, "the settings of this session have changed");
    pub(crate) const REJECTED: Self = Self::new(6, 5, "there is a session already");
    pub(crate) const COLLISION: Self = Self::new(6, 7, "the other connection was kept");
    pub(crate) const SEND_HOLD: Self = Self::new(8, 0, "the router does not read what it is sent");

    const fn new(code: u8, subcode: u8, said: &'static str) -> Self {
        Self { code, subcode, data: Vec::new(), said: Cow::Borrowed(said) }
    }

    pub(crate) fn bad_length(high: u8, low: u8) -> Self {
        Self { data: vec![high, low], ..Self::new(1, 2, "a message has a bad length") }
    }

    pub(crate) fn bad_type(kind: u8) -> Self {
        Self { data: vec![kind], ..Self::new(1, 3, "a message is of an unknown type") }
    }

    /// Something came that has no place in this state (RFC 6608).
    pub(crate) fn unexpected(subcode: u8, what: &str, state: impl fmt::Debug) -> Self {
        let said = format!("unexpected {what} in {state:?}").into();
        Self { said, ..Self::new(5, subcode, "") }
    }

    /// The message, from its header on.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut message = vec![0xff; 16];
        let length = u16::try_from(21 + self.data.len()).expect("data of ours is short");
        message.extend(length.to_be_bytes());
        message.extend([3, self.code, self.subcode]);
        message.extend(&self.data);
        message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// The name of a NOTIFICATION that came: `Cease, Administrative Shutdown`.
pub(crate) fn name(code: u8, subcode: u8) -> String {
    let (error, subcodes): (&str, &[&str]) = match code {
        1 => (
            "Message Header Error",
            &["", "Connection Not Synchronized", "Bad Message Length", "Bad Message Type"],
        ),
        2 => (
            "OPEN Message Error",
            &[
                "",
                "Unsupported Version Number",
                "Bad Peer AS",
                "Bad BGP Identifier",
                "Unsupported Optional Parameter",
                "",
                "Unacceptable Hold Time",
                "Unsupported Capability",
            ],
        ),
        3 => ("UPDATE Message Error", &[]),
        4 => ("Hold Timer Expired", &[]),
        5 => ("Finite State Machine Error", &[]),
        6 => (
            "Cease",
            &[
                "",
                "Maximum Number of Prefixes Reached",
                "Administrative Shutdown",
                "Peer De-configured",
                "Administrative Reset",
                "Connection Rejected",
                "Other Configuration Change",
                "Connection Collision Resolution",
                "Out of Resources",
                "Hard Reset",
                "BFD Down",
            ],
        ),
        7 => ("ROUTE-REFRESH Message Error", &[]),
        8 => ("Send Hold Timer Expired", &[]),
        _ => return format!("error {code}/{subcode}"),
    };
    match subcodes.get(usize::from(subcode)) {
        Some(name) if !name.is_empty() => format!("{error}, {name}"),
        Some(_) | None if subcode == 0 => error.into(),
        Some(_) | None => format!("{error}, subcode {subcode}"),
    }
}
