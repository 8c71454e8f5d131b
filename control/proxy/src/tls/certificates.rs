//! Certificates, chosen by the host that a client names (SNI, RFC 6066 section 3).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use super::{Error, read_all};
use crate::settings::CertificateFiles;

/// Certificates by the names that they are for.
#[derive(Debug)]
pub(super) struct Certificates {
    /// For whoever names nobody, or nobody here.
    first: Arc<CertifiedKey>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*`: `.example.org`.
    below: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads them. Of two for one name the one that comes first is used.
    pub(super) fn read(
        files: &[CertificateFiles],
        provider: &CryptoProvider,
    ) -> Result<Self, Error> {
        let (mut exact, mut below) = (HashMap::new(), HashMap::new());
        let mut first = None;
        for CertificateFiles { chain, key } in files {
            let certified = Arc::new(pair(chain, key, provider)?);
            for name in names(chain, &certified)? {
                match name.strip_prefix('*') {
                    Some(suffix) => below.entry(suffix.to_owned()),
                    None => exact.entry(name),
                }
                .or_insert_with(|| certified.clone());
            }
            first.get_or_insert(certified);
        }
        let first = first.ok_or_else(|| Error::Policy("TLS needs a certificate".into()))?;
        Ok(Self { first, exact, below })
    }

    /// The one for a host: its own, else that for all below its parent, else the first.
    fn choose(&self, host: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(host) = host else { return &self.first };
        let host = host.to_ascii_lowercase();
        let below = || self.below.get(&host[host.find('.')?..]);
        self.exact.get(&host).or_else(below).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()).clone())
    }
}

/// A certificate with those above it, and its key, which has to be its key.
fn pair(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let certificates = read_all::<CertificateDer<'static>>(chain, "certificate")?;
    let secret = read_all::<PrivateKeyDer<'static>>(key, "private key")?.remove(0);
    let signer = provider
        .key_provider
        .load_private_key(secret)
        .map_err(|error| Error::malformed(key, format!("its key cannot be used: {error}")))?;
    let certified = CertifiedKey::new(certificates, signer);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(_) => Err(Error::malformed(
            key,
            format!("it is not the key of the certificate in {}", chain.display()),
        )),
    }
}

/// Host names of a certificate, in lower case.
fn names(path: &Path, certified: &CertifiedKey) -> Result<Vec<String>, Error> {
    let (_, parsed) = x509_parser::parse_x509_certificate(&certified.cert[0])
        .map_err(|error| Error::malformed(path, format!("not a certificate: {error}")))?;
    let alternatives = parsed
        .subject_alternative_name()
        .map_err(|error| Error::malformed(path, format!("its names cannot be read: {error}")))?;
    let all = alternatives.into_iter().flat_map(|names| &names.value.general_names);
    Ok(all
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect())
}
