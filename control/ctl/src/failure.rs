//! Why a command did not do what it was asked: what is said, and the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use thiserror::Error;

use crate::client;

/// Why a command ends with another exit code than 0.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// It was refused, or is not possible: every reason.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// It was done, but not everywhere: what was not reached, and why. What was done has been said.
    #[error("{}", .0.join("\n"))]
    Incomplete(Vec<String>),
    /// Who should have answered did not.
    #[error(transparent)]
    Unreached(#[from] client::Error),
    /// The flags ask for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// What was to be said could not be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// One reason.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(vec![reason.into()])
    }

    /// Whether it is the reader of standard output that has seen enough (`palierctl flows | head`).
    fn is_closed_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Refused(_) | Self::Incomplete(_) | Self::Unreached(_) | Self::Usage(_) => false,
        }
    }

    /// Says it, line by line, on standard error; with `json`, what was refused also as one object
    /// on standard output. Gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        let text = self.to_string();
        for line in text.lines() {
            note(line);
        }
        let said = match self {
            // clap's own usage errors are text alone, too.
            Self::Output(_) | Self::Usage(_) => true,
            // Control's whole reply is there already.
            Self::Incomplete(_) => true,
            Self::Refused(_) | Self::Unreached(_) => false,
        };
        if json && !said {
            let reasons: Vec<&str> = text.lines().collect();
            let object = serde_json::json!({ "refused": { "reasons": reasons } });
            // Whoever reads has the exit code too.
            let _ = writeln!(io::stdout(), "{object}");
        }
        match self {
            Self::Refused(_) | Self::Incomplete(_) | Self::Unreached(_) | Self::Output(_) => {
                ExitCode::FAILURE
            }
            Self::Usage(_) => ExitCode::from(2),
        }
    }
}

/// A line on standard error. One that nobody reads is no reason to fail.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "palierctl: {line}");
}
