use crate::path::Path;
use crate::sources::Sources;
use crate::validate::MAX_NODE;

/// The way to every L7 node, for packets of either family.
#[derive(Debug)]
pub struct Paths {
    paths: Box<[Option<Path>; Self::LEN]>,
    sources: Sources,
}

impl Paths {
    const LEN: usize = 2 * (MAX_NODE as usize + 1);

    /// Asks `path` for each node index and family of the inner packet (`true`: IPv6). `None` where
    /// there is no way.
    pub fn new(mut path: impl FnMut(u16, bool) -> Option<Path>) -> Self {
        let families = |node| [(node, false), (node, true)];
        let paths = (0..=MAX_NODE).flat_map(families).map(|(node, ipv6)| path(node, ipv6));
        let paths: Box<[_]> = paths.collect();
        let paths = paths.try_into().expect("as many as nodes and families");
        Self { paths, sources: Sources::default() }
    }

    /// The same ways with outer sources out of these prefixes, another for each flow. See
    /// [`api::Snapshot::tunnel_sources`].
    pub fn with_sources(self, prefixes: &[api::Prefix]) -> Self {
        Self { sources: Sources::new(prefixes), ..self }
    }

    /// The outer sources, if they differ from flow to flow.
    #[inline]
    pub(crate) fn sources(&self) -> Option<&Sources> {
        Some(&self.sources).filter(|sources| sources.any())
    }

    /// The way of an inner packet to the node.
    #[inline(always)]
    pub fn get(&self, node: u16, ipv6: bool) -> Option<&Path> {
        self.paths.get(usize::from(node) * 2 + usize::from(ipv6))?.as_ref()
    }
}
