//! The site file on disk.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::problem::Problems;
use crate::secret::HostSecrets;
use crate::settings::Config;

/// Bytes that a site file may have: some ten thousand services.
const LONGEST: u64 = 16 << 20;

/// A site file that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct SiteFile {
    /// What it says.
    pub config: Config,
    /// Its text, which may hold the hash key: not for output or logs.
    pub text: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Why a site file cannot be used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any site.
    #[error("{0} is longer than 16 MiB")]
    TooLong(PathBuf),
    /// It is not a text.
    #[error("{path} is not a text in UTF-8: byte {offset} is wrong")]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
    },
    /// It says what cannot be.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

impl ReadError {
    /// What is wrong, one line each, without limit.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Wrong(problems) => problems.lines().collect(),
            Self::Unreadable { .. } | Self::TooLong(_) | Self::NotText { .. } => {
                vec![self.to_string()]
            }
        }
    }
}

impl SiteFile {
    /// Reads the file, and the secrets that it names. Credentials are those of this process
    /// (`$CREDENTIALS_DIRECTORY`).
    ///
    /// # Errors
    ///
    /// It cannot be read, or something is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        Self::read_with(path, std::env::var_os("CREDENTIALS_DIRECTORY").as_deref())
    }

    /// The same with credentials of another folder.
    fn read_with(path: &Path, credentials: Option<&OsStr>) -> Result<Self, ReadError> {
        let unreadable = |source| ReadError::Unreadable { path: path.into(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode();
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LONGEST {
            return Err(ReadError::TooLong(path.into()));
        }
        let text = String::from_utf8(bytes).map_err(|error| ReadError::NotText {
            path: path.into(),
            offset: error.utf8_error().valid_up_to(),
        })?;
        let secrets = HostSecrets::new(mode, credentials.map(PathBuf::from));
        let config = Config::parse(&text, &secrets)
            .map_err(|problems| problems.in_file(path.display().to_string()))?;
        Ok(Self { config, text, path: path.into() })
    }
}

impl fmt::Debug for SiteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteFile").field("path", &self.path).finish_non_exhaustive()
    }
}
