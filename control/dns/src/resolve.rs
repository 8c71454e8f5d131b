//! Resolvers: which addresses a dynamic record has now. gdnsd calls them plugins, and what they are asked for
//! resources.

mod failover;
mod health;
mod multi;
mod reflect;
mod weighted;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use self::failover::Failover;
pub use self::health::{Health, Member, Standing};
pub use self::multi::{Few, Multi};
pub use self::reflect::Reflect;
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

impl Resolvers {
    /// These, by the numbers that zones know them by.
    pub fn new(all: impl IntoIterator<Item = Resolver>, health: Health) -> Self {
        Self { all: all.into_iter().collect(), health: Arc::new(health) }
    }

    /// The same, with what is known now.
    #[must_use]
    pub fn with_health(&self, health: Health) -> Self {
        Self { all: self.all.clone(), health: Arc::new(health) }
    }

    /// Whether a resolver has what it is there for: those who choose among resolvers ask.
    pub fn is_up(&self, resolver: usize) -> bool {
        let health = &*self.health;
        self.all.get(resolver).is_some_and(|resolver| match resolver {
            Resolver::Multi(v4, v6) => v4.is_up(health) && v6.is_up(health),
            Resolver::Failover(v4, v6) => {
                let is_up = |v4: Option<bool>| v4.unwrap_or(true);
                is_up(v4.as_ref().map(|it| it.is_up(health)))
                    && is_up(v6.as_ref().map(|it| it.is_up(health)))
            }
            Resolver::Weighted(v4, v6) => v4.is_up(health) && v6.is_up(health),
            Resolver::Aliases(aliases) => aliases.is_up(health),
            Resolver::Reflect(_) | Resolver::Fixed(_) => true,
        })
    }
}

impl Resolve for Resolvers {
    fn resolve(&self, resolver: usize, question: &Question, into: &mut Resolved) {
        into.clear();
        let health = &*self.health;
        match self.all.get(resolver) {
            Some(Resolver::Multi(v4, v6)) => {
                v4.choose(health, question.turn, &mut into.v4);
                v6.choose(health, question.turn, &mut into.v6);
                into.ttl = v4.ttl(health).min(v6.ttl(health));
            }
            Some(Resolver::Failover(v4, v6)) => {
                into.v4.extend(v4.as_ref().map(|it| it.choose(health)));
                into.v6.extend(v6.as_ref().map(|it| it.choose(health)));
                let v4 = v4.as_ref().map_or(u32::MAX, |it| it.ttl(health));
                into.ttl = v6.as_ref().map_or(v4, |it| it.ttl(health).min(v4));
            }
            Some(Resolver::Weighted(v4, v6)) => {
                let mut random = Random(question.turn.into());
                v4.choose(health, &mut random, |address| into.v4.push(*address));
                v6.choose(health, &mut random, |address| into.v6.push(*address));
                into.ttl = v4.ttl(health).min(v6.ttl(health));
            }
            Some(Resolver::Aliases(aliases)) => {
                let mut random = Random(question.turn.into());
                aliases.choose(health, &mut random, |name| into.alias = Some(name.clone()));
                into.ttl = aliases.ttl(health);
            }
            Some(Resolver::Reflect(reflect)) => reflect.choose(question, into),
            Some(Resolver::Fixed(addresses)) => {
                addresses.iter().for_each(|&address| into.push(address));
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
