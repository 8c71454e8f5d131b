//! The tables' file: one in the state directory, on tmpfs, for all workers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use ahash::RandomState;
use hashbrown::HashMap;
use thiserror::Error;

use crate::Tick;

use super::header::{Header, Identity, NODES, SERVICES};
use super::layout::Geometry;
use super::migrate::migrate;
use super::names::{NAME_LEN, name, set_name};
use super::store::{Existing, Store, lock};
use super::table::Table;
use super::view::View;

const NAME: &str = "connections";
const NEW: &str = "connections.new";
const LOCK: &str = "connections.lock";

/// The file in which all workers' tables lie, so that they outlive the process.
///
/// It is valid at every instruction: a process that is killed leaves what the next one can go on
/// with. What is built anew is built beside it and renamed over it.
#[derive(Debug)]
pub struct TableFile {
    header: Header,
    /// The services of the header, by index: it is read once, as a Snapshot may ask for thousands.
    services: Vec<Option<String>>,
    /// Their indices.
    by_name: HashMap<String, u16, RandomState>,
    views: Vec<View>,
}

/// What [`TableFile::open`] gives.
#[derive(Debug)]
pub struct Opened {
    /// What all share: names, and readers of all tables.
    pub file: TableFile,
    /// A table for each worker.
    pub tables: Vec<Table>,
    /// What became of the file that was there.
    pub outcome: Outcome,
}

/// What became of the tables of the process before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There were none.
    Created,
    /// They go on as they are.
    Kept {
        /// Connections in them.
        entries: usize,
    },
    /// Their connections were put into tables of another size or number.
    Migrated {
        /// Connections that are known now.
        entries: usize,
        /// Connections for which there was no room.
        lost: usize,
    },
    /// Their connections mean nothing any more, and are forgotten.
    Emptied(Reason),
}

/// Why old tables mean nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Reason {
    /// Flow hashes were made with another key.
    #[error("the site's hash key is another one")]
    OtherKey,
    /// Flow hashes were made in another way.
    #[error("the version of the flow hash is another one")]
    OtherHash,
    /// The file was written by a version of palier with another format.
    #[error("the format of the file is another one")]
    OtherFormat,
    /// Ticks count from another boot.
    #[error("the machine was booted since")]
    OtherBoot,
    /// Nobody swept the tables for so long that the ages of connections may be ambiguous.
    #[error("it was not used for days")]
    TooOld,
    /// The file is damaged.
    #[error("the file is damaged: {0}")]
    Corrupt(&'static str),
}

/// Why there are no tables.
#[derive(Debug, Error)]
pub enum Error {
    /// Another process has them.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// More than the file's format has room for.
    #[error("connection tables hold at most 2^30 connections a worker, for at most 1024 workers")]
    TooLarge,
    /// The operating system refused.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Why there is no index for a name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// All indices are in use.
    #[error("all 4096 service indices are in use")]
    Full,
    /// There is no room for a name of this length.
    #[error("a name has 1 to 63 bytes")]
    Length,
    /// The table has no such node index.
    #[error("a node index is at most 1023")]
    Index,
}

impl TableFile {
    /// Opens the file in `dir`, or makes one. Its lock is held as long as any of the tables, the
    /// file or a view of it lives.
    ///
    /// # Errors
    /// If another process has it, or if there is no memory for it.
    pub fn open(
        dir: &Path,
        geometry: &Geometry,
        identity: &Identity,
        now: Tick,
    ) -> Result<Opened, Error> {
        if !geometry.fits() {
            return Err(Error::TooLarge);
        }
        let lock = Arc::new(lock(&dir.join(LOCK))?);
        let (path, new) = (dir.join(NAME), dir.join(NEW));

        let (store, outcome) = match Store::existing(&path, &lock, identity, now)? {
            Existing::Usable(store) if store.geometry == *geometry => {
                let entries = store.tables.iter().map(Table::len).sum();
                return Ok(Self::opened(store, Outcome::Kept { entries }));
            }
            Existing::Usable(old) => {
                let mut store = Store::create(&new, &lock, geometry, identity, now)?;
                let (entries, lost) = migrate(&old.tables, &mut store.tables, now);
                store.header.copy_names(&old.header);
                (store, Outcome::Migrated { entries, lost })
            }
            Existing::Meaningless(reason) => {
                // Memory need not suffice for both.
                fs::remove_file(&path).map_err(|source| Error::Io {
                    what: "remove",
                    path: path.clone(),
                    source,
                })?;
                (Store::create(&new, &lock, geometry, identity, now)?, Outcome::Emptied(reason))
            }
            Existing::Absent => {
                (Store::create(&new, &lock, geometry, identity, now)?, Outcome::Created)
            }
        };
        fs::rename(&new, &path).map_err(|source| Error::Io {
            what: "rename",
            path: new,
            source,
        })?;
        Ok(Self::opened(store, outcome))
    }

    fn opened(store: Store, outcome: Outcome) -> Opened {
        let views = store.tables.iter().map(Table::view).collect();
        let header = store.header;
        let services: Vec<_> = (0..SERVICES).map(|index| name(&header.services, index)).collect();
        let named = services.iter().zip(0_u16..);
        let by_name = named.filter_map(|(name, index)| Some((name.clone()?, index))).collect();
        Opened { file: Self { header, services, by_name, views }, tables: store.tables, outcome }
    }

    /// A reader of each worker's table.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The node that an index stood for when it was last set.
    pub fn node_name(&self, index: u16) -> Option<String> {
        name(&self.header.nodes, index.into())
    }

    /// Says which node an index stands for. Returns whether it stood for another one before: then its
    /// entries are to be forgotten in every table ([`Table::forget_node`]).
    ///
    /// # Errors
    /// If there is no such index, or the name is too long.
    pub fn set_node_name(&mut self, index: u16, name: &str) -> Result<bool, NameError> {
        if usize::from(index) >= NODES {
            return Err(NameError::Index);
        }
        check_length(name)?;
        let before = self.node_name(index);
        if before.as_deref() != Some(name) {
            set_name(&self.header.nodes, index.into(), name);
        }
        Ok(before.is_some_and(|before| before != name))
    }

    /// The service that an index stands for.
    pub fn service_name(&self, index: u16) -> Option<String> {
        self.services.get(usize::from(index))?.clone()
    }

    /// The index of a service: the one it has, or a free one.
    ///
    /// When there is none left, those are freed that no entry names and that are not `current`: of
    /// no Snapshot that a worker may still record flows with.
    ///
    /// # Errors
    /// If all indices are in use, or the name is too long.
    pub fn service_index(
        &mut self,
        name: &str,
        current: impl Fn(&str) -> bool,
    ) -> Result<u16, NameError> {
        check_length(name)?;
        if let Some(&index) = self.by_name.get(name) {
            return Ok(index);
        }
        let free = match self.services.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                let held = self.held_services();
                (0..SERVICES)
                    .find(|&i| !held[i] && !self.services[i].as_deref().is_some_and(&current))
                    .ok_or(NameError::Full)?
            }
        };
        set_name(&self.header.services, free, name);
        if let Some(before) = self.services[free].replace(name.into()) {
            self.by_name.remove(&before);
        }
        self.by_name.insert(name.into(), free as u16);
        Ok(free as u16)
    }

    /// Which service indices entries name.
    fn held_services(&self) -> Vec<bool> {
        let mut held = vec![false; SERVICES];
        for view in &self.views {
            for bucket in 0..view.buckets() {
                for listed in view.entries_of(bucket, Tick::default()) {
                    if let Some(held) = held.get_mut(usize::from(listed.entry.service)) {
                        *held = true;
                    }
                }
            }
        }
        held
    }
}

fn check_length(name: &str) -> Result<(), NameError> {
    match name.len() {
        1..NAME_LEN => Ok(()),
        _ => Err(NameError::Length),
    }
}
