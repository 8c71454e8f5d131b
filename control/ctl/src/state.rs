//! `palierctl drain`, `maintain`, `ready` and `weight`: what an operator wants of a node or a server.

mod progress;

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use admin::{Request, Status};
use health::Admin;

use self::progress::{Left, left};
use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use crate::{failure, reload};

/// How often control is asked while waiting.
const TURN: Duration = Duration::from_millis(500);

/// Sets a node's state; waits until it shows, if asked.
pub(crate) fn run(
    flags: &args::State,
    state: Admin,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let args::State { node, wait, timeout } = flags;
    if let Some((pool, server)) = node.split_once('/') {
        if *wait {
            return Err(Failure::Usage(
                "--wait is for nodes: the status shows a server's requests".into(),
            ));
        }
        let (pool, server) = (pool.to_owned(), server.to_owned());
        let request = Request::SetServer { pool, server, state, all_nodes: false };
        return reload::change(&request, context, out);
    }
    if *wait {
        // Before anything is changed.
        progress::can_wait(&context.control()?.status()?, node)?;
    }
    let request = Request::SetState { node: node.clone(), state };
    match reload::change(&request, context, out) {
        Ok(()) => {}
        // What was reached drains: waiting for it is still wanted.
        Err(Failure::Incomplete(failed)) if *wait => {
            failed.iter().for_each(|line| failure::note(line));
            wait_for(node, state, *timeout, context)?;
            return Err(Failure::Incomplete(vec![format!(
                "{node}: waited for those that were reached, not for all"
            )]));
        }
        Err(failure) => return Err(failure),
    }
    if *wait { wait_for(node, state, *timeout, context) } else { Ok(()) }
}

/// Sets a server's share.
pub(crate) fn weigh(
    flags: &args::Weight,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let args::Weight { server, percent } = flags;
    let Some((pool, server)) = server.split_once('/') else {
        return Err(Failure::Usage(format!("{server} is not POOL/SERVER")));
    };
    let (pool, server) = (pool.to_owned(), server.to_owned());
    reload::change(&Request::SetWeight { pool, server, percent: *percent }, context, out)
}

/// Until the state shows, or the time is over. Control may go and come back meanwhile.
fn wait_for(node: &str, state: Admin, timeout: Duration, context: &Context) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    let mut line = Line::new();
    loop {
        let seen = context.control().map_err(Failure::from).and_then(|mut c| c.status());
        let what = match seen.as_ref().map(|status: &Status| left(status, node, state)) {
            Ok(Left::Nothing) => return Ok(()),
            Ok(Left::Something(what)) => what,
            Err(failure @ (Failure::Unreached(_) | Failure::Refused(_))) => failure.to_string(),
            Err(Failure::Incomplete(_) | Failure::Usage(_) | Failure::Output(_)) => {
                return seen.map(|_| ());
            }
        };
        line.show(&what);
        let now = Instant::now();
        if now >= deadline {
            line.end();
            let timeout = crate::text::human(timeout);
            return Err(Failure::refused(format!("{node}: after {timeout}: {what}")));
        }
        std::thread::sleep(TURN.min(deadline - now));
    }
}

/// A line on the terminal that is written over.
struct Line {
    terminal: bool,
    written: bool,
}

impl Line {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), written: false }
    }

    fn show(&mut self, text: &str) {
        if self.terminal {
            // Back to the first column, and clear to the end of the line.
            let _ = write!(std::io::stderr(), "\r\u{1b}[K{text}");
            self.written = true;
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.written) {
            let _ = writeln!(std::io::stderr());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end();
    }
}
