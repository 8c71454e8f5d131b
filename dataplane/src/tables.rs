//! What control says, on its way to the workers: Snapshot -> tables -> every worker.
//!
//! All of it happens on the main thread: Maglev tables are built here, and freed here once no
//! worker uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::sync::Arc;

use api::{HashKey, InForce, Snapshot};
use forward::connection::{Geometry, Identity, Outcome, TableFile, View};
use forward::{
    Cell, CellNumbers, Cells, HASH_VERSION, Hasher, Numbers, Paths, Tables, Tick, problems,
};

use crate::clock::boot_millis;
use crate::team::Team;
use crate::with_causes;
use crate::worker::Update;

/// What is in force, and what it was made from.
pub(crate) struct Force {
    directory: PathBuf,
    geometry: Geometry,
    file: Option<TableFile>,
    cells: CellNumbers,
    key: Option<HashKey>,
    snapshot: Option<Snapshot>,
    tables: Option<Arc<Tables>>,
    paths: Arc<Paths>,
}

impl Force {
    /// Nothing is in force. Connection tables will lie in `directory`.
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
            cells: CellNumbers::default(),
            key: None,
            snapshot: None,
            tables: None,
            paths: Arc::new(Paths::new(|_, _| None)),
        }
    }

    /// The Snapshot in force, without its key.
    pub(crate) fn snapshot(&self) -> Option<InForce> {
        let snapshot = Snapshot { hash_key: None, ..self.snapshot.clone()? };
        let fingerprint = Hasher::new(self.key?.bytes()).fingerprint();
        Some(InForce {
            generation: snapshot.generation,
            snapshot,
            key_fingerprint: format!("{fingerprint:016x}"),
        })
    }

    pub(crate) fn tables(&self) -> Option<&Arc<Tables>> {
        self.tables.as_ref()
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(crate) fn cells(&self) -> &CellNumbers {
        &self.cells
    }

    pub(crate) fn file(&self) -> Option<&TableFile> {
        self.file.as_ref()
    }

    /// Every address that packets are tunnelled to.
    pub(crate) fn targets(&self) -> Vec<IpAddr> {
        let nodes = self.snapshot.iter().flat_map(|snapshot| &snapshot.nodes);
        let targets: BTreeSet<_> = nodes.flat_map(|node| node.addresses.iter().copied()).collect();
        targets.into_iter().collect()
    }

    /// Puts a Snapshot in force: returns once every worker runs with it, but for one that hangs: the
    /// others do, and its heartbeat tells.
    ///
    /// # Errors
    /// Everything that is wrong with it. What was in force stays.
    pub(crate) fn apply(
        &mut self,
        snapshot: Snapshot,
        force: bool,
        paths: impl Fn(&Tables) -> Paths,
        team: &Team,
    ) -> Result<(), Vec<String>> {
        let problems = problems(&snapshot);
        if !problems.is_empty() {
            return Err(problems);
        }
        let key = self.accepted_key(&snapshot, force)?;
        let now = Tick::from_boot_ms(boot_millis());
        if self.key != Some(key) || self.file.is_none() {
            self.open(key, now, team)?;
        }
        let Some(file) = &mut self.file else { return Err(vec!["no connection tables".into()]) };

        if self.tables.is_none() {
            // Those of an earlier process may be of services that come back later.
            for (service, node) in recorded(file, now) {
                self.cells.number(service, node);
            }
        }
        let current: BTreeSet<&str> = snapshot
            .services
            .iter()
            .chain(self.snapshot.iter().flat_map(|before| &before.services))
            .map(|service| service.name.as_str())
            .collect();
        let mut index = |name: &str| file.service_index(name, |other| current.contains(other)).ok();
        let mut numbers = Numbers { service: &mut index, cells: &mut self.cells };
        let tables =
            Arc::new(Tables::build(&snapshot, key, self.tables.as_deref(), &mut numbers, now)?);
        let paths = Arc::new(paths(&tables));

        // Only now that nothing can fail. Were this process killed before the sweep has removed what is
        // to be forgotten, the next one would take it for the new node's.
        let mut forget = Vec::new();
        for node in &snapshot.nodes {
            match file.set_node_name(node.index, &node.name) {
                Ok(true) => forget.push(node.index),
                Ok(false) => {}
                Err(error) => return Err(vec![format!("node {}: {error}", node.name)]),
            }
        }
        if self.tables.is_none()
            && let Some(file) = &self.file
        {
            self.count_connections(file, now, team, Cells::opened);
        }
        if !forget.is_empty() {
            tracing::warn!(nodes = ?forget, "indices name other nodes now: their connections are forgotten");
            team.tell(|_| Update::Forget(forget.clone()));
        }
        team.tell(|_| Update::Tables(tables.clone(), paths.clone()));
        if let Err(error) = team.wait() {
            tracing::error!("{error}");
        }
        // Only now: until here a worker may have held the last but this.
        self.tables = Some(tables);
        self.paths = paths;
        self.key = Some(key);
        self.snapshot = Some(snapshot);
        Ok(())
    }

    /// New ways to the nodes.
    pub(crate) fn reroute(&mut self, paths: impl Fn(&Tables) -> Paths, team: &Team) {
        let Some(tables) = &self.tables else { return };
        let paths = Arc::new(paths(tables));
        team.tell(|_| Update::Paths(paths.clone()));
        if let Err(error) = team.wait() {
            tracing::error!("{error}");
        }
        self.paths = paths;
    }

    fn accepted_key(&self, snapshot: &Snapshot, force: bool) -> Result<HashKey, Vec<String>> {
        let Some(key) = snapshot.hash_key.or(self.key) else {
            return Err(vec!["hash_key: there is none in force yet, so it must be given".into()]);
        };
        if self.key.is_some_and(|before| before != key) && !force {
            let text =
                "hash_key: another key than the one in force moves every flow; say \"force\": true";
            return Err(vec![text.into()]);
        }
        Ok(key)
    }

    /// Opens the connection tables under this key, and hands them out.
    fn open(&mut self, key: HashKey, now: Tick, team: &Team) -> Result<(), Vec<String>> {
        let failed = |error: &dyn std::fmt::Display| {
            vec![format!("connection tables in {}: {error}", self.directory.display())]
        };
        if let Some(file) = self.file.take() {
            team.tell(|_| Update::Close);
            team.wait().map_err(|error| failed(&error))?;
            self.count_connections(&file, now, team, Cells::closed);
            self.tables = None;
        }
        let identity = Identity::of_this_boot(HASH_VERSION, Hasher::new(key.bytes()).fingerprint())
            .map_err(|error| failed(&error))?;
        let opened = TableFile::open(&self.directory, &self.geometry, &identity, now)
            .map_err(|error| failed(&with_causes(&error)))?;
        match opened.outcome {
            Outcome::Created => tracing::info!("connection tables: new"),
            Outcome::Kept { entries } => tracing::info!(entries, "connection tables: kept"),
            Outcome::Migrated { entries, lost } => {
                tracing::info!(entries, lost, "connection tables: migrated to another size");
            }
            Outcome::Emptied(reason) => tracing::warn!("connection tables: emptied: {reason}"),
        }
        let views = opened.file.views().to_vec();
        let mut tables: BTreeMap<usize, _> = opened.tables.into_iter().enumerate().collect();
        self.file = Some(opened.file);
        team.tell(|worker| {
            let table = tables.remove(&worker).expect("the file has a table for each worker");
            let siblings = views.iter().enumerate().filter(|(i, _)| *i != worker);
            let siblings = siblings.map(|(_, view)| view.clone()).collect();
            Update::Open { table: Box::new(table), siblings }
        });
        team.wait().map_err(|error| vec![error.to_string()])
    }

    /// Counts the connections in a file whose tables no worker has, or none that forwards: nobody else
    /// writes these counters meanwhile.
    fn count_connections(
        &self,
        file: &TableFile,
        now: Tick,
        team: &Team,
        count: impl Fn(&Cells, Cell),
    ) {
        for (view, worker) in file.views().iter().zip(team.workers()) {
            for bucket in 0..view.buckets() {
                for listed in view.entries_of(bucket, now) {
                    let cell = self.cells.get(listed.entry.service, listed.entry.node);
                    count(&worker.cells, cell.unwrap_or(Cell::OVERFLOW));
                }
            }
        }
    }
}

/// The pairs of service and node that connections name.
fn recorded(file: &TableFile, now: Tick) -> BTreeSet<(u16, u16)> {
    let buckets = |view: &View| 0..view.buckets();
    let entries = file
        .views()
        .iter()
        .flat_map(|view| buckets(view).flat_map(move |bucket| view.entries_of(bucket, now)));
    entries.map(|listed| (listed.entry.service, listed.entry.node)).collect()
}
