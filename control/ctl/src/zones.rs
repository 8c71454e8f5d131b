//! `palierctl force`, `challenge` and `dns query`: what is said to nodes that serve zones.

use std::io::Write;

use admin::{Reply, Request, Said};

use crate::args::{Challenge, Force, Forced, Query};
use crate::context::{Context, SOON, unexpected};
use crate::failure::Failure;
use crate::reload;

/// Forces addresses or datacenters up or down.
pub(crate) fn force(flags: &Force, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let ttl = flags.ttl;
    let said = match flags.state {
        Forced::Up => Said::Up { ttl },
        Forced::Down => Said::Down { ttl },
        Forced::Auto => Said::Auto,
    };
    let request = Request::Force { pattern: flags.pattern.clone(), said };
    reload::change(&request, context, out)
}

/// Has a text be answered for an ACME client.
pub(crate) fn challenge(
    flags: &Challenge,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Challenge { name, text, remove } = flags.clone();
    reload::change(&Request::Challenge { name, text, answered: !remove }, context, out)
}

/// Shows what is answered to a question, and why.
pub(crate) fn query(flags: &Query, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let Query { name, rtype, client } = flags.clone();
    let request = Request::Query { name, rtype, client };
    let reply = context.control()?.ask(&request, SOON)?;
    let lines = match &reply {
        Reply::Explained(lines) => lines,
        Reply::Refused { reasons } => return Err(Failure::Refused(reasons.clone())),
        reply => return Err(unexpected("palier-control", reply)),
    };
    if context.json {
        serde_json::to_writer(&mut *out, &reply).map_err(std::io::Error::from)?;
        return Ok(writeln!(out)?);
    }
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
