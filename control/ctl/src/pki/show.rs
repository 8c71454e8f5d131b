//! Whose certificates there are, and until when they hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::{DAY, Error, date, file};

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    /// Its file.
    pub(crate) file: PathBuf,
    /// Whether it is a CA's.
    pub(crate) ca: bool,
    /// Names of a node's, or the CA's own.
    pub(crate) names: Vec<String>,
    /// Until when it holds: `2028-11-22`.
    pub(crate) expires: String,
    /// Whole days until then, negative if it is over.
    pub(crate) days_left: i64,
}

/// Lists the certificates in a folder, CAs first, then by name.
///
/// # Errors
/// The folder, or one of its `.pem` files, cannot be read, or holds no certificate.
pub(crate) fn show(dir: &Path, now: SystemTime) -> Result<Vec<Listed>, Error> {
    let unreadable = |source| Error::Read { path: dir.to_owned(), source };
    let mut listed = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        for der in file::certificates(&path)? {
            let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| Error::Malformed {
                path: path.clone(),
                what: "certificate that can be read",
            })?;
            listed.push(list(path.clone(), &parsed, now));
        }
    }
    listed.sort_by(|a, b| b.ca.cmp(&a.ca).then_with(|| a.names.cmp(&b.names)));
    Ok(listed)
}

fn list(file: PathBuf, certificate: &X509Certificate<'_>, now: SystemTime) -> Listed {
    let expires = expiry(certificate);
    let days = |time: Duration| (time.as_secs() / DAY.as_secs()) as i64;
    let days_left = match expires.duration_since(now) {
        Ok(left) => days(left),
        Err(over) => -days(over.duration()) - 1,
    };
    let ca = certificate.is_ca();
    let names = if ca { common_names(certificate) } else { dns_names(certificate) };
    Listed { file, ca, names, expires: date(expires), days_left }
}

fn common_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject().iter_common_name();
    names.filter_map(|name| name.as_str().ok()).map(str::to_owned).collect()
}

/// The names that count: a certificate's common name is not looked at by anybody.
fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        // Nodes have no others.
        _ => None,
    };
    extension.value.general_names.iter().filter_map(dns).collect()
}

/// Until when a certificate holds.
pub(super) fn expiry(certificate: &X509Certificate<'_>) -> SystemTime {
    let seconds = certificate.validity().not_after.timestamp();
    // A time before 1970 is as much over as 1970 is.
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0))
}
