//! The site's other L4 nodes: spoken with, and told how this one is.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Snapshot;
use health::Admin;

use super::Steer;
use crate::census::Connections;
use crate::peers::{Peers, Subjects};

/// What the other L4 nodes were told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) site: String,
    pub(super) planned: Option<u64>,
    pub(super) in_force: Option<u64>,
    pub(super) gate: Vec<String>,
    pub(super) connections: Connections,
}

impl Steer {
    /// Speaks with the other L4 nodes of the site file, under the certificate that is there now.
    /// Without one it goes on alone, which is an alarm; says what an operator should know.
    pub(super) fn meet_peers(&mut self) -> Option<String> {
        let said = match &self.peers {
            Some(peers) => {
                peers.follow(self.site.member());
                peers.renew().err().map(|why| format!("the certificate in use stays: {why}"))
            }
            None => {
                let (store, learned) = (self.store.clone(), self.learned.clone());
                match Peers::start(self.site.member(), store, learned, &mut BTreeMap::new()) {
                    Ok(peers) => {
                        self.peers = peers;
                        self.mute = None;
                        None
                    }
                    Err(why) => {
                        self.mute = Some(format!("no other L4 node is spoken with: {why}"));
                        self.mute.clone()
                    }
                }
            }
        };
        if let Some(said) = &said {
            tracing::error!("{said}");
        }
        said
    }

    /// Tells the other L4 nodes how this one is, if that is news: it is long.
    pub(super) fn tell_peers(&mut self) {
        let Some(peers) = &self.peers else { return };
        let generation = |snapshot: &Option<Arc<Snapshot>>| snapshot.as_ref().map(|s| s.generation);
        let news = Told {
            site: self.site.fingerprint.clone(),
            planned: self.plan.as_ref().map(|(_, plan)| plan.snapshot.generation),
            in_force: generation(&self.dataplane.in_force),
            gate: self.gate(),
            connections: self.census.last().clone(),
        };
        if self.told.as_ref() != Some(&news) {
            peers.tell(Subjects::of(&self.site.config), self.peer_status());
            self.told = Some(news);
        }
    }

    /// Counts the connections of L7 nodes while one of them is to lose them: operators of other nodes
    /// may wait for that.
    pub(super) fn count(&mut self) {
        let leaving = |(name, entry): (&String, &admin::Entry)| {
            entry.state != Admin::Ready && self.site.config.l7.iter().any(|l7| l7.name == *name)
        };
        if self.store.states().iter().any(leaving) {
            self.census.go_on(&self.socket);
        } else {
            self.census.stop();
        }
    }
}
