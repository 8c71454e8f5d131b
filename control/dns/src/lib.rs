//! Tier 0: zones, and answers that follow health.
//!
//! A [`zone::Zone`] is read from a master file, with gdnsd's dynamic records in it, and looked up by name.
//! [`answer::Server::answer`] says what a question gets: a pure function of the question, the [`Zones`], what
//! resolvers say, and who asks.

pub mod answer;
mod cookie;
pub mod limit;
pub mod message;
mod name;
pub mod resolve;
mod rtype;
pub mod serve;
pub mod zone;
mod zones;

pub use crate::cookie::Jar;
pub use crate::name::{LONGEST_NAME, Name, NameError};
pub use crate::rtype::Rtype;
pub use crate::zones::Zones;
