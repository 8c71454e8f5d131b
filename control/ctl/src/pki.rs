//! `palierctl pki`: the site's own certificates.
//!
//! A site has a CA of its own, which signs nothing but its nodes' certificates, each for one name of
//! the site file. There is no revocation: a node that must not speak any more leaves the site file,
//! which is enough, as names that are not in it are refused; and for a CA whose key is lost there is
//! a new CA. `ca.pem` may hold several, for the time of a change.
//!
//! Keys are ECDSA on P-256, which everything speaks and which is signed with in microseconds.

mod file;
mod show;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::DnsName;
use serde::Serialize;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use self::file::Mode;
pub(crate) use self::show::{Listed, show};

const DAY: Duration = Duration::from_hours(24);

/// How long a CA holds: ten years.
const CA_DAYS: u32 = 3653;

/// How long a node's certificate holds, if nobody says otherwise: two years.
pub(crate) const NODE_DAYS: u32 = 731;

/// Clocks of nodes that are behind do not refuse what was just made.
const EARLIER: Duration = Duration::from_hours(1);

/// Why certificates were not made or read.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// There is something already that nothing could bring back.
    #[error("{} exists: a new CA would cut off every node that has a certificate of it", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file or folder cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file does not hold what it should.
    #[error("{} holds no {what}", path.display())]
    Malformed { path: PathBuf, what: &'static str },
    /// The key of another CA.
    #[error("{} holds no certificate of the key in {}", certificate.display(), key.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    /// The CA's time is over.
    #[error("the CA in {} expired on {}", path.display(), date(*.expired))]
    Expired { path: PathBuf, expired: SystemTime },
    /// A name that no certificate can bear.
    #[error(
        "{0:?} cannot be the name in a certificate, which takes what DNS takes: letters, digits, \
         `_`, inner `-` and `.`, and not digits alone at the end. Give the node another name"
    )]
    Name(String),
    /// The site's name cannot be in a certificate.
    #[error(
        "a site's name has 1 to 50 characters, none of them a control character; {0:?} has not"
    )]
    Site(String),
    /// The library that signs has refused.
    #[error("certificate not made: {0}")]
    Sign(#[from] rcgen::Error),
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Made {
    /// The certificate.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Until when it holds: `2028-11-22`.
    pub(crate) expires: String,
    /// What is to be done with the files, a line each.
    pub(crate) notes: Vec<String>,
}

/// Makes the CA of a site: `ca.pem` and `ca.key` in `dir`, which is made if it is missing.
///
/// # Errors
/// One of the files exists, which is never overwritten, or cannot be written.
pub(crate) fn init(dir: &Path, site: &str, now: SystemTime) -> Result<Made, Error> {
    // Common names have 64 characters at most (RFC 5280, appendix A).
    if site.is_empty() || site.chars().count() > 50 || site.chars().any(char::is_control) {
        return Err(Error::Site(site.to_owned()));
    }
    let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    for path in [&certificate, &key] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::Exists(path.clone()));
        }
    }

    let expires = now + DAY * CA_DAYS;
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("palier {site} CA"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    hold(&mut params, now, expires);
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let signed = params.self_signed(&pair)?;

    file::folder(dir)?;
    file::create(&key, &pair.serialize_pem(), Mode::Secret)?;
    file::create(&certificate, &signed.pem(), Mode::Public)?;
    let notes = vec![
        format!("{}: to the `pki` folder of every node", certificate.display()),
        format!("{}: stays here, offline at best; no node needs it", key.display()),
        format!("next: palierctl pki issue NODE --dir {}", dir.display()),
    ];
    Ok(Made { certificate, key, expires: date(expires), notes })
}

/// Makes a key for a node and a certificate of the CA in `dir`: `NODE.pem` and `NODE.key` in `out`.
/// Those that are there are replaced: that is how a certificate is renewed.
///
/// It holds for `days`, but not longer than the CA.
///
/// # Errors
/// The CA is not there, or its time is over, or the name cannot be in a certificate, or the files
/// cannot be written.
pub(crate) fn issue(
    dir: &Path,
    node: &str,
    out: &Path,
    days: u32,
    now: SystemTime,
) -> Result<Made, Error> {
    if DnsName::try_from(node).is_err() || node.ends_with('.') {
        return Err(Error::Name(node.to_owned()));
    }
    let ca = Ca::read(dir)?;
    if ca.expires <= now {
        return Err(Error::Expired { path: dir.join("ca.pem"), expired: ca.expires });
    }

    let expires = (now + DAY * days).min(ca.expires);
    let mut params = CertificateParams::new([node.to_owned()])?;
    params.distinguished_name = name(node);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A node asks others and is asked by them.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    hold(&mut params, now, expires);
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let signed = params.signed_by(&pair, &ca.issuer)?;

    let (certificate, key) = (out.join(format!("{node}.pem")), out.join(format!("{node}.key")));
    file::folder(out)?;
    file::replace(&key, &pair.serialize_pem(), Mode::Secret)?;
    file::replace(&certificate, &signed.pem(), Mode::Public)?;
    let notes = vec![
        format!(
            "{}, {} and {}: to the `pki` folder of {node}",
            dir.join("ca.pem").display(),
            certificate.display(),
            key.display()
        ),
        format!("then on {node}: palierctl reload"),
        format!("{}: not to any node", dir.join("ca.key").display()),
    ];
    Ok(Made { certificate, key, expires: date(expires), notes })
}

/// The CA of a folder, able to sign.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    expires: SystemTime,
}

impl Ca {
    /// Reads `ca.key`, and its certificate among those in `ca.pem`.
    fn read(dir: &Path) -> Result<Self, Error> {
        let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
        let pair = KeyPair::from_pem(&file::text(&key)?)
            .map_err(|_| Error::Malformed { path: key.clone(), what: "key" })?;
        for der in file::certificates(&certificate)? {
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| Error::Malformed {
                path: certificate.clone(),
                what: "certificate that can be read",
            })?;
            if parsed.public_key().raw == pair.subject_public_key_info() {
                let expires = show::expiry(&parsed);
                let issuer = Issuer::from_ca_cert_der(&der, pair)?;
                return Ok(Self { issuer, expires });
            }
        }
        Err(Error::Mismatch { certificate, key })
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn hold(params: &mut CertificateParams, now: SystemTime, expires: SystemTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is no clock; what is made by it will not be accepted by anybody.
    params.not_before = epoch + since_1970(now - EARLIER).unwrap_or_default();
    params.not_after = epoch + since_1970(expires).unwrap_or_default();
}

/// `2028-11-22`
fn date(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.split('T').next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests;
