//! `palierctl withdraw`, `announce` and `upgrade`.

use std::io::Write;

use admin::Request;

use crate::args::{Announce, Upgrade};
use crate::context::Context;
use crate::failure::Failure;
use crate::reload;

/// Says whether a service's VIPs are announced.
pub(crate) fn run(
    flags: &Announce,
    announce: bool,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Announce { service, all_nodes } = flags;
    let request = Request::Announce { service: service.clone(), announce, all_nodes: *all_nodes };
    reload::change(&request, context, out)
}

/// Has the program that lies in control's place now take over, or the dataplane start anew.
pub(crate) fn upgrade(
    flags: &Upgrade,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    reload::change(&Request::Upgrade { dataplane: flags.dataplane }, context, out)
}
