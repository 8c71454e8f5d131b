//! TLS with servers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::{Error, read_all};
use crate::pool::Server;
use crate::settings::ClientTls;

/// Debian's bundle of authorities.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How a pool's servers are spoken with.
#[derive(Clone)]
pub(crate) struct Upstream {
    connector: TlsConnector,
    /// The name that all of them have to have.
    name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Upstream {
    /// As the settings say: authorities are read from their file, now.
    pub(crate) fn new(settings: &ClientTls) -> Result<Self, Error> {
        let name = match &settings.sni {
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| Error::Policy(format!("{name} is not the name of a host")))?,
            ),
            None => None,
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Policy(error.to_string()))?;
        let builder = if settings.verify {
            let path = settings.ca.as_deref().unwrap_or_else(|| Path::new(SYSTEM_AUTHORITIES));
            builder.with_root_certificates(roots(path)?)
        } else {
            let anybody = Arc::new(AnyCertificate(provider));
            builder.dangerous().with_custom_certificate_verifier(anybody)
        };
        let connector = TlsConnector::from(Arc::new(builder.with_no_client_auth()));
        Ok(Self { connector, name })
    }

    pub(crate) fn connector(&self) -> &TlsConnector {
        &self.connector
    }

    /// Whom a server has to be: without a name for all of them its own, without one its address.
    pub(crate) fn name(&self, server: &Server, address: SocketAddr) -> ServerName<'static> {
        let own = || ServerName::try_from(server.settings.host.clone()?).ok();
        self.name.clone().or_else(own).unwrap_or_else(|| ServerName::from(address.ip()))
    }
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in read_all::<CertificateDer<'static>>(path, "certificate")? {
        // One that cannot be used is no reason to trust none of the others.
        if let Err(error) = roots.add(certificate) {
            tracing::debug!(path = %path.display(), %error, "an authority is passed over");
        }
    }
    match roots.is_empty() {
        true => Err(Error::malformed(path, "it holds no authority that can be used")),
        false => Ok(roots),
    }
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

/// A client that takes whoever comes.
#[cfg(test)]
pub(crate) fn trusting_anybody() -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let anybody = Arc::new(AnyCertificate(provider.clone()));
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("ring has all versions");
    Arc::new(builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth())
}
