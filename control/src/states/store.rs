//! What this node remembers of operators' wishes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use admin::{Entry, Failed, Said, States};
use health::Admin;
use parking_lot::Mutex;

use super::{Error, Merged, Trust, file, merge};

/// Node states, in memory and in a file.
///
/// Changes are made in memory and never wait for the disk; [`flush`](Self::flush) brings them there.
/// Whoever calls it calls it again after a while as long as the store is [`dirty`](Self::dirty):
/// seconds, as a full disk stays full for longer than that.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    memory: Mutex<Memory>,
    /// Held while the file is written, so that the older of two writes is not the one that stays.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Memory {
    states: States,
    /// Rises with every change.
    revision: u64,
    /// Revision that the file has.
    saved: u64,
    /// The last attempt to write it failed.
    failing: bool,
}

impl Memory {
    fn changed(&mut self) {
        self.revision += 1;
    }
}

impl Store {
    /// Where a role's states lie: `node-states-l4.json` in the state folder.
    pub fn path(state_dir: &Path, role: &str) -> PathBuf {
        state_dir.join(format!("node-states-{role}.json"))
    }

    /// Reads the file. This never fails: without a file the store is empty, and so it is if the file
    /// is broken, which the text says. The broken file was moved aside then.
    pub fn open(path: PathBuf) -> (Self, Option<String>) {
        let (states, warning) = file::load(&path);
        let memory = Memory { states, revision: 0, saved: 0, failing: false };
        (Self { path, memory: Mutex::new(memory), writing: Mutex::new(()) }, warning)
    }

    /// All that it knows.
    pub fn states(&self) -> States {
        self.memory.lock().states.clone()
    }

    /// An operator has spoken: `by` whom, and when (milliseconds since 1970). The answer is what
    /// holds from now on, and is to be carried to the other nodes.
    pub fn set(&self, node: &str, state: Admin, by: &str, now_ms: u64) -> Entry {
        self.change(node, by, now_ms, |entry| entry.state = state)
    }

    /// The same, of a server's weight: percent of what the site file says.
    pub fn set_weight(&self, server: &str, percent: u16, by: &str, now_ms: u64) -> Entry {
        self.change(server, by, now_ms, |entry| entry.weight = Some(percent))
    }

    /// The same, to nodes that serve zones.
    pub fn say(&self, subject: &str, said: Said, by: &str, now_ms: u64) -> Entry {
        self.change(subject, by, now_ms, |entry| entry.said = Some(said))
    }

    fn change(
        &self,
        subject: &str,
        by: &str,
        now_ms: u64,
        change: impl FnOnce(&mut Entry),
    ) -> Entry {
        let mut memory = self.memory.lock();
        let held = memory.states.get(subject);
        let mut entry = Entry {
            version: held.map_or(0, |entry| entry.version).saturating_add(1),
            at_ms: now_ms,
            state: held.map_or(Admin::Ready, |entry| entry.state),
            by: by.to_owned(),
            weight: held.and_then(|entry| entry.weight),
            said: held.and_then(|entry| entry.said),
        };
        change(&mut entry);
        memory.states.insert(subject.to_owned(), entry.clone());
        memory.changed();
        entry
    }

    /// Another node has spoken.
    pub fn merge(&self, theirs: &States, trust: &Trust<'_>) -> Merged {
        let mut memory = self.memory.lock();
        let merged = merge(&mut memory.states, theirs, trust);
        if !merged.changed.is_empty() {
            memory.changed();
        }
        merged
    }

    /// Forgets nodes that the site no longer has, and names them. A name that comes back is a new
    /// node, of which no operator has said anything.
    pub fn retain(&self, known: &BTreeSet<String>) -> Vec<String> {
        self.retain_if(|node, _| known.contains(node))
    }

    /// Forgets what is not to be kept, and names it.
    pub fn retain_if(&self, keep: impl Fn(&str, &Entry) -> bool) -> Vec<String> {
        let mut memory = self.memory.lock();
        let gone: Vec<_> = memory
            .states
            .extract_if(.., |node, entry| !keep(node, entry))
            .map(|(n, _)| n)
            .collect();
        if !gone.is_empty() {
            memory.changed();
        }
        gone
    }

    /// Whether there is something that the file does not have.
    pub fn dirty(&self) -> bool {
        let memory = self.memory.lock();
        memory.revision != memory.saved
    }

    /// Writes the file, if it is behind. Blocks for as long as the disk does; the store can be used
    /// meanwhile.
    ///
    /// # Errors
    /// The file has what it had, and the store stays dirty.
    pub fn flush(&self) -> Result<(), Error> {
        let _writing = self.writing.lock();
        let (states, revision) = {
            let memory = self.memory.lock();
            if memory.revision == memory.saved {
                return Ok(());
            }
            (memory.states.clone(), memory.revision)
        };
        let written = file::save(&self.path, states);
        let mut memory = self.memory.lock();
        memory.failing = written.is_err();
        if written.is_ok() {
            memory.saved = revision;
        }
        written
    }

    /// [`flush`](Self::flush) where nobody waits for the disk; why it was not possible.
    pub async fn flushed(self: Arc<Self>) -> Option<Failed> {
        let written = tokio::task::spawn_blocking(move || {
            self.flush().map_err(|error| {
                tracing::error!(%error, "node states hold, but would not survive a restart");
                self.failed(&error)
            })
        });
        // A panic of the disk's side is told by the log, and by the store that stays dirty.
        written.await.ok()?.err()
    }

    /// Whether the last attempt to write the file failed: for a moment it is behind after each change,
    /// which is no failure.
    pub fn failing(&self) -> bool {
        self.memory.lock().failing
    }

    /// An error of [`flush`](Self::flush) as an operator is told of it.
    pub fn failed(&self, error: &Error) -> Failed {
        error.failed(&self.path)
    }
}

#[cfg(test)]
mod tests;
