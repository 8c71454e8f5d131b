//! Who wants which datacenters, worked out beforehand for everywhere.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use hashbrown::HashMap as Table;
use thiserror::Error;

use super::database::{Database, DatabaseError};
use super::distance::{Coordinates, nearest};
use super::embedded;
use super::nets::{Nets, Refused};
use super::place::{PlaceError, Places};

/// What an operator says of a map. Datacenters are places in a list that the map does not have.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Networks whose clients want these, in that order, wherever they are. Of several that a client is in the longest
    /// counts. None is no answer.
    pub nets: Vec<(IpAddr, u8, Vec<usize>)>,
    /// The same of places: `EU`, `EU/FR`, `NA/US/NY`, `EU/FR/Paris`, in MaxMind's words. Of several that a client is
    /// in the smallest counts.
    pub places: Vec<(String, Wanted)>,
    /// Wherever the database knows of and no place says.
    pub elsewhere: Wanted,
    /// Of whom nothing is known: no record, or no coordinates in it.
    pub unknown: Vec<usize>,
    /// Latitude and longitude of each datacenter, in degrees; without them it is nobody's nearest.
    pub coordinates: Vec<Option<(f64, f64)>>,
    /// So many of the nearest are wanted, at most.
    pub nearest: Option<NonZeroUsize>,
}

/// What is wanted somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// These, in that order. None is no answer.
    These(Vec<usize>),
    /// Those that have coordinates, the nearest first.
    Nearest,
}

impl Default for Wanted {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// Who wants which datacenters.
#[derive(Clone)]
pub struct Map {
    /// Each once.
    lists: Vec<Box<[usize]>>,
    nets: Nets<u32>,
    database: Option<Arc<Database>>,
    /// By where the record is.
    records: Table<usize, u32, ahash::RandomState>,
    unknown: u32,
}

/// What is wrong with a map.
#[derive(Debug, Error)]
pub enum MapError {
    /// See [`DatabaseError`].
    #[error("the database: {0}")]
    Database(#[from] DatabaseError),
    /// See [`PlaceError`].
    #[error("place {0}")]
    Place(#[from] PlaceError),
    /// It is there.
    #[error("net {0}/{1} is there twice")]
    NetTwice(IpAddr, u8),
    /// Whoever has such an address is looked up by the inner one.
    #[error("net {0}/{1} is IPv4 inside of IPv6: write it as a network of IPv4")]
    NetEmbedded(IpAddr, u8),
    /// Places and distances are of no use without one.
    #[error(
        "without a database nobody knows where clients are: name one, or leave places and coordinates out"
    )]
    NoDatabase,
    /// It is none of cities or countries.
    #[error("the database has no record with a continent: places need one of countries or cities")]
    NoPlaces,
    /// It is none of cities.
    #[error("the database has no record with coordinates: distances need one of cities")]
    NoCoordinates,
}

impl Map {
    /// Reads the whole database, which takes a second or two if it is of cities.
    ///
    /// # Errors
    /// Something is wrong with the plan or the database, or they do not fit.
    pub fn new(plan: &Plan, database: Option<Arc<Database>>) -> Result<Self, MapError> {
        let mut lists = Lists::default();
        let unknown = lists.number(&plan.unknown);
        let mut nets = Nets::new();
        for (address, length, list) in &plan.nets {
            let added = nets.add(*address, *length, lists.number(list));
            added.map_err(|refused| match refused {
                Refused::Twice => MapError::NetTwice(*address, *length),
                Refused::Embedded => MapError::NetEmbedded(*address, *length),
            })?;
        }
        let mut places = Places::new();
        for (path, wanted) in &plan.places {
            places.add(path, wanted)?;
        }
        let by_distance = |wanted: &Wanted| *wanted == Wanted::Nearest;
        let needs_distance =
            by_distance(&plan.elsewhere) || plan.places.iter().any(|(_, it)| by_distance(it));
        let mut records = Table::default();
        match &database {
            Some(database) => {
                let mut survey = Survey {
                    plan,
                    places: &places,
                    lists: &mut lists,
                    unknown,
                    seen: Seen::default(),
                };
                for record in database.records() {
                    let record = record?;
                    if let Some(place) = record.place()
                        && !records.contains_key(&place)
                    {
                        records.insert(place, survey.wanted(&record.read()?));
                    }
                }
                let Seen { continents, coordinates } = survey.seen;
                if !continents && !places.is_empty() {
                    return Err(MapError::NoPlaces);
                }
                if !coordinates && needs_distance {
                    return Err(MapError::NoCoordinates);
                }
            }
            None if needs_distance || !places.is_empty() => return Err(MapError::NoDatabase),
            None => {}
        }
        let Lists { all: lists, .. } = lists;
        Ok(Self { lists, nets, database, records, unknown })
    }

    /// The datacenters that are wanted at an address, by their places, and how many of its bits that goes by.
    pub fn find(&self, address: IpAddr) -> (&[usize], u8) {
        let (inner, before) = embedded::inner(address);
        let (said, mut length) = self.nets.find(inner);
        let list = said.unwrap_or_else(|| {
            let found = self.database.as_ref().map(|database| database.find(inner));
            let (record, of_record) = found.unwrap_or_default();
            length = length.max(of_record);
            record.and_then(|place| self.records.get(&place).copied()).unwrap_or(self.unknown)
        });
        let list = self.lists.get(list as usize).map_or(&[][..], |list| list);
        (list, before.saturating_add(length))
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("lists", &self.lists).finish_non_exhaustive()
    }
}

/// Lists, each once: there are few.
#[derive(Default)]
struct Lists {
    all: Vec<Box<[usize]>>,
    numbers: HashMap<Box<[usize]>, u32>,
}

impl Lists {
    fn number(&mut self, list: &[usize]) -> u32 {
        if let Some(&number) = self.numbers.get(list) {
            return number;
        }
        let number = self.all.len() as u32;
        self.all.push(list.into());
        self.numbers.insert(list.into(), number);
        number
    }
}

/// A walk through the records.
struct Survey<'p> {
    plan: &'p Plan,
    places: &'p Places<&'p Wanted>,
    lists: &'p mut Lists,
    unknown: u32,
    seen: Seen,
}

/// What some record had.
#[derive(Default)]
struct Seen {
    continents: bool,
    coordinates: bool,
}

impl Survey<'_> {
    /// The list of whoever is where a record says.
    fn wanted(&mut self, record: &maxminddb::geoip2::City<'_>) -> u32 {
        let subdivisions = record.subdivisions.iter().filter_map(|one| one.iso_code);
        let parts = subdivisions.chain(record.city.names.english);
        let (continent, country) = (record.continent.code, record.country.iso_code);
        let here = record.location.latitude.zip(record.location.longitude);
        self.seen.continents |= continent.is_some();
        self.seen.coordinates |= here.is_some();
        let wanted = self.places.find(continent, country, parts).unwrap_or(&self.plan.elsewhere);
        match (wanted, here) {
            (Wanted::These(list), _) => self.lists.number(list),
            (Wanted::Nearest, Some(here)) => self.nearest(here),
            (Wanted::Nearest, None) => self.unknown,
        }
    }

    fn nearest(&mut self, here: Coordinates) -> u32 {
        let mut list = nearest(here, &self.plan.coordinates);
        list.truncate(self.plan.nearest.map_or(usize::MAX, NonZeroUsize::get));
        self.lists.number(&list)
    }
}
