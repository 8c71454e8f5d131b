//! `--assign`: writes an index into the site file for each L7 node that has none.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use crate::context::Context;
use crate::failure::{Failure, note};

/// Gives indexes, and returns what was given. Those of nodes that left the file, but that the
/// dataplane still has, are given to nobody else.
pub(super) fn assign(path: &Path, context: &Context) -> Result<Vec<(String, u16)>, Failure> {
    let failed = |error: io::Error| Failure::refused(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let reserved = match context.dataplane().map_err(Failure::from).and_then(|mut d| d.snapshot()) {
        Ok(Some(running)) => in_use(&running),
        Ok(None) => BTreeMap::new(),
        Err(failure) => {
            note("indexes of nodes that left the file are not known, and may be given again:");
            note(&failure.to_string());
            BTreeMap::new()
        }
    };
    let assigned = config::assign(&text, &reserved).map_err(|problems| {
        Failure::Refused(problems.in_file(path.display().to_string()).lines().collect())
    })?;
    if !assigned.given.is_empty() {
        replace(path, assigned.text.as_bytes()).map_err(failed)?;
    }
    Ok(assigned.given)
}

fn in_use(running: &api::InForce) -> BTreeMap<u16, String> {
    running.snapshot.nodes.iter().map(|node| (node.index, node.name.clone())).collect()
}

/// Writes the whole file beside the old one and puts it in its place: whoever reads sees one of both.
/// Mode and owner stay; a symbolic link stays one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let before = path.metadata()?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let written = write(&beside, &before, bytes).and_then(|()| std::fs::rename(&beside, &path));
    if written.is_err() {
        // Half a file is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
        return written;
    }
    // The name, too, is to survive a power cut.
    File::open(folder)?.sync_all()
}

fn write(path: &Path, like: &std::fs::Metadata, bytes: &[u8]) -> io::Result<()> {
    // It may hold the hash key: nobody else may read it before its owner is right.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
        fchown(&file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(PermissionsExt::from_mode(like.mode() & 0o7777))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_through_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("site.toml"), dir.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("site.toml");
        std::fs::write(&file, "old").unwrap();
        // The name beside it is taken, by a folder.
        std::fs::create_dir(dir.path().join(format!(".site.toml.{}", std::process::id()))).unwrap();
        assert!(replace(&file, b"new").is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
    }
}
