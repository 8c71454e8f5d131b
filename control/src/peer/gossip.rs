//! Asking every other node in turns, and telling them all at once what an operator typed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin::{Entry, Failed, PeerReply, PeerRequest, PeerStatus};
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio::time::sleep;

use super::client::{PeerError, ask};
use super::{Counter, Counters, Directory, Identity, Node, Peer, Reach, not_carried};

/// In how many rounds an L7 node is asked once: it has nothing to tell, and hears of changes at once.
const L7_ROUNDS: u64 = 5;

/// How often and how patiently nodes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time between two questions to one node, give or take a quarter of it.
    pub every: Duration,
    /// Time for an answer.
    pub deadline: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { every: Duration::from_secs(2), deadline: Duration::from_secs(2) }
    }
}

/// What is known of another node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What it last said, and when.
    pub status: Option<(Arc<PeerStatus>, Instant)>,
    /// Why it did not answer the last question; absent if it did.
    pub error: Option<String>,
}

/// The asking side of a node.
#[derive(Debug)]
pub struct Gossip<N> {
    identity: Arc<Identity>,
    directory: watch::Receiver<Arc<Directory>>,
    node: Arc<N>,
    counters: Arc<Counters>,
    pace: Pace,
    heard: watch::Sender<BTreeMap<String, Heard>>,
}

impl<N: Node> Gossip<N> {
    /// One that has asked nobody yet; [`run`](Self::run) does.
    pub fn new(
        identity: Arc<Identity>,
        directory: watch::Receiver<Arc<Directory>>,
        node: Arc<N>,
        counters: Arc<Counters>,
        pace: Pace,
    ) -> Arc<Self> {
        let heard = watch::Sender::new(BTreeMap::new());
        Arc::new(Self { identity, directory, node, counters, pace, heard })
    }

    /// What is known of each other node of the site; changes with each answer. A node that is
    /// absent was not asked yet.
    pub fn heard(&self) -> watch::Receiver<BTreeMap<String, Heard>> {
        self.heard.subscribe()
    }

    /// Asks them all, again and again. Ends never: drop it to stop.
    pub async fn run(self: Arc<Self>) {
        let mut asking = JoinSet::new();
        // A node that takes longer than a round is not asked a second time meanwhile.
        let mut busy: HashMap<task::Id, String> = HashMap::new();
        for round in 0_u64.. {
            let directory = Arc::clone(&self.directory.borrow());
            self.forget_strangers(&directory);
            let due = |peer: &&Peer| peer.is_believed() || round.is_multiple_of(L7_ROUNDS);
            for peer in directory.peers.iter().filter(due) {
                if busy.values().any(|name| *name == peer.name) {
                    continue;
                }
                let (gossip, peer, name) = (Arc::clone(&self), peer.clone(), peer.name.clone());
                let task = asking.spawn(async move { gossip.tell(&peer).await.map(drop) });
                busy.insert(task.id(), name);
            }
            let pause = sleep(jittered(self.pace.every, RandomState::new().hash_one(0)));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    // What came of it was noted by the task itself, if it could.
                    Some(ended) = asking.join_next_with_id() => match ended {
                        Ok((task, _)) => _ = busy.remove(&task),
                        Err(error) => {
                            let name = busy.remove(&error.id());
                            self.failed(&name.expect("each task was named when it was spawned"));
                        }
                    },
                }
            }
        }
    }

    /// Brings what this node knows of `subject` to all others now, and names those that should have
    /// it and do not. Takes no longer than one question.
    pub async fn spread(self: &Arc<Self>, subject: &str, reach: Reach) -> Vec<Failed> {
        let directory = Arc::clone(&self.directory.borrow());
        let sent = self.node.status().states.get(subject).cloned();
        let mut telling = JoinSet::new();
        let mut named = HashMap::new();
        for peer in directory.peers.clone() {
            let (gossip, name) = (Arc::clone(self), peer.name.clone());
            let task = telling.spawn(async move { gossip.tell(&peer).await });
            named.insert(task.id(), name);
        }

        let mut outcomes = BTreeMap::new();
        while let Some(ended) = telling.join_next_with_id().await {
            let (task, outcome) = match ended {
                Ok((task, Ok(status))) => (task, accepted(&status, subject, sent.as_ref())),
                Ok((task, Err(error))) => (task, Err(error.to_string())),
                Err(error) => (error.id(), Err(FAILED_HERE.to_owned())),
            };
            let name = named.remove(&task).expect("each task was named when it was spawned");
            if outcome.as_ref().is_err_and(|reason| reason == FAILED_HERE) {
                self.failed(&name);
            }
            outcomes.insert(name, outcome);
        }
        // L7 nodes need not run control, unless it is theirs to act.
        outcomes.retain(|name, _| reach == Reach::L7 || directory.is_believed(name));
        not_carried(subject, reach, &directory.node, &outcomes)
    }

    /// Exchanges with one node all that both know.
    async fn tell(&self, peer: &Peer) -> Result<Arc<PeerStatus>, PeerError> {
        let PeerStatus { states, tables, tables_fingerprint, .. } = self.node.status();
        let version = admin::VERSION;
        let request = PeerRequest::Hello { version, states, tables: tables_fingerprint.clone() };
        let answer: Result<Arc<PeerStatus>, _> =
            match ask(&self.identity, peer, &request, self.pace.deadline).await {
                Ok(PeerReply::Hello(mut status)) => {
                    if status.tables.is_none() && status.tables_fingerprint == tables_fingerprint {
                        status.tables = tables;
                    }
                    Ok(Arc::from(status))
                }
                Ok(PeerReply::Error(reason)) => Err(PeerError::Refused(reason)),
                Err(error) => Err(error),
            };
        if let (Ok(status), true) = (&answer, peer.is_believed()) {
            self.node.learn(&peer.name, &status.states);
        }
        self.note(&peer.name, answer.as_ref());
        answer
    }

    fn note(&self, peer: &str, answer: Result<&Arc<PeerStatus>, &PeerError>) {
        // It may have left the site while it was asked.
        if self.directory.borrow().peer(peer).is_none() {
            return;
        }
        self.heard.send_modify(|heard| {
            let heard = heard.entry(peer.to_owned()).or_default();
            match answer {
                Ok(status) => {
                    heard.status = Some((Arc::clone(status), Instant::now()));
                    heard.error = None;
                }
                Err(error) => heard.error = Some(error.to_string()),
            }
        });
    }

    /// A question ended in a panic.
    fn failed(&self, peer: &str) {
        self.counters.count(Counter::Panics);
        tracing::error!(peer, "a question to a peer has panicked");
        self.heard.send_modify(|heard| {
            heard.entry(peer.to_owned()).or_default().error = Some(FAILED_HERE.to_owned());
        });
    }

    fn forget_strangers(&self, directory: &Directory) {
        self.heard.send_if_modified(|heard| {
            let before = heard.len();
            heard.retain(|name, _| directory.peer(name).is_some());
            heard.len() != before
        });
    }
}

/// What an operator is told of a panic; the log has the rest.
const FAILED_HERE: &str = "this node failed at the question to it (see its log)";

/// Whether a node that answered has what it was told, or something newer.
fn accepted(status: &PeerStatus, subject: &str, sent: Option<&Entry>) -> Result<(), String> {
    if status.states.get(subject) >= sent {
        return Ok(());
    }
    Err("does not accept it: its site file has no such node, or a clock is wrong".to_owned())
}

/// A time that is up to a quarter off, so that the nodes of a site do not all ask at once.
fn jittered(every: Duration, random: u64) -> Duration {
    let part = (random >> 32) as f64 / f64::from(u32::MAX);
    every.mul_f64(0.75 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use health::Admin;

    use super::*;

    #[test]
    fn questions_come_a_quarter_early_at_most_and_a_quarter_late() {
        let every = Duration::from_secs(2);
        assert_eq!(jittered(every, 0), Duration::from_millis(1500));
        assert_eq!(jittered(every, u64::MAX), Duration::from_millis(2500));
        let middle = jittered(every, u64::MAX / 2);
        assert!(middle > Duration::from_millis(1999) && middle < Duration::from_millis(2001));
    }

    #[test]
    fn a_state_has_arrived_when_the_answer_holds_it_or_a_newer_one() {
        let entry = |version| Entry {
            version,
            at_ms: 0,
            state: Admin::Drain,
            by: String::new(),
            weight: None,
            said: None,
        };
        let holds = |held: Option<u64>| PeerStatus {
            states: held.map(|version| ("l7-1".to_owned(), entry(version))).into_iter().collect(),
            ..PeerStatus::default()
        };
        let arrived = |held| accepted(&holds(held), "l7-1", Some(&entry(2))).is_ok();
        assert!(!arrived(None));
        assert!(!arrived(Some(1)));
        assert!(arrived(Some(2)));
        assert!(arrived(Some(3)));
        assert!(accepted(&holds(None), "l7-1", None).is_ok());
    }
}
