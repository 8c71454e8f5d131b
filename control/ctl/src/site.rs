//! The site file, for the commands that read it.

use std::path::Path;

use config::SiteFile;

use crate::failure::Failure;

/// Reads a site file.
///
/// # Errors
/// Everything that is wrong with it, a line each.
pub(crate) fn read(path: &Path) -> Result<SiteFile, Failure> {
    SiteFile::read(path).map_err(|error| Failure::Refused(error.lines()))
}
