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
        Ok(Self { all, health: Arc::new(health) })
    }

    /// The same, with what is known now.
    #[must_use]
    pub fn with_health(&self, health: Health) -> Self {
        Self { all: self.all.clone(), health: Arc::new(health) }
    }

    /// Whether a resolver has what it is there for, and seconds until that may change: those who choose among
    /// resolvers ask.
    pub fn standing(&self, resolver: usize) -> Standing {
        let health = &*self.health;
        let both =
            |(a, b): (bool, bool), (c, d): (u32, u32)| Standing { is_up: a && b, ttl: c.min(d) };
        match self.all.get(resolver) {
            Some(Resolver::Multi(v4, v6)) => {
                both((v4.is_up(health), v6.is_up(health)), (v4.ttl(health), v6.ttl(health)))
            }
            Some(Resolver::Weighted(v4, v6)) => {
                both((v4.is_up(health), v6.is_up(health)), (v4.ttl(health), v6.ttl(health)))
            }
            Some(Resolver::Failover(v4, v6)) => {
                let v4 = v4.as_ref().map_or(Standing::UNCHECKED, |it| it.standing(health));
                let v6 = v6.as_ref().map_or(Standing::UNCHECKED, |it| it.standing(health));
                both((v4.is_up, v6.is_up), (v4.ttl, v6.ttl))
            }
            Some(Resolver::Aliases(aliases)) => {
                Standing { is_up: aliases.is_up(health), ttl: aliases.ttl(health) }
            }
            Some(Resolver::Sites(sites)) => sites.choose(|site| self.standing(site)).1,
            Some(Resolver::Reflect(_) | Resolver::Fixed(_)) => Standing::UNCHECKED,
            None => Standing { is_up: false, ttl: 0 },
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
