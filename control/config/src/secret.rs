//! Secrets: in files of their own, in systemd's credentials, or in the site file itself.
//!
//! No error here repeats what a file holds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::value::Value;

/// Bytes that a secret may have.
const LONGEST: u64 = 4096;
/// Permission bit of everybody else.
const OTHERS_READ: u32 = 0o004;

/// Where secrets come from.
pub trait Secrets {
    /// Whether a secret may stand in the site file's own text.
    fn inline(&self) -> Result<(), SecretError>;

    /// The text of a file.
    fn file(&self, path: &Path) -> Result<String, SecretError>;

    /// A credential that systemd gave to this process (`LoadCredential=NAME:...`).
    fn credential(&self, name: &str) -> Result<String, SecretError>;
}

/// Why there is no secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The site file is readable by everybody.
    #[error(
        "every user can read this file: `chmod o-r` it, or put the secret into a file of its own, {{ file = \"/etc/palier/...\" }}"
    )]
    InlineExposed,
    /// So is the secret's file.
    #[error("every user can read {0}: `chmod o-r` it")]
    Exposed(PathBuf),
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// It holds more than a secret, or no text.
    #[error("{0} is not a secret: it is no text, or longer than {LONGEST} bytes")]
    NotASecret(PathBuf),
    /// There are no credentials.
    #[error(
        "this process has no credentials: start it by systemd with LoadCredential={0}:FILE, or name a file"
    )]
    NoCredentials(String),
}

/// The secrets of this host.
#[derive(Clone, Debug)]
pub struct HostSecrets {
    exposed: bool,
    credentials: Option<PathBuf>,
}

impl HostSecrets {
    /// Those of a site file with these permissions (`st_mode`), and systemd's credentials in this folder
    /// (`$CREDENTIALS_DIRECTORY`), if there is one.
    pub fn new(mode: u32, credentials: Option<PathBuf>) -> Self {
        Self { exposed: mode & OTHERS_READ != 0, credentials }
    }
}

impl Secrets for HostSecrets {
    fn inline(&self) -> Result<(), SecretError> {
        if self.exposed { Err(SecretError::InlineExposed) } else { Ok(()) }
    }

    fn file(&self, path: &Path) -> Result<String, SecretError> {
        let unreadable = |source| SecretError::Unreadable { path: path.into(), source };
        // Asked first, as to open a pipe would wait for its writer.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(SecretError::NotAFile(path.into()));
        }
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.mode() & OTHERS_READ != 0 {
            return Err(SecretError::Exposed(path.into()));
        }
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= LONGEST);
        text.ok_or_else(|| SecretError::NotASecret(path.into()))
    }

    fn credential(&self, name: &str) -> Result<String, SecretError> {
        match &self.credentials {
            Some(folder) => self.file(&folder.join(name)),
            None => Err(SecretError::NoCredentials(name.into())),
        }
    }
}

/// The secret that a value is or names: a text, `{ file = "..." }` or `{ credential = "..." }`.
/// Surrounding white space does not count.
pub(crate) fn read(value: &Value<'_>, secrets: &dyn Secrets) -> Option<String> {
    const EXPECTED: &str =
        "a secret: write { file = \"/etc/palier/...\" } or { credential = \"NAME\" }";
    let told = |place: &Value<'_>, secret: Result<String, SecretError>| {
        secret.map_err(|error| place.problem(error.to_string())).ok()
    };
    if let Some(text) = value.raw().as_str() {
        let secret = told(value, secrets.inline().map(|()| text.to_owned()))?;
        return Some(secret.trim().into());
    }
    if !value.raw().is_table() {
        return value.secret_is_not(EXPECTED);
    }
    let mut table = value.table()?;
    let (file, credential) = (table.take("file"), table.take("credential"));
    let secret = match (file, credential) {
        (Some(file), None) => file.path().and_then(|path| told(&file, secrets.file(&path))),
        (None, Some(credential)) => {
            let name = credential.text_that("the name of a credential", is_credential);
            name.and_then(|name| told(&credential, secrets.credential(&name)))
        }
        (None, None) | (Some(_), Some(_)) => value.secret_is_not(EXPECTED),
    };
    table.finish();
    secret.map(|secret| secret.trim().to_owned())
}

/// Whether a name stays inside the credentials' folder.
fn is_credential(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}
