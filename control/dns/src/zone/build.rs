//! From the records of files to a zone, and what must not stand beside what.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::master::{Data, Item};
use super::problem::{Place, Problem, Why};
use super::{Dynamic, Loaded, Node, RrSet, Standing, Zone};
use crate::name::{Name, suffixes};
use crate::rtype::Rtype;

/// Collects the records of a zone.
pub(super) struct Builder<'r> {
    apex: Name,
    resolver: &'r dyn Fn(&str, &str) -> Option<usize>,
    nodes: HashMap<Box<[u8]>, Draft, ahash::RandomState>,
    /// Names within the zone that others name as servers.
    servers: Vec<(Place, Name)>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// A name's records, and where the first of them stands.
struct Draft {
    node: Node,
    place: Place,
}

impl<'r> Builder<'r> {
    pub(super) fn new(apex: &Name, resolver: &'r dyn Fn(&str, &str) -> Option<usize>) -> Self {
        let (nodes, servers, problems, warnings) = Default::default();
        Self { apex: apex.clone(), resolver, nodes, servers, problems, warnings }
    }

    /// Adds a record; what is wrong with it is noted.
    pub(super) fn add(&mut self, item: Item) {
        let place = item.place.clone();
        if let Err(why) = self.try_add(item) {
            self.problems.push(Problem { place, why });
        }
    }

    fn try_add(&mut self, item: Item) -> Result<(), Why> {
        let Item { place, owner, ttl, data } = item;
        let node = match self.nodes.entry(owner.wire().into()) {
            Entry::Occupied(there) => &mut there.into_mut().node,
            Entry::Vacant(free) => {
                &mut free.insert(Draft { node: Node::default(), place: place.clone() }).node
            }
        };
        match data {
            Data::Static(rtype, rdata) => {
                stands_alone(node, &owner, rtype)?;
                if rtype == Rtype::SOA && owner != self.apex {
                    return Err(Why::Soa);
                }
                if rtype == Rtype::NS && owner.wire().starts_with(b"\x01*") {
                    return Err(Why::WildcardNs(owner));
                }
                if rtype == Rtype::NS
                    && let Some((server, _)) = Name::read(&rdata)
                    && server.is_within(&self.apex)
                {
                    self.servers.push((place.clone(), server));
                }
                let warning = add(node, &owner, rtype, ttl, &rdata)?;
                self.warnings.extend(warning.map(|why| Problem { place, why }));
            }
            Data::Dynamic { plugin, resource, least, may_alias } => {
                if node.dynamic.is_some() {
                    return Err(Why::Twice(owner, "DYNA or DYNC"));
                }
                if may_alias && owner == self.apex {
                    return Err(Why::DyncAtApex);
                }
                if may_alias && !node.sets.is_empty() {
                    return Err(Why::Beside(owner, "DYNC"));
                }
                if node.set(Rtype::CNAME).is_some() {
                    return Err(Why::Beside(owner, "CNAME"));
                }
                if node.sets.iter().any(|set| set.rtype().is_address()) {
                    return Err(Why::Addresses(owner));
                }
                let resolver = (self.resolver)(&plugin, &resource)
                    .ok_or_else(|| Why::NoResolver(shown(&plugin, &resource)))?;
                node.dynamic = Some(Dynamic { resolver, most: ttl, least, may_alias });
            }
        }
        Ok(())
    }

    /// The zone, if nothing is wrong with it.
    pub(super) fn finish(
        mut self,
        path: &Path,
        problems: Vec<Problem>,
    ) -> Result<Loaded, Vec<Problem>> {
        self.problems.extend(problems);
        self.check_apex(path);
        self.cut();
        self.check_servers();
        if !self.problems.is_empty() {
            self.problems.sort_by(|one, other| one.place.cmp(&other.place));
            return Err(self.problems);
        }
        let Self { apex, nodes, mut warnings, .. } = self;
        let mut zone = Zone {
            apex,
            nodes: nodes.into_iter().map(|(name, draft)| (name, draft.node)).collect(),
            tally: Arc::default(),
        };
        zone.fill_in();
        warnings.sort_by(|one, other| one.place.cmp(&other.place));
        Ok(Loaded { zone, warnings })
    }

    fn check_apex(&mut self, path: &Path) {
        let place = Place { file: Arc::new(path.to_owned()), line: 0 };
        let apex = self.nodes.get_mut(self.apex.wire()).map(|draft| &mut draft.node);
        let (mut has_soa, mut has_ns) = (false, false);
        for set in apex.into_iter().flat_map(|apex| &mut apex.sets) {
            has_ns |= set.rtype() == Rtype::NS;
            if set.rtype() == Rtype::SOA {
                has_soa = true;
                let minimum = set.iter().next().and_then(|soa| soa.last_chunk()).copied();
                // It says how long there is nothing, and lives no longer itself (RFC 2308 section 5).
                set.limit_ttl(minimum.map_or(0, u32::from_be_bytes));
            }
        }
        if !has_soa {
            let why = Why::NoSoa(self.apex.clone());
            self.problems.push(Problem { place: place.clone(), why });
        }
        if !has_ns {
            self.problems.push(Problem { place, why: Why::NoNs(self.apex.clone()) });
        }
    }

    /// Marks where other zones begin, and what is within them.
    fn cut(&mut self) {
        let has_ns = |draft: &Draft| draft.node.set(Rtype::NS).is_some();
        let cuts =
            self.nodes.iter().filter(|(name, draft)| ***name != *self.apex.wire() && has_ns(draft));
        let cuts: Vec<Name> = cuts.filter_map(|(name, _)| Some(Name::read(name)?.0)).collect();
        if cuts.is_empty() {
            return;
        }
        for cut in &cuts {
            if let Some(draft) = self.nodes.get_mut(cut.wire()) {
                draft.node.standing = Standing::Cut;
            }
        }
        let is_cut = |name: &[u8]| {
            self.nodes.get(name).is_some_and(|draft| draft.node.standing == Standing::Cut)
        };
        let mut below = Vec::new();
        for (name, draft) in &self.nodes {
            let Some(cut) = suffixes(name).skip(1).find(|suffix| is_cut(suffix)) else { continue };
            below.push(name.clone());
            let is_address = |set: &RrSet| set.rtype().is_address();
            if !draft.node.sets.iter().all(is_address) || draft.node.dynamic.is_some() {
                let names = Name::read(name).zip(Name::read(cut));
                if let Some(((name, _), (cut, _))) = names {
                    let why = Why::Occluded(name, cut);
                    self.problems.push(Problem { place: draft.place.clone(), why });
                }
            }
        }
        for name in below {
            if let Some(draft) = self.nodes.get_mut(&name) {
                draft.node.standing = Standing::Below;
            }
        }
    }

    /// The records that a name takes that is not there.
    fn wildcard(&self, name: &Name) -> Option<&Node> {
        let encloser = suffixes(name.wire()).skip(1).find(|one| self.has_below(one))?;
        let wildcard = [b"\x01*", encloser].concat();
        self.nodes.get(&*wildcard).map(|draft| &draft.node)
    }

    /// Whether there is such a name, or one below it.
    fn has_below(&self, name: &[u8]) -> bool {
        self.nodes.contains_key(name)
            || self.nodes.keys().any(|one| suffixes(one).any(|suffix| suffix == name))
    }

    /// Servers within the zone have addresses there: nobody else could say which.
    fn check_servers(&mut self) {
        for (place, server) in std::mem::take(&mut self.servers) {
            let exact = self.nodes.get(server.wire()).map(|draft| &draft.node);
            let node = exact.or_else(|| self.wildcard(&server));
            let has_address = |node: &Node| node.sets.iter().any(|set| set.rtype().is_address());
            if !node.is_some_and(has_address) {
                self.problems.push(Problem { place, why: Why::NoGlue(server) });
            }
        }
    }
}

/// A resolver as zone files name it.
fn shown(plugin: &str, resource: &str) -> String {
    if resource.is_empty() { plugin.to_owned() } else { format!("{plugin}!{resource}") }
}

/// Whether a record of this type may come to those that there are.
fn stands_alone(node: &Node, owner: &Name, rtype: Rtype) -> Result<(), Why> {
    if let Some(dynamic) = &node.dynamic {
        if dynamic.may_alias {
            return Err(Why::Beside(owner.clone(), "DYNC"));
        }
        if rtype.is_address() {
            return Err(Why::Addresses(owner.clone()));
        }
    }
    let is_alias = |rtype| rtype == Rtype::CNAME;
    let others = node.sets.iter().any(|set| is_alias(set.rtype()) != is_alias(rtype));
    if others || (is_alias(rtype) && node.dynamic.is_some()) {
        return Err(Why::Beside(owner.clone(), "CNAME"));
    }
    Ok(())
}

/// Adds a record; what looks odd about it.
fn add(
    node: &mut Node,
    owner: &Name,
    rtype: Rtype,
    ttl: u32,
    rdata: &[u8],
) -> Result<Option<Why>, Why> {
    let set = match node.sets.iter_mut().position(|set| set.rtype() == rtype) {
        Some(place) => &mut node.sets[place],
        None => {
            node.sets.reserve_exact(1);
            node.sets.push_mut(RrSet::new(rtype, ttl))
        }
    };
    if set.iter().any(|there| there == rdata) {
        return Ok(Some(Why::Same(owner.clone(), rtype)));
    }
    match rtype {
        Rtype::SOA if set.count() > 0 => return Err(Why::Soa),
        Rtype::CNAME if set.count() > 0 => return Err(Why::Twice(owner.clone(), "CNAME")),
        Rtype::DNAME if set.count() > 0 => return Err(Why::Twice(owner.clone(), "DNAME")),
        _ => {}
    }
    if !set.push(rdata) {
        return Err(Why::Large(owner.clone(), rtype));
    }
    Ok((set.ttl() != ttl).then(|| Why::Ttls(owner.clone(), rtype, set.ttl())))
}

impl Zone {
    /// Names that have others below them exist, though they have no records (RFC 4592 section 2.2.2).
    fn fill_in(&mut self) {
        let apex = self.apex.wire().len();
        let mut missing: Vec<(Box<[u8]>, Standing)> = Vec::new();
        for (name, node) in &self.nodes {
            for suffix in suffixes(name).skip(1).take_while(|suffix| suffix.len() > apex) {
                match self.nodes.get(suffix) {
                    // And everything above it does.
                    Some(_) => break,
                    None => missing.push((suffix.into(), node.standing)),
                }
            }
        }
        for (name, standing) in missing {
            // Below a cut there is nothing of ours, wherever it stands.
            let standing = if standing == Standing::Below { standing } else { Standing::Ours };
            self.nodes.entry(name).or_insert(Node { standing, ..Node::default() });
        }
        self.nodes.shrink_to_fit();
    }
}
