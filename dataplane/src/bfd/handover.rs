//! What a process that ends as planned leaves to the next one: sessions that routers believe in all the
//! while.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use api::BfdSession;
use bfd::Saved;
use serde::{Deserialize, Serialize};

use crate::clock::boot_millis;

/// Longest time that sessions are left for: what is older was written before a reboot.
const LONGEST: u64 = 2 * api::MAX_PAUSE as u64;

/// The file in the state directory.
const FILE: &str = "bfd.json";

/// A session that was Up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// What was asked for when it was left.
    pub(super) wanted: BfdSession,
    /// CLOCK_BOOTTIME in milliseconds.
    pub(super) since_ms: u64,
    pub(super) session: Saved,
}

/// Whether both are the same session, whatever their timers.
pub(super) fn is_same(one: &BfdSession, other: &BfdSession) -> bool {
    (&one.local, &one.remote, &one.interface) == (&other.local, &other.remote, &other.interface)
}

/// Sessions, and how long routers believe in them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Handover {
    /// CLOCK_BOOTTIME in milliseconds.
    until_ms: u64,
    pub(super) sessions: Vec<Kept>,
}

impl Handover {
    /// Sessions that routers believe in for `pause` from now on.
    pub(super) fn new(sessions: Vec<Kept>, pause: Duration) -> Self {
        Self { until_ms: boot_millis() + pause.as_millis() as u64, sessions }
    }

    /// Leaves it in this folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn leave(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(format!("{FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        drop(file);
        fs::rename(new, folder.join(FILE))
    }

    /// What was left in this folder, which is over with that; nothing if it is too late.
    pub(super) fn take(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let found = fs::read(&path);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            // It would be found again by a process that it is not meant for.
            tracing::warn!(path = %path.display(), %error, "BFD sessions begin anew");
            return Self::default();
        }
        let Ok(bytes) = found else { return Self::default() };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(left) => left.in_time().unwrap_or_default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "BFD sessions begin anew");
                Self::default()
            }
        }
    }

    /// Itself, while routers believe in it.
    fn in_time(self) -> Option<Self> {
        let left = self.until_ms.checked_sub(boot_millis())?;
        (left <= LONGEST).then_some(self)
    }

    /// Takes the session that is asked for out of it, if it is in there, and it is not too late.
    pub(super) fn session(&mut self, wanted: &BfdSession) -> Option<Kept> {
        if boot_millis() > self.until_ms {
            self.sessions.clear();
        }
        let place = self.sessions.iter().position(|kept| is_same(&kept.wanted, wanted))?;
        Some(self.sessions.swap_remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        folder
    }

    #[test]
    fn it_is_found_once_and_in_time() {
        let folder = folder_with(&format!(r#"{{"until_ms": {}, "sessions": []}}"#, u64::MAX));
        assert_eq!(Handover::take(folder.path()).until_ms, 0, "of before a reboot");
        let later = boot_millis() + 10_000;
        Handover { until_ms: later, sessions: Vec::new() }.leave(folder.path()).unwrap();
        assert_eq!(Handover::take(folder.path()).until_ms, later);
        assert_eq!(Handover::take(folder.path()).until_ms, 0, "taken already");
        Handover { until_ms: 1, sessions: Vec::new() }.leave(folder.path()).unwrap();
        assert_eq!(Handover::take(folder.path()).until_ms, 0, "too late");
    }

    #[test]
    fn nonsense_is_removed() {
        let folder = folder_with("nonsense");
        assert!(Handover::take(folder.path()).sessions.is_empty());
        assert!(!folder.path().join(FILE).exists());
    }
}
