//! A changed site file: all of it comes into force, or nothing.

use api::Snapshot;
use config::SiteFile;

use crate::site::Site;

/// The site that the new file makes, or everything that speaks against it.
///
/// `in_force` is what the dataplane has: an index whose node has left the file is not given to another
/// while connections may hold it.
///
/// # Errors
/// The reasons, a line each.
pub fn judge(
    old: &Site,
    new: SiteFile,
    in_force: Option<&Snapshot>,
    force: bool,
) -> Result<Site, Vec<String>> {
    let name = &old.own().name;
    let new = Site::new(new, name).map_err(|reason| vec![reason])?;
    let mut reasons = reused(&new, in_force);
    if !force {
        let breaking = config::breaking(&old.config, &new.config);
        reasons.extend(breaking.into_iter().map(|what| format!("{what}: takes --force")));
    }
    if reasons.is_empty() { Ok(new) } else { Err(reasons) }
}

/// Indexes that the new file gives to other nodes than those that the dataplane's connections hold.
pub fn reused(new: &Site, in_force: Option<&Snapshot>) -> Vec<String> {
    let held = in_force.into_iter().flat_map(|snapshot| &snapshot.nodes);
    held.filter_map(|held| {
        let taken = new.config.l7.iter().find(|node| node.index == held.index)?;
        (taken.name != held.name).then(|| {
            format!(
                "l7 {}: index {} is still held by connections of {}: give it another (`palierctl \
                 check --assign` finds one)",
                taken.name, held.index, held.name
            )
        })
    })
    .collect()
}
