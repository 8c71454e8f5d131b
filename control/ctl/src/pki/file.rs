//! Files of keys and certificates: whole, and with the right mode from the first byte on.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Error;

/// Who may read a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// Its owner.
    Secret,
    /// Everybody.
    Public,
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Self::Secret => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// Makes a folder that is its owner's alone, unless it is there.
pub(super) fn folder(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Writes a file that is not there.
pub(super) fn create(path: &Path, text: &str, mode: Mode) -> Result<(), Error> {
    put(path, text, mode, |new| {
        // Unlike a rename, a link does not take the place of what is there.
        let linked = fs::hard_link(new, path);
        fs::remove_file(new)?;
        linked
    })
    .map_err(|error| match error {
        Error::Write { path, source } if source.kind() == io::ErrorKind::AlreadyExists => {
            Error::Exists(path)
        }
        other => other,
    })
}

/// Writes a file in the place of what may be there.
pub(super) fn replace(path: &Path, text: &str, mode: Mode) -> Result<(), Error> {
    put(path, text, mode, |new| fs::rename(new, path))
}

fn put(
    path: &Path,
    text: &str,
    mode: Mode,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), Error> {
    let new = beside(path);
    let placed = write(&new, text, mode).and_then(|()| place(&new)).and_then(|()| sync(path));
    placed.map_err(|source| {
        // Nothing is left of a file that did not come to be, unless that cannot be removed either.
        let _ = fs::remove_file(&new);
        Error::Write { path: path.to_owned(), source }
    })
}

fn write(path: &Path, text: &str, mode: Mode) -> io::Result<()> {
    // What an attempt before may have left has a mode of its own.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode.bits()).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes a new name last.
fn sync(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    fs::File::open(folder)?.sync_all()
}

/// `.NAME.new`: nothing that lists certificates takes it for one.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// A whole file.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// All certificates of a file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = text(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(Error::Malformed { path: path.to_owned(), what: "certificate" }),
    }
}
