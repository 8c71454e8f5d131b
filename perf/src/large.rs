//! A site of a thousand services, as a text and as what control makes of it.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use admin::{Entry, States};
use api::Snapshot;
use config::SiteFile;
use control::plan::{Before, Known, Plan, Verdict};
use control::site::Site;
use health::{Admin, State};

use crate::traffic::Random;

/// Services of the site.
pub const SERVICES: usize = 1000;
/// L7 nodes of each service.
pub const MEMBERS: usize = 100;
/// The site's L4 node.
pub const L4: &str = "l4-1";
/// An L7 node of every service: what happens to it changes all tables.
pub const EVERYWHERE: &str = "l7-1";
/// L7 nodes that services with different sets choose from.
const CHOICE: usize = 300;

/// Which L7 nodes the services have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sets {
    /// All the same ones: one Maglev table serves them all.
    One,
    /// Each service others: as many tables as services.
    Different,
}

impl Sets {
    /// The site file. A node is up while `ready` has a file of its name. Among the VIPs are those of
    /// [`Template`](crate::traffic::Template), with its ports.
    pub fn text(self, ready: &Path) -> String {
        let mut text = String::from(
            "[site]\nname = \"large\"\nhash_key = \"000102030405060708090a0b0c0d0e0f\"\n\n\
             [[l4]]\nname = \"l4-1\"\naddresses = [\"192.0.2.130\", \"2001:db8:7::82\"]\n",
        );
        self.write(&mut text, ready).expect("a String takes all");
        text
    }

    fn write(self, out: &mut String, ready: &Path) -> std::fmt::Result {
        let nodes = match self {
            Self::One => MEMBERS,
            Self::Different => CHOICE,
        };
        for node in 1..=nodes {
            let (high, low) = (node / 250, node % 250 + 1);
            writeln!(
                out,
                "\n[[l7]]\nname = \"l7-{node}\"\nindex = {node}\n\
                 addresses = [\"10.7.{high}.{low}\", \"2001:db8:7:1::{node:x}\"]"
            )?;
        }
        let mut random = Random::new();
        for service in 0..SERVICES {
            let (high, low) = (100 + service / 250, service % 250 + 1);
            let v6 = service + 1;
            writeln!(
                out,
                "\n[[service]]\nname = \"service-{service}\"\n\
                 vips = [\"198.51.{high}.{low}\", \"2001:db8::{v6:x}\"]\n\
                 protocol = \"tcp\"\nports = [80, 443]\n\
                 check.file = {{ path = \"{}/{{node}}\" }}\nnodes = {:?}",
                ready.display(),
                members(nodes, &mut random),
            )?;
        }
        Ok(())
    }

    /// Writes the site file, readable for us alone as it has a key in it, and makes every node ready.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_to(self, file: &Path, ready: &Path) -> io::Result<()> {
        fs::create_dir_all(ready)?;
        for node in 1..=CHOICE {
            fs::write(ready.join(format!("l7-{node}")), "")?;
        }
        fs::write(file, self.text(ready))?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))
    }
}

/// The first of so many nodes, and others at random until there are enough.
fn members(nodes: usize, random: &mut Random) -> Vec<String> {
    let mut numbers: Vec<_> = (2..=nodes).collect();
    for place in 0..MEMBERS - 1 {
        let other = place + random.below((numbers.len() - place) as u64) as usize;
        numbers.swap(place, other);
    }
    numbers.truncate(MEMBERS - 1);
    [1].iter().chain(&numbers).map(|node| format!("l7-{node}")).collect()
}

/// A site file that control has read, with every node up.
#[derive(Debug)]
pub struct Large {
    site: Site,
    verdicts: Vec<Verdict>,
    states: States,
}

impl Large {
    /// Reads a file of [`Sets::write_to`].
    ///
    /// # Errors
    /// It is not as it was written.
    pub fn read(file: &Path) -> io::Result<Self> {
        let site = SiteFile::read(file).map_err(io::Error::other)?;
        let site = Site::new(site, L4).map_err(io::Error::other)?;
        let up = Verdict { state: Some(State::Up), ..Verdict::NONE };
        let verdicts = vec![up; site.aim.probes.len()];
        Ok(Self { site, verdicts, states: States::new() })
    }

    /// An operator wants [`EVERYWHERE`] to drain, or no longer.
    pub fn drain(&mut self, drain: bool) {
        let state = if drain { Admin::Drain } else { Admin::Ready };
        let entry =
            Entry { version: 1, at_ms: 0, state, by: String::new(), weight: None, said: None };
        self.states.insert(EVERYWHERE.into(), entry);
    }

    /// What follows, from what was planned before.
    pub fn plan(&self, before: Option<&Plan>) -> Plan {
        let before =
            before.map_or_else(Before::nothing, |plan| Before::planned(&self.site.config, plan));
        let known = Known {
            config: &self.site.config,
            own: self.site.own(),
            aim: &self.site.aim,
            verdicts: &self.verdicts,
            states: &self.states,
            now: Duration::from_secs(1_000_000),
        };
        Plan::of(&known, &before)
    }
}

/// Bytes of the line that carries it to the dataplane.
pub fn line_length(snapshot: &Snapshot) -> usize {
    let apply = api::Apply { snapshot: snapshot.clone(), force: false };
    api::Request::Apply(Box::new(apply)).to_line().len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Sets of nodes that take new flows.
    fn sets(plan: &Plan) -> BTreeSet<Vec<u16>> {
        let up = |service: &api::Service| {
            let up = service.nodes.iter().filter(|member| member.state == api::State::Up);
            up.map(|member| member.node).collect()
        };
        plan.snapshot.services.iter().map(up).collect()
    }

    #[test]
    fn every_service_has_its_nodes_and_a_drain_concerns_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.toml");
        for (sets_of, distinct) in [(Sets::One, 1), (Sets::Different, SERVICES)] {
            sets_of.write_to(&file, &folder.path().join("ready")).unwrap();
            let mut large = Large::read(&file).unwrap();
            let plan = large.plan(None);
            assert_eq!(plan.snapshot.services.len(), SERVICES);
            let before = sets(&plan);
            assert_eq!(before.len(), distinct);
            assert!(before.iter().all(|set| set.len() == MEMBERS && set.contains(&1)));
            large.drain(true);
            let after = sets(&large.plan(Some(&plan)));
            assert!(after.iter().all(|set| set.len() == MEMBERS - 1 && !set.contains(&1)));
        }
    }
}
