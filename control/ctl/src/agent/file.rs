//! Words out of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use super::line;

/// Most bytes that are read: the first line is in them.
const MOST: u64 = 4 << 10;

/// What the file says. Without one the host is up; what cannot be read says nothing, as does an
/// empty file: somebody is about to write it.
pub(super) fn words(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    match read.map(|_| line::first(&bytes)) {
        Ok(Some(words)) => words,
        Ok(None) => line::nothing(&format!("{} is empty", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "up".into(),
        Err(error) => line::nothing(&format!("{}: {error}", path.display())),
    }
}

/// Opens a regular file: a pipe would keep everybody waiting.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a file")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent");
        assert_eq!(words(&path), "up", "there is none");
        std::fs::write(&path, "MAINT\nup\n").unwrap();
        assert_eq!(words(&path), "MAINT");
        std::fs::write(&path, "").unwrap();
        assert!(words(&path).starts_with("# ") && words(&path).ends_with("agent is empty"));
        std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        assert!(words(&path).len() < 1_000);
    }

    #[test]
    fn what_is_no_file_says_nothing_and_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(words(&path).ends_with("not a file"), "{}", words(&path));
        assert!(words(dir.path()).starts_with("# "));
    }
}
