//! The command line of `palier-decap`.

use std::net::IpAddr;
use std::path::PathBuf;

use api::Prefix;
use clap::Parser;
use decap::Hook;

/// Decapsulates, on an L7 node, what the L4 nodes send to the VIPs.
///
/// Prints one line once it is attached. On SIGTERM or SIGINT it detaches, and prints its counters
/// as one JSON object. Exit code 2: the command line is wrong; 1: anything else.
#[derive(Debug, Parser)]
#[command(name = "palier-decap", version)]
pub(crate) struct Args {
    /// Interface on which the L4 nodes' packets arrive.
    #[arg(long, value_name = "NAME")]
    pub(crate) interface: String,
    /// How to attach: auto, tcx, clsact, xdp or xdp-generic. `auto` is tcx if the kernel has it, else clsact.
    #[arg(long, value_name = "HOOK", default_value = "auto", value_parser = mode)]
    pub(crate) mode: Mode,
    /// Outer sources: addresses or prefixes of the L4 nodes.
    #[arg(long, value_name = "PREFIX", required = true, num_args = 1..)]
    pub(crate) allow: Vec<Prefix>,
    /// Inner destinations: VIPs or prefixes of VIPs.
    #[arg(long, value_name = "PREFIX", required = true, num_args = 1..)]
    pub(crate) vip: Vec<Prefix>,
    /// Outer destinations, this node's addresses. Default: those the interface has now that are no VIP.
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    pub(crate) address: Vec<IpAddr>,
    /// Rewrite this file with the counters every second, as one JSON object.
    #[arg(long, value_name = "PATH")]
    pub(crate) stats_file: Option<PathBuf>,
}

/// A hook, or none for the best there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode(pub(crate) Option<Hook>);

fn mode(text: &str) -> Result<Mode, String> {
    if text == "auto" {
        return Ok(Mode(None));
    }
    let hook = Hook::ALL.into_iter().find(|hook| hook.name() == text);
    hook.map(|hook| Mode(Some(hook)))
        .ok_or_else(|| "use auto, tcx, clsact, xdp or xdp-generic".into())
}
