//! Where attachments are pinned: a folder on a bpffs, and names in it.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use thiserror::Error;

/// Where a bpffs is usually mounted. The kernel makes the folder.
const USUAL: &str = "/sys/fs/bpf";

/// There is no folder to pin in.
#[derive(Debug, Error)]
#[error("cannot {what} {}: `mount -t bpf bpf {USUAL}` as root, and name a folder below it", at.display())]
pub struct PinFolderError {
    what: &'static str,
    at: PathBuf,
    #[source]
    source: io::Error,
}

/// Makes sure that this is a folder on a bpffs.
///
/// Without a bpffs there yet, one is mounted on `/sys/fs/bpf` if the folder is below that, else on
/// the folder itself. The mount ends with the mount namespace: a process that has one of its own
/// (a systemd unit with private mounts, `ip netns exec`) needs a bpffs mounted outside of it, or
/// what is pinned ends with the process.
///
/// # Errors
/// Not root, the kernel has no eBPF, or the path is not a folder's.
pub fn pin_folder(folder: &Path) -> Result<(), PinFolderError> {
    if !is_bpffs(existing(folder)) {
        let at = if folder.starts_with(USUAL) { Path::new(USUAL) } else { folder };
        fs::create_dir_all(at).map_err(fault("make the folder", at))?;
        mount(Some("bpf"), at, Some("bpf"), MsFlags::empty(), Some("mode=0700"))
            .map_err(|errno| fault("mount a bpffs on", at)(errno.into()))?;
    }
    fs::create_dir_all(folder).map_err(fault("make the bpffs folder", folder))
}

/// The name under which the node's attachment to the interface is pinned: no two pairs have the
/// same one, and none has a dot, which a bpffs refuses.
pub fn pin_name(node: &str, interface: &str) -> String {
    format!("{}@{}", escaped(node), escaped(interface))
}

fn escaped(name: &str) -> String {
    name.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(byte.into()),
            _ => write!(escaped, "%{byte:02x}").expect("a string takes what it is given"),
        }
        escaped
    })
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|system| system.filesystem_type() == BPF_FS_MAGIC)
}

/// The nearest folder above, or this one, that is there.
fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("/"))
}

fn fault(what: &'static str, at: &Path) -> impl Fn(io::Error) -> PinFolderError + use<> {
    let at = at.to_owned();
    move |source| PinFolderError { what, at: at.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_different_as_what_they_are_of() {
        assert_eq!(pin_name("l7-1", "eth0"), "l7-1@eth0");
        assert_eq!(pin_name("l7-1.example", "eth0.5"), "l7-1%2eexample@eth0%2e5");
        let names = [("a", "b@c"), ("a@b", "c"), ("a-b", "c"), ("a", "b-c"), ("a%40b", "c")]
            .map(|(node, interface)| pin_name(node, interface));
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_a_sentence_that_says_what_to_do() {
        let error = pin_folder(Path::new("/proc/palier")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot make the folder /proc/palier: `mount -t bpf bpf /sys/fs/bpf` as root, \
             and name a folder below it"
        );
    }
}
