use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the lab, or a part of it, did not come up.
#[derive(Debug, Error)]
pub enum Error {
    /// Namespaces and taps need privileges.
    #[error("the lab needs root: it makes network namespaces, bridges and taps")]
    NotRoot,
    /// A program that the lab runs is not there.
    #[error("`{program}` was not found ({hint})")]
    MissingProgram {
        /// Its name.
        program: String,
        /// Where it was looked for, or what installs it.
        hint: String,
    },
    /// A program that the lab ran failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        reason: String,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it did not work.
        source: io::Error,
    },
    /// A process of a node ended, or did not get ready.
    #[error("{program} of {node} {reason}; the end of {}:\n{tail}", log.display())]
    Process {
        /// The program.
        program: &'static str,
        /// The node.
        node: String,
        /// What happened.
        reason: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A dataplane did not accept a Snapshot.
    #[error("the dataplane of {node} refused the Snapshot: {reasons}")]
    Refused {
        /// The node.
        node: String,
        /// Its reasons.
        reasons: String,
    },
}

impl Error {
    /// Wraps the system's refusal of `what`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::System { what, source }
    }
}
