//! The file of node states: written whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use admin::{Failed, States};
use nix::libc::O_NOFOLLOW;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Format of the file. It rises when a release of format 1 would misread it.
const FORMAT: u32 = 1;

/// A site has a thousand nodes at most, whose entries have a few hundred bytes each.
const MAX_LEN: u64 = 16 << 20;

/// Why the states are not in their file. They are kept in memory.
#[derive(Debug, Error)]
pub enum Error {
    /// No file could be made beside it: the folder is missing, or not writable.
    #[error("cannot make {}: {source}", path.display())]
    Create {
        /// The temporary file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be filled or brought to the disk, which may be full.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The temporary file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be put into its place.
    #[error("cannot replace {}: {source}", path.display())]
    Replace {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// As what a change did not reach.
    pub fn failed(&self, path: &Path) -> Failed {
        Failed {
            what: path.display().to_string(),
            reason: format!("{self} (kept in memory, and tried again)"),
        }
    }
}

/// Why a file cannot be read.
#[derive(Debug, Error)]
enum Unreadable {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("it is larger than {MAX_LEN} bytes")]
    TooLong,
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("it is of format {0}, this release reads {FORMAT}")]
    Format(u32),
}

#[derive(Serialize, Deserialize)]
struct Contents {
    format: u32,
    states: States,
}

/// What every format has.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// Reads the file. One that is missing is empty. One that cannot be read is moved aside, as
/// `NAME.broken`, and treated as empty: the peers bring back what they know. The text says so.
pub(super) fn load(path: &Path) -> (States, Option<String>) {
    let error = match read(path) {
        Ok(states) => return (states, None),
        Err(Unreadable::Read(error)) if error.kind() == io::ErrorKind::NotFound => {
            return (States::new(), None);
        }
        Err(error) => error,
    };
    // One broken file is kept, the last: a disk that breaks them again and again is not to be filled.
    let aside = beside(path, "broken");
    let moved = match fs::rename(path, &aside) {
        Ok(()) => format!("moved to {}", aside.display()),
        Err(error) => format!("cannot be moved to {}: {error}", aside.display()),
    };
    let warning = format!(
        "node states not read from {}: {error}; {moved}; starting without, peers bring back theirs",
        path.display(),
    );
    (States::new(), Some(warning))
}

fn read(path: &Path) -> Result<States, Unreadable> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(Unreadable::TooLong);
    }
    match serde_json::from_slice::<Header>(&bytes)?.format {
        FORMAT => Ok(serde_json::from_slice::<Contents>(&bytes)?.states),
        other => Err(Unreadable::Format(other)),
    }
}

/// Replaces the file's contents. After a crash at any point, or an error, the file holds either all
/// of the old or all of the new.
pub(super) fn save(path: &Path, states: States) -> Result<(), Error> {
    let contents = Contents { format: FORMAT, states };
    let mut bytes = serde_json::to_vec(&contents).expect("maps with names as keys are JSON");
    bytes.push(b'\n');

    let new = beside(path, "new");
    let written = write(&new, &bytes).and_then(|()| {
        let replaced = fs::rename(&new, path).and_then(|()| sync_folder(path));
        replaced.map_err(|source| Error::Replace { path: path.to_owned(), source })
    });
    if written.is_err() {
        // A part of a file is of no use, and takes room on a disk that may have none left. If it
        // cannot be removed, the next attempt overwrites it.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // One that a crash left behind goes first: its mode may be another.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::Create { path: path.to_owned(), source: error });
        }
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW)
        .open(path)
        .map_err(|source| Error::Create { path: path.to_owned(), source })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Makes a rename last.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// `PATH.SUFFIX`
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}
