//! `palierctl check`: what is wrong with a site file, or what it makes.

mod against;
mod assign;
mod share;
mod summary;

use std::io::Write;

use serde::Serialize;

use self::against::Against;
use self::share::{Share, shares};
use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use crate::site;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// Name of the site.
    site: String,
    /// L7 nodes that were given an index: name and index.
    assigned: Vec<(String, u16)>,
    /// Each table, and which services have it.
    shares: Vec<Share>,
    /// What the edge has to keep out, a rule each.
    edge_acl: Vec<String>,
    /// What would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against>,
}

/// Checks the file; writes indexes into it first, if asked.
pub(crate) fn run(
    flags: &args::Check,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let args::Check { file, assign, against, edge } = flags;
    let assigned = if *assign { assign::assign(file, context)? } else { Vec::new() };
    if !context.json {
        for (name, index) in &assigned {
            writeln!(out, "{name} has index {index} now")?;
        }
        // Said also if the file is refused for something else.
        out.flush()?;
    }
    let config = site::read(file)?.config;
    let against = match against {
        Some(args::Against::Running) => {
            let running = context.dataplane()?.snapshot()?;
            let running = running.ok_or_else(|| {
                Failure::refused("the dataplane has no Snapshot yet: nothing to compare with")
            })?;
            Some(Against::running(&config, &running)?)
        }
        None => None,
    };
    let acl = config::EdgeAcl::new(&config);
    if context.json {
        let site = config.site.name.clone();
        let report =
            Report { site, assigned, shares: shares(&config), edge_acl: acl.rules(), against };
        let line = serde_json::to_string(&report).expect("string keys alone");
        writeln!(out, "{line}")?;
        return Ok(());
    }
    out.write_all(summary::summary(&config, context).as_bytes())?;
    let acl = match edge {
        args::Edge::Rules => acl.rules().join("\n") + "\n",
        args::Edge::Nftables => acl.nftables(),
        args::Edge::Ios => acl.ios(),
    };
    writeln!(out, "\nWhat routers at the edge have to keep out:\n")?;
    for line in acl.lines() {
        writeln!(out, "  {line}")?;
    }
    if let Some(against) = against {
        writeln!(out)?;
        out.write_all(against.render(context).as_bytes())?;
    }
    Ok(())
}
