//! The program's tables, as Rust values.

use std::collections::BTreeSet;
use std::net::IpAddr;

use api::Prefix;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::skeleton::DecapMaps;
use crate::{Counter, Error, Rules};

/// The tables of one loaded program. They live as long as the program or this.
#[derive(Debug)]
pub(crate) struct Tables {
    addresses: PrefixTable,
    allow: PrefixTable,
    vips: PrefixTable,
    tunnel_only: MapHandle,
    counters: MapHandle,
}

impl Tables {
    /// The tables of a program just loaded: empty, so that it lets nothing through.
    pub(crate) fn new(maps: &DecapMaps<'_>) -> Result<Self, Error> {
        let handle = |map| MapHandle::try_from(map).map_err(Error::Table);
        Ok(Self {
            addresses: PrefixTable::new(handle(&maps.addresses)?),
            allow: PrefixTable::new(handle(&maps.allow)?),
            vips: PrefixTable::new(handle(&maps.vips)?),
            tunnel_only: handle(&maps.tunnel_only)?,
            counters: handle(&maps.counters)?,
        })
    }

    /// Sets the rules. What both the old ones and the new ones let through is let through at
    /// every instant.
    pub(crate) fn set(&mut self, rules: &Rules) -> Result<(), Error> {
        rules.check()?;
        // Off before the VIPs change and on after: what neither closes is never closed between.
        if !rules.tunnel_only {
            self.set_tunnel_only(false)?;
        }
        let addresses = rules.addresses.iter().map(|&address| address.into()).collect();
        self.addresses.set(addresses).map_err(Error::Table)?;
        self.allow.set(rules.allow.iter().copied().collect()).map_err(Error::Table)?;
        self.vips.set(rules.vips.iter().copied().collect()).map_err(Error::Table)?;
        if rules.tunnel_only { self.set_tunnel_only(true) } else { Ok(()) }
    }

    fn set_tunnel_only(&self, on: bool) -> Result<(), Error> {
        let (key, value) = (0_u32.to_ne_bytes(), u32::from(on).to_ne_bytes());
        self.tunnel_only.update(&key, &value, MapFlags::ANY).map_err(Error::Table)
    }

    /// All counters, summed over the CPUs.
    pub(crate) fn counters(&self) -> Result<Vec<(Counter, u64)>, Error> {
        Counter::ALL.iter().map(|&counter| Ok((counter, self.counter(counter)?))).collect()
    }

    fn counter(&self, counter: Counter) -> Result<u64, Error> {
        let key = (counter as u32).to_ne_bytes();
        let cpus = self.counters.lookup_percpu(&key, MapFlags::ANY).map_err(Error::Table)?;
        let values = cpus.into_iter().flatten();
        Ok(values.filter_map(|cpu| cpu.first_chunk().copied().map(u64::from_ne_bytes)).sum())
    }
}

/// A set of prefixes in the kernel.
#[derive(Debug)]
struct PrefixTable {
    map: MapHandle,
    /// What the map holds: nobody else writes it.
    present: BTreeSet<Prefix>,
}

impl PrefixTable {
    fn new(map: MapHandle) -> Self {
        Self { map, present: BTreeSet::new() }
    }

    /// Adds before it removes: the kernel has no way to replace all entries at once.
    fn set(&mut self, wanted: BTreeSet<Prefix>) -> Result<(), libbpf_rs::Error> {
        for &prefix in &wanted {
            if !self.present.contains(&prefix) {
                self.map.update(&key(prefix), &1_u32.to_ne_bytes(), MapFlags::ANY)?;
                self.present.insert(prefix);
            }
        }
        let gone: Vec<_> = self.present.difference(&wanted).copied().collect();
        for prefix in gone {
            self.map.delete(&key(prefix))?;
            self.present.remove(&prefix);
        }
        Ok(())
    }
}

/// `struct prefix` of the program.
fn key(prefix: Prefix) -> [u8; 24] {
    const VERSION_BITS: u32 = 32;
    let mut key = [0; 24];
    key[0..4].copy_from_slice(&(VERSION_BITS + u32::from(prefix.length())).to_ne_bytes());
    match prefix.address() {
        IpAddr::V4(v4) => {
            key[4..8].copy_from_slice(&4_u32.to_ne_bytes());
            key[8..12].copy_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            key[4..8].copy_from_slice(&6_u32.to_ne_bytes());
            key[8..24].copy_from_slice(&v6.octets());
        }
    }
    key
}
