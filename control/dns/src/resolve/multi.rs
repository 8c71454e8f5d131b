//! All addresses that are up.

use super::health::{Health, Member, Standing};

/// Addresses of one family, of which all that are up are given.
#[derive(Clone, Debug, PartialEq)]
pub struct Multi<A> {
    /// They.
    pub members: Vec<Member<A>>,
    /// The share of them that has to be up, above 0 and up to 1 (`up_thresh`).
    pub enough: f64,
    /// What is given if fewer are.
    pub few: Few,
    /// All are given, whoever is up.
    pub ignores_health: bool,
}

/// What is given while too few are up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Few {
    /// All, as with gdnsd: that so many are down at once may be the checks' own fault.
    #[default]
    All,
    /// Those that are up, if there are any.
    Up,
    /// None.
    Nothing,
    /// The first.
    First,
}

impl<A: Copy> Multi<A> {
    /// Whether enough are up, until that may change. Of a family without members nothing is wanted.
    pub(super) fn standing(&self, health: &Health) -> Standing {
        let all = self.members.iter().map(|member| member.standing(health));
        let ttl = all.clone().map(|one| one.ttl).min().unwrap_or(u32::MAX);
        let up = all.filter(|one| one.is_up).count();
        Standing { is_up: up as f64 >= (self.enough * self.members.len() as f64).ceil(), ttl }
    }

    /// Adds those that are given, each time beginning with another.
    pub(super) fn choose(&self, health: &Health, turn: u32, into: &mut Vec<A>) {
        if self.members.is_empty() {
            return;
        }
        let few = if self.standing(health).is_up { Few::Up } else { self.few };
        let (before, first) = self.members.split_at(turn as usize % self.members.len());
        let all = first.iter().chain(before);
        match few {
            _ if self.ignores_health => into.extend(all.map(|member| member.address)),
            Few::All => into.extend(all.map(|member| member.address)),
            Few::Up => {
                let up = all.filter(|member| member.standing(health).is_up);
                into.extend(up.map(|member| member.address));
            }
            Few::Nothing => {}
            Few::First => into.extend(self.members.first().map(|member| member.address)),
        }
    }
}
