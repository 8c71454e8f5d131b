//! Why settings are not in force.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::tls;

/// Why settings are not in force.
#[derive(Debug, Error)]
pub enum Refused {
    /// An address cannot be listened on.
    #[error("{address} cannot be listened on: {source}")]
    Listen {
        /// It.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The access log cannot be written.
    #[error("the access log cannot be written: {0}")]
    Log(io::Error),
    /// A certificate or a key cannot be used.
    #[error("{0}")]
    Tls(#[from] tls::Error),
    /// A page for errors cannot be used.
    #[error("the error page {path} cannot be used: {source}")]
    Page {
        /// Its file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There can be no thread, or no runtime.
    #[error("no thread for the proxy: {0}")]
    Thread(io::Error),
}
