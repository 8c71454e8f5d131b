//! The site file: text becomes a [`Config`], or a list of everything that is wrong with it.
//!
//! Every node of a site reads the same text and finds its own name in it. Whoever holds a [`Config`]
//! trusts it: names are unique, wildcards are resolved, indexes are there, numbers are in range, and
//! the forwarder accepts what is made of it.
//!
//! The way of a text, front to back: [`SiteFile::read`] (`file.rs`) -> [`Config::parse`]
//! (`document.rs`) -> one reader per table (`site.rs`, `l4.rs`, `l7.rs`, `router.rs`, `service.rs`,
//! `bgp.rs`, `check.rs`), each of which takes keys out of a table reader (`table.rs`) -> what only the whole can tell
//! (`whole.rs`) -> [`Config`] (`settings.rs`), or [`Problems`] in the order of the text.

mod address;
mod assign;
mod bgp;
mod check;
mod diff;
mod dns;
mod document;
mod duration;
mod edge;
mod file;
mod frontend;
mod l4;
mod l7;
mod list;
mod members;
mod name;
mod nics;
mod place;
mod pool;
mod problem;
mod proxy;
mod resolver;
mod router;
mod secret;
mod server;
mod service;
mod settings;
mod site;
mod suggest;
mod table;
mod tls;
mod value;
mod whole;
mod wildcard;
mod zone;
mod zones;

pub use assign::{Assigned, assign};
pub use diff::{Running, breaking, restart_needed};
pub use edge::EdgeAcl;
pub use file::{ReadError, SiteFile};
pub use nics::dataplane_flags;
pub use problem::{Problem, Problems};
pub use secret::{HostSecrets, SecretError, Secrets};
pub use settings::{
    Address, AddressCheck, Announcement, Bfd, Bgp, Config, Datacenter, Dns, DnsTls, Family,
    Frontend, Geoip, Hook, Host, L4, L7, Member, Metafo, Multifo, Nics, Password, Peer, Peering,
    Plugin, Pool, PoolCheck, Proxy, QuorumLoss, Reload, Resolver, Router, Server, Service,
    ServiceCheck, Session, Share, Site, Targets, Times, Tunnel, Weighted, WeightedMember,
    WeightedTarget, Zone,
};
