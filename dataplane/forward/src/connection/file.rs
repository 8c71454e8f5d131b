//! The tables' file: one in the state directory, on tmpfs, for all workers.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::Tick;

use super::header::{self, Header, Identity, NODES, SERVICES};
use super::layout::{Area, Geometry, head};
use super::memory::Memory;
use super::migrate::migrate;
use super::rules::Idle;
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

        let (mut store, outcome) = match Store::existing(&path, &lock, identity, now)? {
            Existing::Usable(store) if store.geometry == *geometry => {
                let entries = store.tables.iter().map(Table::len).sum();
                return Ok(store.opened(Outcome::Kept { entries }));
            }
            Existing::Usable(old) => {
                let mut store = Store::create(&new, &lock, geometry, identity, now)?;
                let (entries, lost) = migrate(&old.tables, &mut store.tables, now);
                store.header.copy_names(&old.header);
                (store, Outcome::Migrated { entries, lost })
            }
            Existing::Meaningless(reason) => {
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
        store.geometry = *geometry;
        Ok(store.opened(outcome))
    }

    /// A reader of each worker's table.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The node that an index stood for when it was last set.
    pub fn node_name(&self, index: u16) -> Option<String> {
        header::name(&self.header.nodes, index.into())
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
            header::set_name(&self.header.nodes, index.into(), name);
        }
        Ok(before.is_some_and(|before| before != name))
    }

    /// The service that an index stands for.
    pub fn service_name(&self, index: u16) -> Option<String> {
        header::name(&self.header.services, index.into())
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
        let names: Vec<_> = (0..SERVICES as u16).map(|index| self.service_name(index)).collect();
        if let Some(index) = names.iter().position(|known| known.as_deref() == Some(name)) {
            return Ok(index as u16);
        }
        let free = match names.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                let held = self.held_services();
                (0..SERVICES)
                    .find(|&i| !held[i] && !names[i].as_deref().is_some_and(&current))
                    .ok_or(NameError::Full)?
            }
        };
        header::set_name(&self.header.services, free, name);
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
        1..header::NAME_LEN => Ok(()),
        _ => Err(NameError::Length),
    }
}

/// A file that is mapped.
struct Store {
    header: Header,
    geometry: Geometry,
    tables: Vec<Table>,
}

/// What is there at the start.
enum Existing {
    Usable(Store),
    Meaningless(Reason),
    Absent,
}

impl Store {
    fn opened(self, outcome: Outcome) -> Opened {
        let views = self.tables.iter().map(Table::view).collect();
        Opened { file: TableFile { header: self.header, views }, tables: self.tables, outcome }
    }

    fn create(
        path: &Path,
        lock: &Arc<File>,
        geometry: &Geometry,
        identity: &Identity,
        now: Tick,
    ) -> Result<Self, Error> {
        let failed = |what| move |source| Error::Io { what, path: path.to_owned(), source };
        // What a process left that was killed while it built one.
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("remove")(e)),
            _ => {}
        }
        let file =
            private(OpenOptions::new().create_new(true)).open(path).map_err(failed("create"))?;
        file.set_len(geometry.bytes() as u64).map_err(failed("make room for"))?;
        let memory = Memory::of_file(&file, Arc::clone(lock)).map_err(failed("map"))?;
        memory.reserve(&file).map_err(failed("make room for"))?;
        let store = Self::of_memory(&memory, geometry).expect("the file is as long as it asks for");
        store.header.write(geometry, identity);
        store.tables.iter().for_each(|table| table.area.gauge[0].set_swept(now));
        Ok(store)
    }

    fn existing(
        path: &Path,
        lock: &Arc<File>,
        identity: &Identity,
        now: Tick,
    ) -> Result<Existing, Error> {
        let failed = |what| move |source| Error::Io { what, path: path.to_owned(), source };
        let file = match private(&mut OpenOptions::new()).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Existing::Absent),
            Err(e) => return Err(failed("open")(e)),
        };
        if file.metadata().map_err(failed("look at"))?.len() == 0 {
            return Ok(Existing::Meaningless(Reason::Corrupt("it is empty")));
        }
        let memory = Memory::of_file(&file, Arc::clone(lock)).map_err(failed("map"))?;
        let mut store = match Self::of_existing(&memory, identity, now) {
            Ok(store) => store,
            Err(reason) => return Ok(Existing::Meaningless(reason)),
        };
        memory.reserve(&file).map_err(failed("make room for"))?;
        store.tables.iter_mut().for_each(Table::recover);
        Ok(Existing::Usable(store))
    }

    fn of_existing(memory: &Arc<Memory>, identity: &Identity, now: Tick) -> Result<Self, Reason> {
        let header = head(memory).ok_or(Reason::Corrupt("it is too short"))?;
        let geometry = header.read(identity)?;
        if memory.len() != geometry.bytes() {
            return Err(Reason::Corrupt("its length"));
        }
        let store = Self::of_memory(memory, &geometry).ok_or(Reason::Corrupt("its length"))?;
        if store.tables.iter().any(|table| now.since(table.area.gauge[0].swept()) > Idle::MARGIN) {
            return Err(Reason::TooOld);
        }
        Ok(store)
    }

    fn of_memory(memory: &Arc<Memory>, geometry: &Geometry) -> Option<Self> {
        let tables = (0..usize::from(geometry.workers.get()))
            .map(|worker| Some(Table::of_area(Area::of(memory, geometry, worker)?, geometry)))
            .collect::<Option<_>>()?;
        Some(Self { header: head(memory)?, geometry: *geometry, tables })
    }
}

/// For the owner alone, and never through a link that somebody laid.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW)
}

/// The lock is a file of its own, as the tables' file is replaced by renaming.
fn lock(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Io { what: "lock", path: path.to_owned(), source };
    let file =
        private(OpenOptions::new().create(true).truncate(false)).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
