//! Who this node is: its certificate and key, and the CA that it believes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use config::Peering;
use parking_lot::RwLock;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error as ThisError;

use super::Unfit;
use super::certificate::server_name;

/// Bytes of a file of certificates or of a key.
const MAX_LEN: u64 = 1 << 20;

/// Why there is no identity.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The node's name cannot be in a certificate.
    #[error(
        "a node that speaks with others needs a name that DNS could have (letters, digits, inner \
         hyphens, not all digits); {0:?} is none"
    )]
    Name(String),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key that everybody can read is everybody's key.
    #[error("{} is open to everybody (mode {mode:03o}): chmod 600, and better issue a new one", path.display())]
    Exposed {
        /// The key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what}: {source}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// The certificate is none that other nodes would accept.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Unfit,
    },
    /// Certificate, key and CA do not fit each other, or are of kinds that TLS 1.3 does not know.
    #[error("{} and its key cannot be used: {source}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// This node's part in mutual TLS. Connections that are made after a [`reload`](Self::reload) use
/// what it read; those that were made before go on.
#[derive(Debug)]
pub struct Identity {
    node: String,
    name: ServerName<'static>,
    pki: PathBuf,
    current: RwLock<Arc<Credentials>>,
}

/// What was read, ready for use.
#[derive(Debug)]
pub(super) struct Credentials {
    /// For asking.
    pub(super) client: Arc<ClientConfig>,
    /// For answering.
    pub(super) server: Arc<ServerConfig>,
    own: Vec<CertificateDer<'static>>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Identity {
    /// Reads `ca.pem`, `NODE.pem` and `NODE.key`. `ca.pem` may hold several CAs, all believed: that
    /// is how a site changes to another one.
    ///
    /// # Errors
    /// A file is missing, broken or open to everybody, or they do not belong together, or other
    /// nodes would not accept the certificate, as it has expired or names somebody else.
    pub fn load(peering: &Peering, node: &str) -> Result<Self, Error> {
        let name = server_name(node).ok_or_else(|| Error::Name(node.to_owned()))?;
        let pki = peering.pki.clone();
        let current = RwLock::new(Arc::new(Credentials::read(&pki, node, &name)?));
        Ok(Self { node: node.to_owned(), name, pki, current })
    }

    /// Reads the files again, after the certificate was renewed.
    ///
    /// # Errors
    /// As of [`load`](Self::load). What was in use stays in use.
    pub fn reload(&self) -> Result<(), Error> {
        let read = Credentials::read(&self.pki, &self.node, &self.name)?;
        *self.current.write() = Arc::new(read);
        Ok(())
    }

    /// Whether other nodes accept the certificate in use, now or at another time: for an alarm
    /// before it expires.
    ///
    /// # Errors
    /// What they would not like about it.
    pub fn verify_at(&self, time: SystemTime) -> Result<(), Unfit> {
        self.current().verify(&self.name, time)
    }

    /// What is in use.
    pub(super) fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.current.read())
    }
}

impl Credentials {
    fn read(pki: &Path, node: &str, name: &ServerName<'_>) -> Result<Self, Error> {
        let certificate_file = pki.join(format!("{node}.pem"));
        let key_file = pki.join(format!("{node}.key"));
        let unusable = |source| Error::Unusable { path: certificate_file.clone(), source };

        let mut roots = RootCertStore::empty();
        for root in certificates(&pki.join("ca.pem"))? {
            roots.add(root).map_err(unusable)?;
        }
        let roots = Arc::new(roots);
        let own = certificates(&certificate_file)?;
        let key = key(&key_file)?;

        let provider = Arc::new(ring::default_provider());
        let built = "a CA is there, and ring knows the suites of TLS 1.3";
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .expect(built);
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .expect(built);

        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .expect(built)
            .with_root_certificates(roots)
            .with_client_auth_cert(own.clone(), key.clone_key())
            .map_err(unusable)?;
        // Each connection proves anew who is at its ends, on both sides. Early data is off by default.
        client.resumption = Resumption::disabled();

        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect(built)
            .with_client_cert_verifier(clients)
            .with_single_cert(own.clone(), key)
            .map_err(unusable)?;
        server.send_tls13_tickets = 0;

        let read = Self { client: Arc::new(client), server: Arc::new(server), own, verifier };
        read.verify(name, SystemTime::now())
            .map_err(|reason| Error::Unfit { path: certificate_file, reason })?;
        Ok(read)
    }

    fn verify(&self, name: &ServerName<'_>, time: SystemTime) -> Result<(), Unfit> {
        let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(since_1970);
        let (own, intermediates) = self.own.split_first().ok_or(Unfit::Absent)?;
        match self.verifier.verify_server_cert(own, intermediates, name, &[], now) {
            Ok(_) => Ok(()),
            Err(error) => Err(Unfit::of(&error).unwrap_or(Unfit::Other(error))),
        }
    }
}

/// All certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(open(path)?, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = match found {
        Ok(found) if found.is_empty() => Err(pem::Error::NoItemsFound),
        other => other,
    };
    found.map_err(|source| Error::Pem { path: path.to_owned(), what: "certificate", source })
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let file = open(path)?;
    let metadata =
        file.metadata().map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode });
    }
    let text = read(file, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| Error::Pem {
        path: path.to_owned(),
        what: "key",
        source,
    })
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn read(file: File, path: &Path) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    file.take(MAX_LEN)
        .read_to_end(&mut text)
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(text)
}
