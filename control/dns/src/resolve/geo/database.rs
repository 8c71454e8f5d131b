//! MaxMind's databases: which network is where.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::geoip2::City;
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use thiserror::Error;

/// A database in MaxMind's format (version 2), of cities or countries.
#[derive(Debug)]
pub struct Database {
    reader: Reader<Vec<u8>>,
}

/// Why there is none.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is none, or damaged.
    #[error("it is no whole database in MaxMind's format (.mmdb): {0}")]
    Malformed(#[from] MaxMindDbError),
    /// Its search tree has circles.
    #[error(
        "it is no whole database in MaxMind's format (.mmdb): its search tree has more ends than nodes"
    )]
    Endless,
}

impl Database {
    /// Reads a file whole: whoever replaces it does not change what was read. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Self, DatabaseError> {
        Self::new(std::fs::read(path)?)
    }

    /// The same, of what was read.
    ///
    /// # Errors
    /// It is none.
    pub fn new(bytes: Vec<u8>) -> Result<Self, DatabaseError> {
        Ok(Self { reader: Reader::from_source(bytes)? })
    }

    /// Where its records are, each once or more often: all that [`Self::find`] ever says.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Record<'_>, DatabaseError>> {
        // Each node has two ends; a damaged tree may lead back to itself, and has 2^128.
        let most = 2 * self.reader.metadata().node_count as usize;
        let (networks, refused) =
            match self.reader.networks(WithinOptions::default().include_networks_without_data()) {
                Ok(networks) => (Some(networks), None),
                Err(error) => (None, Some(Err(error.into()))),
            };
        let found = networks.into_iter().flatten().enumerate().map(move |(number, found)| {
            if number > most { Err(DatabaseError::Endless) } else { Ok(Record(found?)) }
        });
        refused.into_iter().chain(found)
    }

    /// Where the record of an address is, if there is one, and how many of its bits that goes by.
    pub(super) fn find(&self, address: IpAddr) -> (Option<usize>, u8) {
        let is_v6 = self.reader.metadata().ip_version == 6;
        if address.is_ipv6() && !is_v6 {
            return (None, 0);
        }
        // It was read from end to end before: there is nothing left that could be wrong.
        let Ok(found) = self.reader.lookup(address) else { return (None, u8::MAX) };
        let length = found.network().map_or(u8::MAX, |network| match network.is_ipv6() {
            // All of IPv4 is within a larger network.
            true if address.is_ipv4() => 0,
            _ => network.prefix(),
        });
        (found.offset(), length)
    }
}

/// A record of a network.
pub(super) struct Record<'d>(LookupResult<'d, Vec<u8>>);

impl<'d> Record<'d> {
    /// Where it is.
    pub(super) fn place(&self) -> Option<usize> {
        self.0.offset()
    }

    /// What it says.
    pub(super) fn read(&self) -> Result<City<'d>, DatabaseError> {
        Ok(self.0.decode()?.unwrap_or_default())
    }
}
