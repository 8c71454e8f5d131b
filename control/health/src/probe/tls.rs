//! A TLS handshake: for its own sake, and before HTTPS.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Context, Failure};
use crate::connection::{self, Connection};
use crate::{Outcome, Report, Target, Tls};

/// Where Debian, and who follows it, keeps the authorities that the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How long a server may take to hang up.
const FAREWELL: Duration = Duration::from_millis(100);

pub(super) async fn run(tls: &Tls, target: &Target, context: &Context) -> Result<Report, Failure> {
    let stream = connection::tcp(target, &context.ports).await?;
    let stream = handshake(tls, target, stream, context).await?;
    let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
    let reason = format!("{} handshake done", version.unwrap_or("TLS"));
    // Apart from the probe, whose deadline it must not touch.
    tokio::spawn(take_leave(stream));
    Ok(Report::new(Outcome::Passed, reason))
}

/// Says goodbye and lets the server hang up. A reset right after the handshake would meet a server that
/// still sends its session tickets, and each probe would be an error in its log.
async fn take_leave(mut stream: TlsStream<Connection>) {
    stream.get_mut().1.send_close_notify();
    let farewell = async {
        stream.flush().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _heard_or_not = tokio::time::timeout(FAREWELL, farewell).await;
}

pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &Tls,
    target: &Target,
    stream: S,
    context: &Context,
) -> Result<TlsStream<S>, Failure> {
    let name = match &tls.sni {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| Failure::Check(format!("{name} is no server name")))?,
        // No name is sent then (RFC 6066, section 3), and the address is verified.
        None => ServerName::IpAddress(target.address.into()),
    };
    let connector = TlsConnector::from(context.tls.get(tls)?);
    Ok(connector.connect(name, stream).await?)
}

/// Why no handshake can be begun. The node is not to blame.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// The file of authorities cannot be read.
    #[error("cannot read {path}: {reason}", path = .0.display(), reason = crate::reason::of_io(.1))]
    Unreadable(PathBuf, io::Error),
    /// It holds something else.
    #[error("{path}: {1}", path = .0.display())]
    Malformed(PathBuf, String),
    /// It holds nothing.
    #[error("{path} holds no certificate", path = .0.display())]
    Empty(PathBuf),
}

/// Settings by what they are made of: reading the authorities costs more than a handshake.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<Authorities, (Stamp, Arc<ClientConfig>)>>);

/// Who is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Authorities {
    Everybody,
    Of(PathBuf),
}

/// What tells one version of a file from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Clients {
    fn get(&self, tls: &Tls) -> Result<Arc<ClientConfig>, Unusable> {
        let authorities = match (tls.verify, &tls.ca) {
            (false, _) => Authorities::Everybody,
            (true, Some(path)) => Authorities::Of(path.clone()),
            (true, None) => Authorities::Of(SYSTEM_AUTHORITIES.into()),
        };
        // Asked for each probe: a renewed authority must not wait for a reload.
        let stamp = match &authorities {
            Authorities::Everybody => Stamp::default(),
            Authorities::Of(path) => Stamp::of(path)?,
        };
        let mut clients = self.0.lock();
        if let Some((known, client)) = clients.get(&authorities)
            && *known == stamp
        {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(client(&authorities)?);
        clients.insert(authorities, (stamp, Arc::clone(&client)));
        Ok(client)
    }

    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, Unusable> {
        let file =
            fs::metadata(path).map_err(|error| Unusable::Unreadable(path.to_owned(), error))?;
        Ok(Self {
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        })
    }
}

fn client(authorities: &Authorities) -> Result<ClientConfig, Unusable> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has suites of every version");
    let builder = match authorities {
        Authorities::Everybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        }
        Authorities::Of(path) => builder.with_root_certificates(read(path)?),
    };
    let mut client = builder.with_no_client_auth();
    // A resumed session would not look at the certificate, which is half of what is checked.
    client.resumption = Resumption::disabled();
    Ok(client)
}

fn read(path: &Path) -> Result<RootCertStore, Unusable> {
    let pem = fs::read(path).map_err(|error| Unusable::Unreadable(path.to_owned(), error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|error| Unusable::Malformed(path.to_owned(), error.to_string()))?;
        // One that cannot be used is no reason to trust none of the others.
        if let Err(error) = roots.add(certificate) {
            tracing::debug!(path = %path.display(), %error, "an authority is passed over");
        }
    }
    if roots.is_empty() { Err(Unusable::Empty(path.to_owned())) } else { Ok(roots) }
}

/// `verify = false`: whatever certificate there is, as long as its owner has the key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
