//! A zone: what is known of the names below its apex, and how a name is looked up (RFC 1034 section 4.3.2,
//! RFC 4592).

mod build;
mod lex;
mod master;
mod origin;
mod problem;
mod rdata;
mod set;
mod tally;
mod ttl;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;

use self::build::Builder;
pub use self::problem::{Place, Problem, Why};
pub use self::set::RrSet;
use self::tally::Tally;
pub use self::ttl::LONGEST_TTL;
use crate::message::Rcode;
use crate::name::{LONGEST_NAME, Name, suffixes};
use crate::rtype::Rtype;

/// A zone that can be served.
pub struct Zone {
    apex: Name,
    /// By names as they go over the wire. Those that only have others below them are there, too.
    nodes: HashMap<Box<[u8]>, Node, ahash::RandomState>,
    tally: Arc<Tally>,
}

/// Too long to be told.
impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zone").field("apex", &self.apex).finish_non_exhaustive()
    }
}

/// A name's records.
#[derive(Debug, Default)]
pub struct Node {
    sets: Vec<RrSet>,
    dynamic: Option<Dynamic>,
    standing: Standing,
}

/// Where a name stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// We are to be asked about it.
    #[default]
    Ours,
    /// Another zone begins here, of other servers.
    Cut,
    /// Within such a zone: addresses of its servers.
    Below,
}

/// Records that a resolver gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// Which resolver, by whoever has read the zone.
    pub resolver: usize,
    /// Seconds that they live at most.
    pub most: u32,
    /// At least.
    pub least: u32,
    /// They may be the name of somebody else (`DYNC`).
    pub may_alias: bool,
}

/// What a zone knows of a name.
#[derive(Clone, Copy, Debug)]
pub enum Found<'z> {
    /// Its records, or those of the wildcard that it comes under.
    Node(&'z Node),
    /// Others are to be asked: records at this suffix of the name, which begins after so many bytes.
    Referral(&'z Node, usize),
    /// There is no such name.
    Nothing,
}

/// A zone that was read, and what looks odd about it.
#[derive(Debug)]
pub struct Loaded {
    /// The zone.
    pub zone: Zone,
    /// Nothing that prevents it from being served.
    pub warnings: Vec<Problem>,
}

impl Zone {
    /// Reads a zone's file and those that it includes. `resolver` gives the number of what a dynamic record
    /// names (`PLUGIN`, `RESOURCE`), `default_ttl` the seconds that records live of which nothing else says so.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(
        apex: &Name,
        path: &Path,
        default_ttl: u32,
        resolver: &dyn Fn(&str, &str) -> Option<usize>,
    ) -> Result<Loaded, Vec<Problem>> {
        Self::load_by(apex, path, default_ttl, &|path| std::fs::read(path), resolver)
    }

    /// The same, of files that come from elsewhere.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load_by(
        apex: &Name,
        path: &Path,
        default_ttl: u32,
        reader: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
        resolver: &dyn Fn(&str, &str) -> Option<usize>,
    ) -> Result<Loaded, Vec<Problem>> {
        let load = || {
            let mut builder = Builder::new(apex, resolver);
            let mut problems = Vec::new();
            master::read(
                apex,
                path,
                default_ttl,
                reader,
                &mut |item| builder.add(item),
                &mut problems,
            );
            builder.finish(path, problems)
        };
        // The parser of data is another's: what makes it panic is refused.
        catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| {
            let place = Place { file: Arc::new(path.to_owned()), line: 0 };
            Err(vec![Problem { place, why: Why::Panic }])
        })
    }

    /// Goes on counting where another one of the same name has stopped.
    pub(crate) fn count_on(&mut self, before: &Self) {
        self.tally = before.tally.clone();
    }

    /// Counts an answer.
    pub(crate) fn count(&self, rcode: Rcode) {
        self.tally.count(rcode);
    }

    /// How many answers with this code it has given.
    pub fn answers(&self, rcode: Rcode) -> u64 {
        self.tally.read(rcode)
    }

    /// Its name.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// Names that have records.
    pub fn names(&self) -> usize {
        self.nodes.values().filter(|node| !node.is_empty()).count()
    }

    /// Its SOA record.
    ///
    /// # Panics
    /// Never: a zone without one cannot be loaded.
    pub fn soa(&self) -> &RrSet {
        let apex = self.nodes.get(self.apex.wire());
        apex.and_then(|apex| apex.set(Rtype::SOA)).expect("a zone has a SOA record")
    }

    /// The serial number of its SOA record (RFC 1035 section 3.3.13): the first of the five numbers at its end.
    pub fn serial(&self) -> u32 {
        let data = self.soa().iter().next().unwrap_or_default();
        let serial = data.len().checked_sub(20).and_then(|at| data[at..].first_chunk());
        serial.map_or(0, |serial| u32::from_be_bytes(*serial))
    }

    /// The records of a name that is within the zone, as it goes over the wire in lower case.
    pub fn node(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Whether a name is at a cut, or below one: others know it, and only its addresses are here.
    pub fn is_cut(&self, name: &[u8]) -> bool {
        self.nodes.get(name).is_some_and(|node| node.standing != Standing::Ours)
    }

    /// Looks up a name that is within the zone, as it goes over the wire in lower case. At a cut it is we who
    /// know of `DS` (RFC 4035 section 3.1.4.1).
    pub fn find(&self, name: &[u8], rtype: Rtype) -> Found<'_> {
        let exact = self.nodes.get(name);
        if let Some(node) = exact.filter(|node| node.standing == Standing::Ours) {
            return Found::Node(node);
        }
        let mut encloser = None;
        let mut cut = None;
        for suffix in suffixes(name) {
            if let Some(node) = self.nodes.get(suffix) {
                let at = name.len() - suffix.len();
                encloser = encloser.or(Some(suffix));
                if node.standing == Standing::Cut && (at > 0 || rtype != Rtype::DS) {
                    cut = Some(Found::Referral(node, at));
                }
            }
            if suffix.len() <= self.apex.wire().len() {
                break;
            }
        }
        match (cut, exact, encloser) {
            (Some(cut), _, _) => cut,
            (None, Some(node), _) => Found::Node(node),
            (None, None, Some(encloser)) => {
                self.wildcard(encloser).map_or(Found::Nothing, Found::Node)
            }
            (None, None, None) => Found::Nothing,
        }
    }

    /// What names take that are not there, and whose closest encloser this is (RFC 4592 section 3.3.1).
    fn wildcard(&self, encloser: &[u8]) -> Option<&Node> {
        let mut name = [0; LONGEST_NAME];
        let length = encloser.len() + 2;
        // Longer than a name can be it is none.
        let name = name.get_mut(..length)?;
        name[..2].copy_from_slice(b"\x01*");
        name[2..].copy_from_slice(encloser);
        self.nodes.get(&*name)
    }
}

impl Node {
    /// Its static records of this type.
    pub fn set(&self, rtype: Rtype) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.rtype() == rtype)
    }

    /// All its static records.
    pub fn sets(&self) -> &[RrSet] {
        &self.sets
    }

    /// What a resolver is asked for.
    pub fn dynamic(&self) -> Option<&Dynamic> {
        self.dynamic.as_ref()
    }

    /// Whether it only has others below it.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.dynamic.is_none()
    }
}

#[cfg(test)]
mod tests;
