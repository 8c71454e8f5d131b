//! Resolvers in an order in which each comes after those that it asks.

use ::dns::resolve::Reflect;

use super::datacenter::{Gives, Site};
use super::{Entry, Written};
use crate::place::{Place, Placed};
use crate::settings::{Datacenter, Geoip, Metafo, Plugin, Resolver};
use crate::suggest;
use crate::value::quoted;

/// The resolvers of the site; tells of names that are there twice, or not at all, and of circles.
pub(crate) fn arrange(entries: Vec<Entry>, tell: &dyn Fn(&Place, String)) -> Vec<Resolver> {
    for (own, entry) in entries.iter().enumerate() {
        let is_same = |other: &Entry| {
            other.name.value == entry.name.value && other.plugin() == entry.plugin()
        };
        if !entry.name.value.is_empty() && entries[..own].iter().any(is_same) {
            let text = format!("another [[resolver]] of plugin {} has this name", entry.plugin());
            tell(&entry.name.place, text);
        }
    }
    let mut arranging = Arranging { places: vec![None; entries.len()], done: Vec::new(), tell };
    let names: Vec<_> = entries.iter().map(|one| (one.plugin(), one.name.value.clone())).collect();
    let mut entries: Vec<_> = entries.into_iter().map(Some).collect();
    for place in 0..entries.len() {
        arranging.add(place, &names, &mut entries);
    }
    let mut all = arranging.done;
    for (name, plugin) in built_in() {
        let has = |one: &Resolver| one.name == name && one.plugin.name() == plugin.name();
        if !all.iter().any(has) {
            all.push(Resolver { name: name.to_owned(), plugin });
        }
    }
    all
}

/// What zones may name though no file speaks of it, as with gdnsd.
fn built_in() -> [(&'static str, Plugin); 5] {
    [
        ("dns", Plugin::Reflect(Reflect::Dns)),
        ("edns", Plugin::Reflect(Reflect::Edns)),
        ("both", Plugin::Reflect(Reflect::Both)),
        ("best", Plugin::Reflect(Reflect::Best)),
        ("null", Plugin::Null),
    ]
}

struct Arranging<'a> {
    /// Where each entry has come to be.
    places: Vec<Option<usize>>,
    done: Vec<Resolver>,
    tell: &'a dyn Fn(&Place, String),
}

type Names = [(&'static str, String)];

impl Arranging<'_> {
    /// Adds an entry after those that it asks; where it is then, if it could be.
    fn add(&mut self, place: usize, names: &Names, entries: &mut [Option<Entry>]) -> Option<usize> {
        if let Some(done) = self.places[place] {
            return Some(done);
        }
        // Gone and not done: it is being added.
        let Entry { name, plugin } = entries[place].take()?;
        let plugin = match plugin.value {
            Written::Nothing => return None,
            Written::Alone(plugin) => plugin,
            Written::Metafo { sites, skip_first } => {
                let datacenters = self.sites(&name.value, sites, names, entries);
                Plugin::Metafo(Metafo { datacenters, skip_first })
            }
            Written::Geoip { sites, geo } => {
                let datacenters = self.sites(&name.value, sites, names, entries);
                Plugin::Geoip(Geoip {
                    datacenters,
                    database: geo.database,
                    nets: geo.nets,
                    places: geo.places,
                    default: geo.default,
                    coordinates: geo.coordinates,
                    nearest: geo.nearest,
                    ignore_ecs: geo.ignore_ecs,
                })
            }
        };
        self.done.push(Resolver { name: name.value, plugin });
        self.places[place] = Some(self.done.len() - 1);
        self.places[place]
    }

    fn sites(
        &mut self,
        resolver: &str,
        sites: Vec<Site>,
        names: &Names,
        entries: &mut [Option<Entry>],
    ) -> Vec<Datacenter> {
        let mut datacenters = Vec::new();
        for Site { name, gives, .. } in sites {
            let place = match gives {
                Gives::Own(plugin) => {
                    self.done
                        .push(Resolver { name: format!("{resolver}/{name}"), plugin: *plugin });
                    Some(self.done.len() - 1)
                }
                Gives::Other(other) => self.other(&other, names, entries),
                Gives::Nothing => None,
            };
            // Whoever has no place has a problem, which was told.
            datacenters.push(Datacenter { name, resolver: place.unwrap_or(0) });
        }
        datacenters
    }

    /// The place of a resolver that another one asks.
    fn other(
        &mut self,
        Placed { value: wanted, place }: &Placed<String>,
        names: &Names,
        entries: &mut [Option<Entry>],
    ) -> Option<usize> {
        let found: Vec<_> = match wanted.split_once('!') {
            Some((plugin, name)) => positions(names, |one| one.0 == plugin && one.1 == name),
            None => positions(names, |one| one.1 == *wanted),
        };
        match found[..] {
            [one] => {
                let added = self.add(one, names, entries);
                if added.is_none() && entries[one].is_none() && !names[one].0.is_empty() {
                    (self.tell)(
                        place,
                        format!("{wanted} asks this one, too: they would never end"),
                    );
                }
                added
            }
            [] => {
                let known: Vec<_> = names.iter().map(|one| one.1.as_str()).collect();
                let meant = suggest::nearest(wanted, &known);
                let meant = meant.map(|name| format!(" (did you mean \"{name}\"?)"));
                let text = format!("{} is not the name of a [[resolver]]", quoted(wanted));
                (self.tell)(place, text + &meant.unwrap_or_default());
                None
            }
            [first, ..] => {
                let plugin = names[first].0;
                let text = format!(
                    "several plugins have a [[resolver]] of this name: say which, as \"{plugin}!{wanted}\""
                );
                (self.tell)(place, text);
                None
            }
        }
    }
}

fn positions(names: &Names, is_it: impl Fn(&(&'static str, String)) -> bool) -> Vec<usize> {
    (0..names.len()).filter(|&place| is_it(&names[place])).collect()
}
