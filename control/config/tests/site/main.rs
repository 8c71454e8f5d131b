//! Whole site files, good and bad.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod change;
mod edge;
mod example;
mod file;
mod forwarder;
mod good;
mod mutation;
mod problems;
mod proxy;
mod zones;

use std::path::Path;

use config::{Config, Problems, SecretError, Secrets};

/// A hash key that no message may show.
const KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// Secrets of a host on which every file and credential holds [`KEY`].
struct Everywhere;

impl Secrets for Everywhere {
    fn inline(&self) -> Result<(), SecretError> {
        Ok(())
    }

    fn file(&self, _: &Path) -> Result<String, SecretError> {
        Ok(format!("{KEY}\n"))
    }

    fn credential(&self, _: &str) -> Result<String, SecretError> {
        Ok(KEY.into())
    }
}

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(text, &Everywhere)
}

/// The configuration of a text with nothing wrong.
#[track_caller]
fn good(text: &str) -> Config {
    match parse(text) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    }
}

/// What is wrong with a text, a line each.
fn problems(text: &str) -> Vec<String> {
    parse(text).err().map(|problems| problems.lines().collect()).unwrap_or_default()
}
