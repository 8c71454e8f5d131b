use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::Tick;

use super::file::{Error, Reason};
use super::header::{Header, Identity};
use super::layout::{Area, Geometry, head};
use super::memory::Memory;
use super::rules::Idle;
use super::table::Table;

/// A file with all that is in it.
pub(super) struct Store {
    pub(super) header: Header,
    pub(super) geometry: Geometry,
    pub(super) tables: Vec<Table>,
}

/// What is there at the start.
pub(super) enum Existing {
    Usable(Store),
    Meaningless(Reason),
    Absent,
}

impl Store {
    /// Makes a file, empty but for its header.
    pub(super) fn create(
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
        memory.reserve(&file).map_err(|error| {
            // What could be had is not kept from others until the next start.
            let _ = fs::remove_file(path);
            failed("make room for")(error)
        })?;
        let store = Self::of_memory(&memory, geometry).expect("the file is as long as it asks for");
        store.header.write(geometry, identity);
        store.tables.iter().for_each(|table| table.area.gauge[0].set_swept(now));
        Ok(store)
    }

    /// What the process before left.
    pub(super) fn existing(
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
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Io { what: "lock", path: path.to_owned(), source };
    let file =
        private(OpenOptions::new().create(true).truncate(false)).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
