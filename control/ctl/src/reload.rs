//! `palierctl reload`

use std::io::Write;

use admin::{Change, Reply, Request};

use crate::args::Reload;
use crate::context::{Context, LATER, unexpected};
use crate::failure::Failure;

/// Makes control read the site file again.
pub(crate) fn run(flags: &Reload, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    change(&Request::Reload { force: flags.force }, context, out)
}

/// Asks for a change, and says what became of it.
///
/// # Errors
/// It was refused, or did not reach everybody whom it concerns.
pub(crate) fn change(
    request: &Request,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Change { notes, failed } = match context.control()?.ask(request, LATER)? {
        Reply::Done(change) => change,
        Reply::Refused { reasons } => return Err(Failure::Refused(reasons)),
        reply @ (Reply::Status(_)
        | Reply::L7(_)
        | Reply::Dns(_)
        | Reply::Explained(_)
        | Reply::Dataplane(_)
        | Reply::Error(_)) => {
            return Err(unexpected("palier-control", &reply));
        }
    };
    if context.json {
        let reply = Reply::Done(Change { notes, failed: failed.clone() });
        serde_json::to_writer(&mut *out, &reply).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
    }
    out.flush()?;
    if failed.is_empty() {
        return Ok(());
    }
    let line = |failed: admin::Failed| format!("{}: {}", failed.what, failed.reason);
    Err(Failure::Incomplete(failed.into_iter().map(line).collect()))
}
