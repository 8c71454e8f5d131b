//! What control says, on its way to the workers: Snapshot -> tables -> every worker.
//!
//! All of it happens on the main thread: Maglev tables are built here, and freed here once no
//! worker uses them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use api::{HashKey, Snapshot};
use forward::connection::TableFile;
use forward::{CellNumbers, Hasher, Numbers, Paths, Tables, Tick, problems};

use crate::clock::boot_millis;
use crate::connections::Connections;
use crate::team::Team;
use crate::worker::{InForce, Update};

/// What is in force, and what it was made from.
pub(crate) struct Force {
    pub(crate) connections: Connections,
    cells: CellNumbers,
    key: Option<HashKey>,
    snapshot: Option<Snapshot>,
    tables: Option<Arc<Tables>>,
    paths: Arc<Paths>,
}

impl Force {
    /// Nothing is in force.
    pub(crate) fn new(connections: Connections) -> Self {
        Self {
            connections,
            cells: CellNumbers::default(),
            key: None,
            snapshot: None,
            tables: None,
            paths: Arc::new(Paths::new(|_, _| None)),
        }
    }

    /// The Snapshot in force, without its key.
    pub(crate) fn snapshot(&self) -> Option<api::InForce> {
        let snapshot = Snapshot { hash_key: None, ..self.snapshot.clone()? };
        let fingerprint = Hasher::new(self.key?.bytes()).fingerprint();
        Some(api::InForce {
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
        self.connections.file()
    }

    /// The BFD sessions of the Snapshot in force.
    pub(crate) fn bfd(&self) -> &[api::BfdSession] {
        self.snapshot.as_ref().map_or(&[], |snapshot| &snapshot.bfd)
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
    /// Everything that is wrong with it. What was in force stays; but if another hash key was forced
    /// and there is no memory for its tables, connections are lost.
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
        let Self { connections, cells, .. } = self;
        let file = connections.open(key, now, team, cells)?;
        let current: BTreeSet<&str> = snapshot
            .services
            .iter()
            .chain(self.snapshot.iter().flat_map(|before| &before.services))
            .map(|service| service.name.as_str())
            .collect();
        let mut index = |name: &str| file.service_index(name, |other| current.contains(other)).ok();
        let mut numbers = Numbers { service: &mut index, cells };
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
        if !forget.is_empty() {
            tracing::warn!(nodes = ?forget, "indices name other nodes now: their connections are forgotten");
        }
        let mut handed = connections.hand_out(now, team, cells);
        team.tell(|worker| {
            Update::Snapshot(Box::new(InForce {
                connections: handed.get_mut(worker).and_then(Option::take),
                forget: forget.clone(),
                tables: tables.clone(),
                paths: paths.clone(),
            }))
        });
        team.settle();
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
        team.settle();
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
}
