//! Control packets (RFC 5880 section 4.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! |                       My Discriminator                        |
//! |                      Your Discriminator                       |
//! |                    Desired Min TX Interval                    |
//! |                   Required Min RX Interval                    |
//! |                 Required Min Echo RX Interval                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use thiserror::Error;

/// Length of a packet without authentication.
pub const LEN: usize = 24;
/// Length of one with the shortest authentication section.
const LEN_AUTHENTICATED: usize = 26;
const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// Session state, as in the Sta field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Held down by its operator.
    AdminDown,
    /// Nothing is heard of the other side.
    Down,
    /// The other side is heard; whether it hears us is not known.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];

    const fn of(number: u8) -> Self {
        match number & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdminDown => "admin_down",
            Self::Down => "down",
            Self::Init => "init",
            Self::Up => "up",
        }
    }
}

/// Why a session last left the state Up, as in the Diag field. Numbers that no RFC assigns are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diagnostic(u8);

impl Diagnostic {
    /// Nothing has happened.
    pub const NONE: Self = Self(0);
    /// No packet came for the detection time.
    pub const CONTROL_DETECTION_TIME_EXPIRED: Self = Self(1);
    /// The other side has said that it is down.
    pub const NEIGHBOR_SIGNALED_SESSION_DOWN: Self = Self(3);

    /// Its number, below 32.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// In words, as RFC 5880 section 4.1 has them.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "no diagnostic",
            1 => "control detection time expired",
            2 => "echo function failed",
            3 => "neighbor signaled session down",
            4 => "forwarding plane reset",
            5 => "path down",
            6 => "concatenated path down",
            7 => "administratively down",
            8 => "reverse concatenated path down",
            number => return write!(f, "diagnostic {number}"),
        })
    }
}

/// A packet that parses: of version 1, without authentication, point to point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender's session last left Up.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// P: the sender wants an answer with F.
    pub poll: bool,
    /// F: the answer to a packet with P.
    pub final_: bool,
    /// C: the sender's BFD does not share the fate of its control plane.
    pub control_plane_independent: bool,
    /// D: the sender asks to be sent nothing while both are Up.
    pub demand: bool,
    /// How many of the sender's packets may be missed.
    pub detect_mult: NonZeroU8,
    /// The sender's number for the session.
    pub my_discriminator: NonZeroU32,
    /// The receiver's number for it; 0 if the sender does not know it yet.
    pub your_discriminator: u32,
    /// How often the sender would like to send, in microseconds.
    pub desired_min_tx: u32,
    /// How often it can receive, in microseconds; 0: it wants no packets.
    pub required_min_rx: u32,
    /// How often it can receive echo packets, in microseconds; 0: never.
    pub required_min_echo_rx: u32,
}

/// Bytes that are no packet for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Too few to have a version and a length.
    #[error("it is shorter than any packet")]
    Short,
    /// Not version 1.
    #[error("version {0}, not 1")]
    Version(u8),
    /// The Length field is less than the mandatory part, or more than there is.
    #[error("the length field says {0}")]
    Length(u8),
    /// Detect Mult is 0.
    #[error("the detection multiplier is 0")]
    DetectMult,
    /// The M bit, which is reserved.
    #[error("the multipoint bit is set")]
    Multipoint,
    /// My Discriminator is 0.
    #[error("the sender's discriminator is 0")]
    MyDiscriminator,
    /// Your Discriminator is 0, but the state is not Down or AdminDown.
    #[error("there is no discriminator of ours in state {}", .0.name())]
    YourDiscriminator(State),
    /// The A bit, and we use no authentication.
    #[error("it is authenticated")]
    Authenticated,
}

impl Packet {
    /// The packet in the payload of a datagram: the checks of RFC 5880 section 6.8.6 that need no
    /// session, in their order. Which session it is for (and whether there is one) is for who has them.
    ///
    /// # Errors
    /// It is to be discarded.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let bytes = payload.first_chunk::<LEN>().ok_or(Malformed::Short)?;
        let [first, flags, detect_mult, length, ..] = *bytes;
        if first >> 5 != VERSION {
            return Err(Malformed::Version(first >> 5));
        }
        let authenticated = flags & AUTHENTICATION != 0;
        let least = if authenticated { LEN_AUTHENTICATED } else { LEN };
        if !(least..=payload.len()).contains(&length.into()) {
            return Err(Malformed::Length(length));
        }
        let detect_mult = NonZeroU8::new(detect_mult).ok_or(Malformed::DetectMult)?;
        if flags & MULTIPOINT != 0 {
            return Err(Malformed::Multipoint);
        }
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let my_discriminator = NonZeroU32::new(word(4)).ok_or(Malformed::MyDiscriminator)?;
        let your_discriminator = word(8);
        let state = State::of(flags >> 6);
        if your_discriminator == 0 && matches!(state, State::Init | State::Up) {
            return Err(Malformed::YourDiscriminator(state));
        }
        if authenticated {
            return Err(Malformed::Authenticated);
        }
        Ok(Self {
            diagnostic: Diagnostic(first & 0x1f),
            state,
            poll: flags & POLL != 0,
            final_: flags & FINAL != 0,
            control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
            demand: flags & DEMAND != 0,
            detect_mult,
            my_discriminator,
            your_discriminator,
            desired_min_tx: word(12),
            required_min_rx: word(16),
            required_min_echo_rx: word(20),
        })
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut bytes = [0; LEN];
        bytes[0] = VERSION << 5 | self.diagnostic.number();
        bytes[1] = (self.state as u8) << 6
            | flag(self.poll, POLL)
            | flag(self.final_, FINAL)
            | flag(self.control_plane_independent, CONTROL_PLANE_INDEPENDENT)
            | flag(self.demand, DEMAND);
        bytes[2] = self.detect_mult.get();
        bytes[3] = LEN as u8;
        let words = [
            self.my_discriminator.get(),
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            self.required_min_echo_rx,
        ];
        for (place, word) in bytes[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

/// An interval of a packet.
pub(crate) fn micros(interval: u32) -> Duration {
    Duration::from_micros(interval.into())
}

#[cfg(test)]
mod tests;
