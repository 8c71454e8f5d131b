//! TLS with clients and with servers: from files to settings of rustls.

mod certificates;
mod client;
mod tickets;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use thiserror::Error;

use self::certificates::Certificates;
pub use self::tickets::TicketSecret;
use crate::settings::{ServerTls, TlsVersion};

pub(crate) use self::client::Upstream;
#[cfg(test)]
pub(crate) use self::client::trusting_anybody;

/// Why TLS cannot be spoken as the settings say.
#[derive(Debug, Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// It.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path}: {reason}", path = .path.display())]
    Malformed {
        /// It.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The settings name what there is not.
    #[error("{0}")]
    Policy(String),
}

impl Error {
    fn malformed(path: &Path, reason: impl ToString) -> Self {
        Self::Malformed { path: path.into(), reason: reason.to_string() }
    }
}

/// How clients are spoken with, and about what (ALPN): certificates are read from their files, now.
///
/// # Errors
/// See [`enum@Error`].
pub fn server(
    settings: &ServerTls,
    tickets: Option<&TicketSecret>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(provider(&settings.ciphers)?);
    let certificates = Certificates::read(&settings.certificates, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(settings.min_version))
        .map_err(|error| Error::Policy(format!("no TLS is left by `ciphers`: {error}")))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    // What is remembered here, no other core and no other node would know.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    match tickets {
        Some(secret) => config.ticketer = secret.ticketer(),
        None => config.send_tls13_tickets = 0,
    }
    Ok(Arc::new(config))
}

/// The cipher suites of these names, or all.
fn provider(ciphers: &[String]) -> Result<CryptoProvider, Error> {
    let mut provider = ring::default_provider();
    if ciphers.is_empty() {
        return Ok(provider);
    }
    let named = |name: &String| {
        let found = provider.cipher_suites.iter().find(|one| one.suite().as_str() == Some(name));
        found.copied().ok_or_else(|| {
            let known = cipher_suites().join(", ");
            Error::Policy(format!("there is no cipher suite {name}; there are: {known}"))
        })
    };
    provider.cipher_suites = ciphers.iter().map(named).collect::<Result<_, _>>()?;
    Ok(provider)
}

/// Names of the cipher suites that there are.
pub fn cipher_suites() -> Vec<&'static str> {
    let all = ring::default_provider().cipher_suites;
    all.iter().filter_map(|one| one.suite().as_str()).collect()
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match least {
        TlsVersion::V1_2 => &BOTH,
        TlsVersion::V1_3 => &BOTH[..1],
    }
}

/// What a file of PEM holds of a kind; at least one.
fn read_all<T: PemObject>(path: &Path, what: &str) -> Result<Vec<T>, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Unreadable { path: path.into(), source })?;
    let found: Result<Vec<T>, pem::Error> = T::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| Error::malformed(path, error))?;
    if found.is_empty() {
        return Err(Error::malformed(path, format!("it holds no {what}")));
    }
    Ok(found)
}
