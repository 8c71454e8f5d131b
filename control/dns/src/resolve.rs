//! Resolvers: which addresses a dynamic record has now. gdnsd calls them plugins, and what they are asked for
//! resources.

mod failover;
mod health;
mod multi;
mod reflect;
mod sites;
mod weighted;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use thiserror::Error;

pub use self::failover::Failover;
pub use self::health::{Health, Member, Standing};
pub use self::multi::{Few, Multi};
pub use self::reflect::Reflect;
pub use self::sites::Sites;
use self::weighted::Random;
pub use self::weighted::Weighted;
use crate::answer::{Question, Resolve, Resolved};
use crate::name::Name;

/// Something that gives addresses.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// All that are up (`multifo`): each family for itself.
    Multi(Multi<Ipv4Addr>, Multi<Ipv6Addr>),
    /// The first that is up of two (`simplefo`): each family for itself.
    Failover(Option<Failover<Ipv4Addr>>, Option<Failover<Ipv6Addr>>),
    /// Some, by their weights (`weighted`): each family for itself.
    Weighted(Weighted<Ipv4Addr>, Weighted<Ipv6Addr>),
    /// Somebody else's name, by its weight (`weighted`, of CNAMEs).
    Aliases(Weighted<Name>),
    /// Those of the first site that is up (`metafo`).
    Sites(Sites),
    /// The asker's own (`reflect`).
    Reflect(Reflect),
    /// Always these (`static`, `null`).
    Fixed(Vec<IpAddr>),
}

/// All resolvers, and how those that they choose among are now.
#[derive(Clone, Debug, Default)]
pub struct Resolvers {
    all: Arc<[Resolver]>,
    health: Arc<Health>,
    /// Of each, as it follows from that.
    standings: Arc<[Standing]>,
}

/// A resolver asks one that is not before it: they could ask each other for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("resolver {0} asks resolver {1}, which is not before it")]
pub struct Circular(pub usize, pub usize);

impl Resolvers {
    /// These, by the numbers that zones know them by, of which each asks only those before it.
    ///
    /// # Errors
    /// One asks itself, or another that comes later.
    pub fn new(all: impl IntoIterator<Item = Resolver>, health: Health) -> Result<Self, Circular> {
        let all: Arc<[Resolver]> = all.into_iter().collect();
        for (number, resolver) in all.iter().enumerate() {
            let asked = if let Resolver::Sites(sites) = resolver { &sites.order[..] } else { &[] };
            if let Some(&later) = asked.iter().find(|&&asked| asked >= number) {
                return Err(Circular(number, later));
            }
        }
        Ok(Self { all, ..Self::default() }.with_health(health))
    }

    /// The same, with what is known now.
    #[must_use]
    pub fn with_health(&self, health: Health) -> Self {
        // Who asks others comes after them.
        let mut standings = Vec::with_capacity(self.all.len());
        for resolver in &*self.all {
            standings.push(resolver.standing(&health, &standings));
        }
        Self { all: self.all.clone(), health: Arc::new(health), standings: standings.into() }
    }

    /// Whether a resolver has what it is there for, and seconds until that may change: those who choose among
    /// resolvers ask.
    pub fn standing(&self, resolver: usize) -> Standing {
        self.standings.get(resolver).copied().unwrap_or(Standing::UNKNOWN)
    }
}

impl Resolver {
    /// How it is, by its members, or by the resolvers before it.
    fn standing(&self, health: &Health, before: &[Standing]) -> Standing {
        match self {
            Self::Multi(v4, v6) => v4.standing(health).and(v6.standing(health)),
            Self::Weighted(v4, v6) => v4.standing(health).and(v6.standing(health)),
            Self::Failover(v4, v6) => {
                let v4 = v4.as_ref().map_or(Standing::UNCHECKED, |it| it.standing(health));
                v4.and(v6.as_ref().map_or(Standing::UNCHECKED, |it| it.standing(health)))
            }
            Self::Aliases(aliases) => aliases.standing(health),
            Self::Sites(sites) => sites.choose(|site| before[site]).1,
            Self::Reflect(_) | Self::Fixed(_) => Standing::UNCHECKED,
        }
    }
}

impl Resolve for Resolvers {
    fn resolve(&self, resolver: usize, question: &Question, into: &mut Resolved) {
        into.clear();
        let Some(kind) = self.all.get(resolver) else { return };
        let (health, mut random) = (&*self.health, Random(question.turn.into()));
        match kind {
            Resolver::Multi(v4, v6) => {
                v4.choose(health, question.turn, &mut into.v4);
                v6.choose(health, question.turn, &mut into.v6);
            }
            Resolver::Failover(v4, v6) => {
                into.v4.extend(v4.as_ref().map(|it| it.choose(health)));
                into.v6.extend(v6.as_ref().map(|it| it.choose(health)));
            }
            Resolver::Weighted(v4, v6) => {
                v4.choose(health, &mut random, |address| into.v4.push(*address));
                v6.choose(health, &mut random, |address| into.v6.push(*address));
            }
            Resolver::Aliases(aliases) => {
                aliases.choose(health, &mut random, |name| into.alias = Some(name.clone()));
            }
            Resolver::Sites(sites) => {
                let (site, standing) = sites.choose(|site| self.standing(site));
                if let Some(site) = site {
                    self.resolve(site, question, into);
                    into.ttl = into.ttl.min(standing.ttl);
                    return;
                }
            }
            Resolver::Reflect(reflect) => reflect.choose(question, into),
            Resolver::Fixed(addresses) => {
                addresses.iter().for_each(|&address| into.push(address));
            }
        }
        into.ttl = self.standing(resolver).ttl;
    }
}

#[cfg(test)]
mod tests;
