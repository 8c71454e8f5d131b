//! ARP settings: other nodes have the VIPs too, so that none may answer or ask with one.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// Path below /proc/sys, of this thread's network namespace, and the least value that does.
///
/// `arp_ignore` 1: answers for addresses of the interface alone, not of `lo`. `arp_announce` 2:
/// asks with an address of the interface. The kernel takes the greater of `all` and the interface.
pub(crate) const ARP: [(&str, i32); 2] =
    [("net/ipv4/conf/all/arp_ignore", 1), ("net/ipv4/conf/all/arp_announce", 2)];

/// The settings that are too low, and their values.
pub(crate) fn too_low() -> Result<Vec<(&'static str, i32)>, String> {
    let mut low = Vec::new();
    for (path, least) in ARP {
        let value = read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        if value < least {
            low.push((path, value));
        }
    }
    Ok(low)
}

/// Raises the setting to the least value that does.
pub(crate) fn raise(path: &str) -> Result<(), String> {
    let Some((_, least)) = ARP.iter().find(|(arp, _)| *arp == path) else { return Ok(()) };
    write(path, *least).map_err(|error| {
        format!("cannot set {path} to {least}: {error}; this node may answer ARP for VIPs")
    })
}

/// Puts values back that were there before, unless another has set something since.
pub(crate) fn restore(settings: &mut BTreeMap<String, i32>) -> Vec<String> {
    let mut problems = Vec::new();
    settings.retain(|path, before| {
        let ours = ARP.iter().find(|(arp, _)| arp == path).map(|&(_, least)| least);
        let restored = match read(path) {
            Ok(value) if Some(value) == ours => write(path, *before),
            result => result.map(drop),
        };
        let failed = restored.err();
        let is_left = failed.is_some();
        problems.extend(failed.map(|error| format!("cannot put {path} back: {error}")));
        is_left
    });
    problems
}

fn read(path: &str) -> io::Result<i32> {
    fs::read_to_string(format!("/proc/sys/{path}"))?.trim().parse().map_err(io::Error::other)
}

fn write(path: &str, value: i32) -> io::Result<()> {
    fs::write(format!("/proc/sys/{path}"), value.to_string())
}
