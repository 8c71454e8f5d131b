//! What this crate has changed, in a file: so that a later process can take it back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use api::Prefix;
use serde::{Deserialize, Serialize};

use crate::{Error, route};

const NAME: &str = "vips.json";
/// Another one at every boot, after which nothing of ours is left in the kernel.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What was not there before us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    /// VIPs that we have put on `lo`.
    pub(crate) vips: BTreeSet<Prefix>,
    /// Settings, by their path, and their values before.
    pub(crate) settings: BTreeMap<String, i32>,
    /// Routes without an advmss of somebody else's, and the one that we have given them.
    #[serde(with = "pairs")]
    pub(crate) routes: BTreeMap<route::Key, u32>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    boot: String,
    changes: Changes,
}

/// The file, and what stands in it.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    boot: String,
    written: Changes,
}

impl Memory {
    /// Reads the file, if there is one of this boot.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let failed = |source| Error::Memory { path: path.clone(), source };
        let boot = fs::read_to_string(BOOT_ID).map_err(failed)?.trim().to_owned();
        let written = match fs::read(&path) {
            Ok(text) => {
                let document: Document =
                    serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
                if document.boot == boot { document.changes } else { Changes::default() }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Changes::default(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, boot, written })
    }

    /// What stands in the file.
    pub(crate) fn changes(&self) -> Changes {
        self.written.clone()
    }

    /// Writes the file, unless it says this already. Whoever reads it finds the old or the new one.
    pub(crate) fn write(&mut self, changes: &Changes) -> Result<(), Error> {
        if self.written == *changes {
            return Ok(());
        }
        let document = Document { boot: self.boot.clone(), changes: changes.clone() };
        let replace = || -> io::Result<()> {
            let new = self.path.with_extension("json.new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(&document)?)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        replace().map_err(|source| Error::Memory { path: self.path.clone(), source })?;
        self.written = document.changes;
        Ok(())
    }
}

/// Routes are no strings, which JSON wants as keys: a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::route::Key;

    pub(super) fn serialize<S: Serializer>(
        routes: &BTreeMap<Key, u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(routes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Key, u32>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Changes {
        let key = route::Key { destination: "::/0".parse().unwrap(), tos: 0, metric: 1024 };
        Changes {
            vips: ["203.0.113.1".parse().unwrap()].into(),
            settings: [("net/ipv4/conf/all/arp_ignore".to_owned(), 0)].into(),
            routes: [(key, 1400)].into(),
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(folder.path()).unwrap();
        assert_eq!(memory.changes(), Changes::default());
        memory.write(&changes()).unwrap();
        assert_eq!(Memory::open(folder.path()).unwrap().changes(), changes());
    }

    #[test]
    fn another_boot_has_left_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(folder.path()).unwrap();
        memory.boot = "another".into();
        memory.write(&changes()).unwrap();
        assert_eq!(Memory::open(folder.path()).unwrap().changes(), Changes::default());
    }

    #[test]
    fn a_file_that_is_not_understood_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), "{").unwrap();
        let error = Memory::open(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Memory { .. }), "{error}");
    }
}
