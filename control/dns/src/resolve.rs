//! Resolvers: which addresses a dynamic record has now. gdnsd calls them plugins, and what they are asked for
//! resources.

mod client;
mod draw;
mod failover;
mod forced;
mod geo;
mod health;
mod multi;
mod pool;
mod reflect;
mod sites;
mod weighted;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use thiserror::Error;

pub use self::draw::Secret;
pub use self::failover::Failover;
use self::forced::Forced;
pub use self::geo::{Database, DatabaseError, Geo, Map, MapError, PlaceError, Plan, Wanted};
pub use self::health::{Health, Member, Standing};
pub use self::multi::Multi;
pub use self::pool::Few;
use self::pool::Pool;
pub use self::reflect::Reflect;
pub use self::sites::Sites;
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
    /// Those of the nearest site that is up (`geoip`).
    Geo(Geo),
    /// The asker's own (`reflect`).
    Reflect(Reflect),
    /// Always these (`static`, `null`).
    Fixed(Vec<IpAddr>),
}

/// All resolvers, and how those that they choose among are now.
#[derive(Clone, Debug, Default)]
pub struct Resolvers {
    all: Arc<[Resolver]>,
    secret: Secret,
    health: Arc<Health>,
    forced: Forced,
    /// Of each, whom it gives, as it follows from that and from what was before.
    pools: Arc<[Pools]>,
    /// Of each, how it is, as it follows from that.
    standings: Arc<[Standing]>,
}

/// Whom a resolver gives: of each family, or of names in the first.
#[derive(Clone, Debug, Default)]
struct Pools(Pool, Pool);

/// A resolver asks one that is not before it: they could ask each other for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("resolver {0} asks resolver {1}, which is not before it")]
pub struct Circular(pub usize, pub usize);

impl Resolvers {
    /// These, by the numbers that zones know them by, of which each asks only those before it. Sticky ones choose
    /// by the secret, which all nodes of a site have.
    ///
    /// # Errors
    /// One asks itself, or another that comes later.
    pub fn new(
        all: impl IntoIterator<Item = Resolver>,
        secret: Secret,
        health: Health,
    ) -> Result<Self, Circular> {
        let all: Arc<[Resolver]> = all.into_iter().collect();
        for (number, resolver) in all.iter().enumerate() {
            if let Some(&later) = resolver.asked().iter().find(|&&asked| asked >= number) {
                return Err(Circular(number, later));
            }
        }
        let pools = all.iter().map(|resolver| resolver.pools(&secret)).collect();
        Ok(Self { all, secret, pools, ..Self::default() }.with_health(health))
    }

    /// The next: with what is known now, and what was last known of those of whom too few are up.
    #[must_use]
    pub fn with_health(&self, health: Health) -> Self {
        // Who asks others comes after them.
        let mut standings = Vec::with_capacity(self.all.len());
        for (number, resolver) in self.all.iter().enumerate() {
            let site = |(place, site)| self.forced.or(number, place, standings[site]);
            let standing = resolver.standing(&health, site);
            standings.push(standing);
        }
        let pools = self.all.iter().zip(&*self.pools);
        let pools = pools.map(|(resolver, pools)| resolver.next(pools, &health)).collect();
        Self { health: Arc::new(health), pools, standings: standings.into(), ..self.clone() }
    }

    /// The same, but that datacenters count as up or down whatever they have: by the number of the resolver that
    /// chooses among them ([`Sites`], [`Geo`]) and the place that it has them at. What was forced before is not, if
    /// it is not among these.
    #[must_use]
    pub fn with_forced(
        &self,
        forced: impl IntoIterator<Item = ((usize, usize), Standing)>,
    ) -> Self {
        Self { forced: Forced::new(forced), ..self.clone() }.with_health((*self.health).clone())
    }

    /// The same, if they come after others: what these last knew ([`Few::LastKnown`]) of the same addresses goes
    /// on. `was` gives the number that a resolver had among them.
    #[must_use]
    pub fn after(&self, before: &Self, was: impl Fn(usize) -> Option<usize>) -> Self {
        let of_before = |number| before.pools.get(was(number)?);
        let pools =
            self.pools.iter().enumerate().map(|(number, Pools(v4, v6))| match of_before(number) {
                Some(Pools(v4_before, v6_before)) => {
                    Pools(v4.after(v4_before), v6.after(v6_before))
                }
                None => Pools(v4.clone(), v6.clone()),
            });
        Self { pools: pools.collect(), ..self.clone() }.with_health((*self.health).clone())
    }

    /// Whether a resolver has what it is there for, and seconds until that may change. Of one that answers by who
    /// asks: whether anybody gets it.
    pub fn standing(&self, resolver: usize) -> Standing {
        self.standings.get(resolver).copied().unwrap_or(Standing::UNKNOWN)
    }
}

impl Resolver {
    /// Those that it asks, by their numbers.
    fn asked(&self) -> &[usize] {
        match self {
            Self::Sites(sites) => &sites.order,
            Self::Geo(geo) => &geo.datacenters,
            Self::Multi(..)
            | Self::Failover(..)
            | Self::Weighted(..)
            | Self::Aliases(_)
            | Self::Reflect(_)
            | Self::Fixed(_) => &[],
        }
    }

    /// Nobody of whom anything is known.
    fn pools(&self, secret: &Secret) -> Pools {
        match self {
            Self::Multi(v4, v6) => Pools(v4.pool(secret), v6.pool(secret)),
            Self::Weighted(v4, v6) => Pools(v4.pool(secret), v6.pool(secret)),
            Self::Aliases(aliases) => Pools(aliases.pool(secret), Pool::default()),
            Self::Failover(..)
            | Self::Sites(_)
            | Self::Geo(_)
            | Self::Reflect(_)
            | Self::Fixed(_) => Pools::default(),
        }
    }

    /// Whom it gives, after these.
    fn next(&self, Pools(v4_before, v6_before): &Pools, health: &Health) -> Pools {
        let (v4, v6) = match self {
            Self::Multi(v4, v6) => (v4.poll(health), Some(v6.poll(health))),
            Self::Weighted(v4, v6) => (v4.poll(health), Some(v6.poll(health))),
            Self::Aliases(aliases) => (aliases.poll(health), None),
            Self::Failover(..)
            | Self::Sites(_)
            | Self::Geo(_)
            | Self::Reflect(_)
            | Self::Fixed(_) => return Pools::default(),
        };
        Pools(v4_before.next(v4), v6.map(|v6| v6_before.next(v6)).unwrap_or_default())
    }

    /// How it is, by its members, or by its sites: their places, and the numbers of the resolvers.
    fn standing(&self, health: &Health, site: impl Fn((usize, usize)) -> Standing) -> Standing {
        match self {
            Self::Multi(v4, v6) => v4.standing(health).and(v6.standing(health)),
            Self::Weighted(v4, v6) => v4.standing(health).and(v6.standing(health)),
            Self::Failover(v4, v6) => {
                let v4 = v4.as_ref().map_or(Standing::UNCHECKED, |it| it.standing(health));
                v4.and(v6.as_ref().map_or(Standing::UNCHECKED, |it| it.standing(health)))
            }
            Self::Aliases(aliases) => aliases.standing(health),
            Self::Sites(sites) => sites::first_up(sites.wanted().map(site)),
            Self::Geo(geo) => sites::any_up(geo.datacenters.iter().copied().enumerate().map(site)),
            Self::Reflect(_) | Self::Fixed(_) => Standing::UNCHECKED,
        }
    }
}

impl Resolve for Resolvers {
    fn resolve(&self, resolver: usize, question: &Question, into: &mut Resolved) {
        into.clear();
        into.ttl = self.give(resolver, question, into).ttl;
    }
}

impl Resolvers {
    /// Adds what one of them gives whoever asks, and says how it is for them.
    fn give(&self, number: usize, question: &Question, into: &mut Resolved) -> Standing {
        let all = self.all.get(number).zip(self.pools.get(number));
        let Some((resolver, Pools(pool, pool6))) = all else { return Standing::UNCHECKED };
        let (secret, health) = (&self.secret, &*self.health);
        match resolver {
            Resolver::Multi(v4, v6) => {
                let scope = v4.choose(pool, question, secret, &mut into.v4);
                into.scope = scope.max(v6.choose(pool6, question, secret, &mut into.v6));
            }
            Resolver::Failover(v4, v6) => {
                into.v4.extend(v4.as_ref().map(|it| it.choose(health)));
                into.v6.extend(v6.as_ref().map(|it| it.choose(health)));
            }
            Resolver::Weighted(v4, v6) => {
                let (draw, scope) = draw::draw(question, v4.sticky, secret);
                v4.choose(pool, draw, |address| into.v4.push(*address));
                let (draw, scope6) = draw::draw(question, v6.sticky, secret);
                v6.choose(pool6, draw, |address| into.v6.push(*address));
                into.scope = scope.max(scope6);
            }
            Resolver::Aliases(aliases) => {
                let (draw, scope) = draw::draw(question, aliases.sticky, secret);
                aliases.choose(pool, draw, |name| into.alias = Some(name.clone()));
                into.scope = scope;
            }
            Resolver::Sites(sites) => {
                return self.give_first_up(number, sites.wanted(), question, into);
            }
            Resolver::Geo(geo) => {
                let (wanted, scope) = geo.wanted(question);
                let standing = self.give_first_up(number, wanted, question, into);
                into.scope = into.scope.max(scope);
                return standing;
            }
            Resolver::Reflect(reflect) => reflect.choose(question, into),
            Resolver::Fixed(addresses) => {
                addresses.iter().for_each(|&address| into.push(address));
            }
        }
        self.standing(number)
    }

    /// Adds what the first gives that is up for whoever asks, or else the first of all.
    fn give_first_up(
        &self,
        number: usize,
        sites: impl Iterator<Item = (usize, usize)> + Clone,
        question: &Question,
        into: &mut Resolved,
    ) -> Standing {
        let mut scope = 0;
        let mut give = |(place, site): (usize, usize), into: &mut Resolved| {
            into.clear();
            let standing = self.give(site, question, into);
            let standing = self.forced.or(number, place, standing);
            // Whom it goes by that one is not given counts as whom it goes by that another is.
            scope = scope.max(into.scope);
            standing
        };
        let standing = sites::first_up(sites.clone().map(|site| give(site, into)));
        if let (false, Some(first)) = (standing.is_up, sites.clone().next()) {
            give(first, into);
        }
        into.scope = scope;
        standing
    }
}

#[cfg(test)]
mod tests;
