//! The connection tables' file, from one hash key to the next: opened, handed to the workers, taken
//! back.
//!
//! To count and to free tables takes time that no worker has: it is done here, while no worker has
//! them.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use api::HashKey;
use forward::connection::{Geometry, Identity, Outcome, Table, TableFile, View};
use forward::{Cell, CellNumbers, Cells, HASH_VERSION, Hasher, Tick};

use crate::team::Team;
use crate::with_causes;
use crate::worker::Update;

/// The tables of all workers.
pub(crate) struct Connections {
    directory: PathBuf,
    geometry: Geometry,
    /// With the key that its flows are hashed under.
    file: Option<(HashKey, TableFile)>,
    /// The file's tables, by worker, until they are handed out.
    tables: Vec<Table>,
    /// The file before, of which a worker may still have a table.
    closing: Option<TableFile>,
    lost: Lost,
}

/// What the tables' files have lost since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// How often tables were found that meant nothing any more.
    pub(crate) emptied: u64,
    /// Connections for which tables of another size had no room.
    pub(crate) connections: u64,
}

/// A worker's table, and those of the others to look into.
pub(crate) type Handed = (Table, Vec<View>);

impl Connections {
    /// None yet. They will lie in `directory`.
    pub(crate) fn new(directory: PathBuf, connections: u32, workers: u16, details: bool) -> Self {
        let geometry = Geometry {
            capacity: NonZeroU32::new(connections).unwrap_or(NonZeroU32::MIN),
            workers: NonZeroU16::new(workers).unwrap_or(NonZeroU16::MIN),
            details,
        };
        Self {
            directory,
            geometry,
            file: None,
            tables: Vec::new(),
            closing: None,
            lost: Lost::default(),
        }
    }

    pub(crate) fn file(&self) -> Option<&TableFile> {
        self.file.as_ref().map(|(_, file)| file)
    }

    pub(crate) fn lost(&self) -> Lost {
        self.lost
    }

    /// The file of this key: the one that is open, or else the workers' tables are taken from them and
    /// it is opened. It is new to `cells` then. Services keep their indices: what is counted by them
    /// goes on.
    ///
    /// # Errors
    /// A worker hangs; then nothing has changed. There is no memory for the file, or another process
    /// has it: then workers go by rows alone until the next Snapshot.
    pub(crate) fn open(
        &mut self,
        key: HashKey,
        now: Tick,
        team: &Team,
        cells: &mut CellNumbers,
    ) -> Result<&mut TableFile, Vec<String>> {
        if self.file.as_ref().is_none_or(|(of, _)| *of != key) {
            let services: Vec<String> = match self.file() {
                Some(file) => (0..=u16::MAX).map_while(|index| file.service_name(index)).collect(),
                None => Vec::new(),
            };
            self.take_back(now, team, cells).map_err(|error| self.failed(&error))?;
            let (mut file, tables) = self.opened(key, now)?;
            for name in services {
                // Indices are given in order: each gets the one that it had.
                file.service_index(&name, |_| true).map_err(|error| self.failed(&error))?;
            }
            // Connections of an earlier process may be of services that come back later.
            for (service, node) in recorded(&file, now) {
                cells.number(service, node);
            }
            self.tables = tables;
            self.file = Some((key, file));
        }
        match &mut self.file {
            Some((_, file)) => Ok(file),
            None => Err(vec!["no connection tables".into()]),
        }
    }

    /// What each worker is to have from now on, if it has not yet. Its connections are counted.
    pub(crate) fn hand_out(
        &mut self,
        now: Tick,
        team: &Team,
        cells: &CellNumbers,
    ) -> Vec<Option<Handed>> {
        let Some(file) = self.file() else { return Vec::new() };
        if self.tables.is_empty() {
            return Vec::new();
        }
        count(file, now, team, cells, Cells::opened);
        let views = file.views().to_vec();
        let siblings = |own: usize| {
            let others = views.iter().enumerate().filter(move |(number, _)| *number != own);
            others.map(|(_, view)| view.clone()).collect()
        };
        let tables = std::mem::take(&mut self.tables).into_iter().enumerate();
        tables.map(|(worker, table)| Some((table, siblings(worker)))).collect()
    }

    /// Sees to it that no worker has a table.
    fn take_back(
        &mut self,
        now: Tick,
        team: &Team,
        cells: &CellNumbers,
    ) -> Result<(), crate::team::Stuck> {
        let handed = self.tables.is_empty();
        if handed && self.file.is_some() {
            // One that hangs shall not cost the others their tables.
            team.tell(|_| Update::Send(Vec::new()));
            team.wait()?;
        }
        self.tables.clear();
        if let Some((_, file)) = self.file.take()
            && handed
        {
            self.closing = Some(file);
            team.tell(|_| Update::Close);
        }
        if self.closing.is_some() {
            // Until then it is kept here, or whoever lets go last would have to free it.
            team.wait()?;
        }
        if let Some(file) = self.closing.take() {
            count(&file, now, team, cells, Cells::closed);
        }
        Ok(())
    }

    fn opened(&mut self, key: HashKey, now: Tick) -> Result<(TableFile, Vec<Table>), Vec<String>> {
        let identity = Identity::of_this_boot(HASH_VERSION, Hasher::new(key.bytes()).fingerprint())
            .map_err(|error| self.failed(&error))?;
        let opened = TableFile::open(&self.directory, &self.geometry, &identity, now)
            .map_err(|error| self.failed(&error))?;
        match opened.outcome {
            Outcome::Created => tracing::info!("connection tables: new"),
            Outcome::Kept { entries } => tracing::info!(entries, "connection tables: kept"),
            Outcome::Migrated { entries, lost } => {
                tracing::info!(entries, lost, "connection tables: migrated to another size");
                self.lost.connections += lost as u64;
            }
            Outcome::Emptied(reason) => {
                tracing::warn!("connection tables: emptied: {reason}");
                self.lost.emptied += 1;
            }
        }
        Ok((opened.file, opened.tables))
    }

    fn failed(&self, error: &dyn std::error::Error) -> Vec<String> {
        let problem = with_causes(error);
        vec![format!("connection tables in {}: {problem}", self.directory.display())]
    }
}

/// Counts the connections in a file of whose tables no worker has one: nobody else writes these
/// counters meanwhile.
fn count(
    file: &TableFile,
    now: Tick,
    team: &Team,
    cells: &CellNumbers,
    how: impl Fn(&Cells, Cell),
) {
    for (view, worker) in file.views().iter().zip(team.workers()) {
        for bucket in 0..view.buckets() {
            for listed in view.entries_of(bucket, now) {
                let cell = cells.get(listed.entry.service, listed.entry.node);
                how(&worker.cells, cell.unwrap_or(Cell::OVERFLOW));
            }
        }
    }
}

/// The pairs of service and node that connections name.
fn recorded(file: &TableFile, now: Tick) -> std::collections::BTreeSet<(u16, u16)> {
    let buckets = |view: &View| 0..view.buckets();
    let entries = file
        .views()
        .iter()
        .flat_map(|view| buckets(view).flat_map(move |bucket| view.entries_of(bucket, now)));
    entries.map(|listed| (listed.entry.service, listed.entry.node)).collect()
}
