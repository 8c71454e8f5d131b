//! Who answers for the site's names, with what.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ::dns::limit::Rate;
use ::dns::resolve::{Few, Reflect};
use ::proxy::settings::ServerTls;
use api::Prefix;
use health::Check;

/// `[[dns]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Its name.
    pub name: String,
    /// Where it answers, by UDP and TCP; at least one. A VIP may be among them.
    pub listen: Vec<SocketAddr>,
    /// Where its peers find it: its own addresses, at most one per family.
    pub addresses: Vec<IpAddr>,
    /// How it answers over TLS (RFC 7858), if it does.
    pub tls: Option<DnsTls>,
    /// Threads that answer by UDP at each address; absent: as many as there are CPUs.
    pub workers: Option<u16>,
    /// Who it says it is (`id.server`, NSID); absent: nobody asks.
    pub id: Option<String>,
    /// What it says it runs (`version.bind`); absent: nobody asks.
    pub version: Option<String>,
    /// Bytes of a UDP answer at most.
    pub max_udp: u16,
    /// The same, to whoever has no cookie of ours.
    pub max_nocookie: u16,
    /// Answers that a network gets by UDP; absent: any number.
    pub rate_limit: Option<Rate>,
    /// Most connections at once.
    pub max_connections: u32,
    /// gdnsd's `admin_state`: a file whose forced states hold beside those that operators typed.
    pub forced: Option<PathBuf>,
}

/// DNS over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsTls {
    /// Where; at least one.
    pub listen: Vec<SocketAddr>,
    /// With what certificates.
    pub tls: ServerTls,
}

/// `[[zone]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name, without a dot at its end, as it stands in the file.
    pub name: String,
    /// Its records, in master format; not absolute: beside the site file.
    pub file: PathBuf,
    /// Seconds that records live of which neither they nor a `$TTL` says so.
    pub default_ttl: u32,
    /// What is merely odd about it is wrong, too.
    pub strict: bool,
}

/// `[[resolver]]`, or a datacenter of one that has addresses of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Its name; of a datacenter `RESOLVER/DATACENTER`.
    pub name: String,
    /// What it is, and what it gives.
    pub plugin: Plugin,
}

/// What a resolver does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// All that are up.
    Multifo(Multifo),
    /// The first of two that is up, each family for itself.
    Simplefo(Targets),
    /// Some, by their weights.
    Weighted(Weighted),
    /// The first datacenter that is up.
    Metafo(Metafo),
    /// The nearest datacenter that is up.
    Geoip(Geoip),
    /// Always these.
    Static(Vec<IpAddr>),
    /// The asker's own address.
    Reflect(Reflect),
    /// None.
    Null,
}

impl Plugin {
    /// What zones call it: `DYNA NAME!RESOURCE`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Multifo(_) => "multifo",
            Self::Simplefo(_) => "simplefo",
            Self::Weighted(_) => "weighted",
            Self::Metafo(_) => "metafo",
            Self::Geoip(_) => "geoip",
            Self::Static(_) => "static",
            Self::Reflect(_) => "reflect",
            Self::Null => "null",
        }
    }
}

/// Addresses, and how they are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// In the order of the file, each once.
    pub addresses: Vec<IpAddr>,
    /// All of them have to hold for an address to be up; none: all are.
    pub checks: Vec<AddressCheck>,
}

/// A check of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressCheck {
    /// It.
    pub check: Check,
    /// Where it goes; 0 for kinds without.
    pub port: u16,
}

/// `plugin = "multifo"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multifo {
    /// What there is to give.
    pub targets: Targets,
    /// Which share of a family has to be up.
    pub up_thresh: Share,
    /// What is given while fewer are.
    pub too_few: Few,
    /// All are given, whoever is up.
    pub ignore_health: bool,
    /// Most addresses of a family in an answer.
    pub answers: Option<u16>,
    /// A client's network gets the same ones each time.
    pub sticky: bool,
}

/// A share of a whole, in millionths: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(pub u32);

impl Share {
    /// Half of it.
    pub const HALF: Self = Self(500_000);

    /// As a part of 1.
    pub fn part(self) -> f64 {
        f64::from(self.0) / 1_000_000.0
    }
}

/// `plugin = "weighted"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// At least one; either all addresses or all names.
    pub members: Vec<WeightedMember>,
    /// As gdnsd's: of groups each is asked for one; of members without groups each is given by its share of the
    /// heaviest.
    pub multi: bool,
    /// Which share of all weight has to be up.
    pub up_thresh: Share,
    /// What is given while less is.
    pub too_few: Few,
    /// All of them have to hold for an address to be up.
    pub checks: Vec<AddressCheck>,
    /// Most addresses of a family in an answer.
    pub answers: Option<u16>,
    /// A client's network gets the same ones each time.
    pub sticky: bool,
}

/// One of [`Weighted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedMember {
    /// What is given.
    pub target: WeightedTarget,
    /// 1 to 2^20 - 1.
    pub weight: u32,
    /// The group that it is in.
    pub group: Option<String>,
}

/// What a weighted resolver gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightedTarget {
    /// An address.
    Address(IpAddr),
    /// A name, without a dot at its end; never checked.
    Name(String),
}

impl WeightedTarget {
    /// The address, if it is one.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

/// `plugin = "metafo"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metafo {
    /// In the order in which they are wanted; at least one.
    pub datacenters: Vec<Datacenter>,
    /// While none is up the second is given.
    pub skip_first: bool,
}

/// One of several sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datacenter {
    /// Its name, unique in its resolver.
    pub name: String,
    /// Place of what it gives in [`Config::resolvers`](super::Config::resolvers), before the resolver itself.
    pub resolver: usize,
}

/// `plugin = "geoip"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geoip {
    /// In the order of the file; at least one.
    pub datacenters: Vec<Datacenter>,
    /// A database in MaxMind's format, if there is one; not absolute: beside the site file.
    pub database: Option<PathBuf>,
    /// Networks whose datacenters are said here, places in `datacenters`, in the order in which they are wanted.
    pub nets: Vec<(Prefix, Vec<usize>)>,
    /// The same of places of the earth: `EU`, `EU/FR`, `NA/US/NY`, `NA/US/NY/Buffalo`.
    pub places: Vec<(String, Vec<usize>)>,
    /// Of all other clients.
    pub default: Vec<usize>,
    /// Where the datacenters are, latitude and longitude in millionths of a degree: where no place says
    /// otherwise they are wanted by their distance. As long as `datacenters`, or empty.
    pub coordinates: Vec<(i32, i32)>,
    /// So many of them at most are tried.
    pub nearest: Option<u16>,
    /// What a resolver tells of a client's network is not believed.
    pub ignore_ecs: bool,
}
