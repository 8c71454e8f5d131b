//! What the resolvers of the site file choose among, and what has to be asked to know how that is. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{
    AddressCheck, Config, Geoip, Multifo, Plugin, Targets, Weighted, WeightedMember, WeightedTarget,
};
use dns::Name;
use dns::resolve::{
    self, Database, Failover, Geo, Map, Member, Multi, Plan, Resolver, Sites, Wanted,
};
use health::Check;

/// A check of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Aim {
    /// Of which.
    pub(super) address: IpAddr,
    /// What is asked; nothing is of an address that is always up, unless somebody says otherwise.
    pub(super) check: Option<(Arc<Check>, u16)>,
}

impl Aim {
    /// What operators call it: `198.51.100.1/http`.
    pub(super) fn name(&self) -> String {
        let check = self.check.as_ref().map_or("up", |(check, _)| check.kind.name());
        format!("{}/{check}", self.address)
    }
}

impl Aim {
    /// Whether it is one of a resolver's.
    pub(super) fn is_of(&self, resolver: &config::Resolver) -> bool {
        let checks = match &resolver.plugin {
            Plugin::Multifo(multifo) => &multifo.targets.checks,
            Plugin::Simplefo(targets) => &targets.checks,
            Plugin::Weighted(weighted) => &weighted.checks,
            Plugin::Metafo(_)
            | Plugin::Geoip(_)
            | Plugin::Static(_)
            | Plugin::Reflect(_)
            | Plugin::Null => return false,
        };
        match &self.check {
            None => checks.is_empty(),
            Some((check, port)) => {
                checks.iter().any(|one| one.check == **check && one.port == *port)
            }
        }
    }
}

/// Resolvers, and the checks that they refer to by their places.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// In the order of [`Config::resolvers`].
    pub(super) resolvers: Vec<Resolver>,
    /// Each once.
    pub(super) aims: Vec<Aim>,
}

impl Choice {
    /// What the site file says, with what the files have that it names: a path leads to where one lies.
    ///
    /// # Errors
    /// Every database that cannot be used.
    pub(super) fn of(
        config: &Config,
        lies: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, Vec<String>> {
        let mut aims = Aims::default();
        let maps = maps(config, lies)?;
        let all = config.resolvers.iter().enumerate();
        let resolvers = all.map(|(place, one)| match (&one.plugin, maps.get(&place)) {
            (Plugin::Geoip(geoip), Some(map)) => Resolver::Geo(Geo {
                datacenters: geoip.datacenters.iter().map(|one| one.resolver).collect(),
                map: map.clone(),
                ignores_ecs: geoip.ignore_ecs,
                skip_first: false,
            }),
            (plugin, _) => resolver(plugin, &mut aims),
        });
        let resolvers = resolvers.collect();
        Ok(Self { resolvers, aims: aims.all })
    }
}

/// The maps of resolvers by place, by the resolvers' places. Each database is read once.
fn maps(
    config: &Config,
    lies: impl Fn(&Path) -> PathBuf,
) -> Result<HashMap<usize, Arc<Map>>, Vec<String>> {
    let (mut databases, mut maps, mut wrong) = (HashMap::new(), HashMap::new(), Vec::new());
    for (place, one) in config.resolvers.iter().enumerate() {
        let Plugin::Geoip(geoip) = &one.plugin else { continue };
        let database = geoip.database.as_deref().map(&lies).map(|path| {
            let loaded = databases.entry(path.clone()).or_insert_with(|| {
                Database::load(&path)
                    .map(Arc::new)
                    .map_err(|error| format!("{}: {error}", path.display()))
            });
            loaded.clone()
        });
        let map = database.transpose().and_then(|database| {
            let map = Map::new(&plan(geoip), database);
            map.map_err(|error| format!("resolver {}: {error}", one.name))
        });
        match map {
            Ok(map) => drop(maps.insert(place, Arc::new(map))),
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() { Ok(maps) } else { Err(wrong) }
}

/// What the site file says of the earth.
fn plan(geoip: &Geoip) -> Plan {
    let degrees = |millionths: i32| f64::from(millionths) / 1e6;
    let coordinates = geoip.coordinates.iter().map(|&(at, on)| Some((degrees(at), degrees(on))));
    let these = |list: &Vec<usize>| Wanted::These(list.clone());
    Plan {
        nets: geoip
            .nets
            .iter()
            .map(|(net, list)| (net.address(), net.length(), list.clone()))
            .collect(),
        places: geoip.places.iter().map(|(name, list)| (name.clone(), these(list))).collect(),
        elsewhere: match geoip.coordinates.is_empty() {
            true => these(&geoip.default),
            false => Wanted::Nearest,
        },
        unknown: geoip.default.clone(),
        coordinates: coordinates.collect(),
        nearest: geoip.nearest.map(usize::from).and_then(NonZeroUsize::new),
    }
}

/// Checks, each once.
#[derive(Default)]
struct Aims {
    all: Vec<Aim>,
    places: HashMap<Aim, usize>,
}

impl Aims {
    fn place(&mut self, aim: Aim) -> usize {
        *self.places.entry(aim).or_insert_with_key(|aim| {
            self.all.push(aim.clone());
            self.all.len() - 1
        })
    }

    /// The checks of an address, by their places.
    fn of(&mut self, address: IpAddr, checks: &[AddressCheck]) -> Vec<usize> {
        if checks.is_empty() {
            return vec![self.place(Aim { address, check: None })];
        }
        let one = |AddressCheck { check, port }: &AddressCheck| {
            self.place(Aim { address, check: Some((Arc::new(check.clone()), *port)) })
        };
        checks.iter().map(one).collect()
    }
}

fn resolver(plugin: &Plugin, aims: &mut Aims) -> Resolver {
    match plugin {
        Plugin::Multifo(multifo) => {
            let (v4, v6) = members(&multifo.targets, aims);
            Resolver::Multi(multi(multifo, v4), multi(multifo, v6))
        }
        Plugin::Simplefo(targets) => {
            let (v4, v6) = members(targets, aims);
            Resolver::Failover(failover(v4), failover(v6))
        }
        Plugin::Weighted(weighted) => self::weighted(weighted, aims),
        Plugin::Metafo(metafo) => Resolver::Sites(Sites {
            order: metafo.datacenters.iter().map(|one| one.resolver).collect(),
            skip_first: metafo.skip_first,
        }),
        Plugin::Static(addresses) => Resolver::Fixed(addresses.clone()),
        Plugin::Reflect(reflect) => Resolver::Reflect(*reflect),
        // Those by place are made where their maps are.
        Plugin::Geoip(_) | Plugin::Null => Resolver::Fixed(Vec::new()),
    }
}

type Members<A> = Vec<Member<A>>;

fn multi<A>(multifo: &Multifo, members: Members<A>) -> Multi<A> {
    let Multifo { targets: _, up_thresh, too_few, ignore_health, answers, sticky } = multifo;
    Multi {
        members,
        enough: up_thresh.part(),
        few: *too_few,
        ignores_health: *ignore_health,
        most: answers.map(usize::from).and_then(NonZeroUsize::new),
        sticky: *sticky,
    }
}

fn members(targets: &Targets, aims: &mut Aims) -> (Members<Ipv4Addr>, Members<Ipv6Addr>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for &address in &targets.addresses {
        let checks = aims.of(address, &targets.checks);
        match address {
            IpAddr::V4(address) => v4.push(Member { address, checks }),
            IpAddr::V6(address) => v6.push(Member { address, checks }),
        }
    }
    (v4, v6)
}

/// The first, and the second, which is the first if there is no other.
fn failover<A: Copy>(members: Members<A>) -> Option<Failover<A>> {
    let mut members = members.into_iter();
    let primary = members.next()?;
    let secondary = members.next().unwrap_or_else(|| primary.clone());
    Some(Failover { primary, secondary })
}

/// Members of the same group, and each without one alone, in the order of the file.
fn weighted(weighted: &Weighted, aims: &mut Aims) -> Resolver {
    let mut families = Families::default();
    for WeightedMember { target, weight, group } in &weighted.members {
        let group = group.as_deref();
        match target {
            WeightedTarget::Address(address) => {
                let checks = aims.of(*address, &weighted.checks);
                match *address {
                    IpAddr::V4(address) => {
                        families.v4.add(Member { address, checks }, *weight, group)
                    }
                    IpAddr::V6(address) => {
                        families.v6.add(Member { address, checks }, *weight, group)
                    }
                }
            }
            WeightedTarget::Name(name) => {
                // The site file has looked at it.
                let Ok(address) = Name::parse(name.as_bytes(), Some(&Name::root())) else {
                    continue;
                };
                families.names.add(Member { address, checks: Vec::new() }, *weight, group);
            }
        }
    }
    let Families { v4, v6, names } = families;
    if names.groups.is_empty() {
        Resolver::Weighted(v4.finish(weighted), v6.finish(weighted))
    } else {
        Resolver::Aliases(names.finish(weighted))
    }
}

#[derive(Default)]
struct Families {
    v4: Groups<Ipv4Addr>,
    v6: Groups<Ipv6Addr>,
    names: Groups<Name>,
}

struct Groups<A> {
    groups: Vec<Vec<(Member<A>, u32)>>,
    names: Vec<Option<String>>,
}

impl<A> Default for Groups<A> {
    fn default() -> Self {
        Self { groups: Vec::new(), names: Vec::new() }
    }
}

impl<A> Groups<A> {
    fn add(&mut self, member: Member<A>, weight: u32, group: Option<&str>) {
        let found = group
            .and_then(|group| self.names.iter().position(|name| name.as_deref() == Some(group)));
        match found {
            Some(place) => self.groups[place].push((member, weight)),
            None => {
                self.groups.push(vec![(member, weight)]);
                self.names.push(group.map(str::to_owned));
            }
        }
    }

    fn finish(self, weighted: &Weighted) -> resolve::Weighted<A> {
        let Weighted { members: _, multi, up_thresh, too_few, checks: _, answers, sticky } =
            weighted;
        resolve::Weighted {
            groups: self.groups,
            multi: *multi,
            enough: up_thresh.part(),
            few: *too_few,
            most: answers.map(usize::from).and_then(NonZeroUsize::new),
            sticky: *sticky,
        }
    }
}
