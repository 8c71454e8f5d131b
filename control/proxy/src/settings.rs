//! What the proxy is to do: plain data, made from the site file.

mod frontend;
mod log;
mod pool;
mod route;
mod tls;

use crate::tls::TicketSecret;

pub use self::frontend::{
    ClientTimeouts, ErrorPage, Frontend, HeaderLimits, Http, Listen, Mode, TcpRoute,
};
pub use self::log::{AccessLog, LogFormat, LogTo};
pub use self::pool::{Affinity, Key, Pool, Queue, Server, ServerTimeouts};
pub use self::route::{
    Action, BadPattern, BadText, Condition, HeaderEdits, HeaderText, Part, Pattern, Rewrite, Route,
    ValueMatch,
};
pub use self::tls::{CertificateFiles, ClientTls, ServerTls, TlsVersion};

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where clients come.
    pub frontends: Vec<Frontend>,
    /// Where their requests go. Frontends name them by their place.
    pub pools: Vec<Pool>,
    /// The site's: nodes of one site choose the same server by the same key.
    pub hash_key: [u8; 16],
    /// What keys of session tickets follow from; without it every client has to do a whole handshake.
    pub tickets: Option<TicketSecret>,
    /// Where answers are written down.
    pub access_log: Option<AccessLog>,
}
