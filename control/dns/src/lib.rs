//! Tier 0: zones, and answers that follow health.
//!
//! A [`zone::Zone`] is read from a master file, with gdnsd's dynamic records in it, and looked up by name.

mod name;
mod rtype;
pub mod zone;

pub use crate::name::{LONGEST_NAME, Name, NameError};
pub use crate::rtype::Rtype;
