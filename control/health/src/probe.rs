//! One probe, from its first packet to its report.
//!
//! A file of [`run`]'s per kind; each may wait as long as it likes, for the deadline is kept here, once
//! for all: connection, handshake and answer have to be there within [`Timing::timeout`].
//!
//! [`Timing::timeout`]: crate::Timing::timeout

mod agent;
mod command;
mod dns;
mod file;
mod http;
mod icmp;
mod tcp;
mod tls;
mod udp;

use std::io;

use nix::errno::Errno;

use crate::connection::{self, Ports};
use crate::{Check, Kind, Outcome, Probe, Report, Udp, reason};

/// What probes share: where blocks of source ports go on, compiled expressions, TLS settings.
#[derive(Debug, Default)]
pub struct Context {
    ports: Ports,
    regexes: http::Regexes,
    tls: tls::Clients,
}

impl Context {
    /// A context without anything in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was compiled and read for checks that may be gone; what is still needed is made
    /// again.
    pub fn forget(&self) {
        self.regexes.forget();
        self.tls.forget();
    }
}

/// Asks the target, and reports what came of it. Never takes longer than the check's timeout.
pub async fn run(probe: &Probe, context: &Context) -> Report {
    let Check { kind, timing } = &*probe.check;
    match tokio::time::timeout(timing.timeout, ask(probe, context)).await {
        Ok(Ok(report)) => report,
        Ok(Err(failure)) if failure.is_ours() => {
            Report::new(Outcome::Unasked, format!("not asked: {failure} on this node"))
        }
        Ok(Err(failure)) => without_answer(kind, failure.to_string()),
        Err(_elapsed) => match kind {
            Kind::Udp(Udp { expect: None, .. }) => {
                Report::new(Outcome::Passed, format!("no ICMP error within {:?}", timing.timeout))
            }
            Kind::Http(_)
            | Kind::Tcp(_)
            | Kind::Tls(_)
            | Kind::Agent(_)
            | Kind::Dns(_)
            | Kind::Udp(_)
            | Kind::Icmp
            | Kind::File(_)
            | Kind::Command(_) => without_answer(kind, reason::silence(timing.timeout)),
        },
    }
}

/// What it means that there was no answer to judge.
fn without_answer(kind: &Kind, reason: String) -> Report {
    let outcome = match kind {
        // An agent that is not there has nothing to say (HAProxy); the other checks decide.
        Kind::Agent(_) => Outcome::Silent,
        Kind::Http(_)
        | Kind::Tcp(_)
        | Kind::Tls(_)
        | Kind::Dns(_)
        | Kind::Udp(_)
        | Kind::Icmp
        | Kind::File(_)
        | Kind::Command(_) => Outcome::Failed,
    };
    Report::new(outcome, reason)
}

async fn ask(probe: &Probe, context: &Context) -> Result<Report, Failure> {
    let target = &probe.target;
    match &probe.check.kind {
        Kind::Http(http) => http::run(http, target, context).await,
        Kind::Tcp(tcp) => tcp::run(tcp, target, context).await,
        Kind::Tls(tls) => tls::run(tls, target, context).await,
        Kind::Agent(agent) => agent::run(agent, target, context).await,
        Kind::Dns(dns) => dns::run(dns, target, context).await,
        Kind::Udp(udp) => udp::run(udp, target, context).await,
        Kind::Icmp => icmp::run(target).await,
        Kind::File(file) => file::run(file, target).await,
        // Boxed, or the state of every probe would be as large as this rare one's.
        Kind::Command(command) => Box::pin(command::run(command, target)).await,
    }
}

/// Why there is no answer to judge.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// No socket, or no connection.
    #[error(transparent)]
    Connection(#[from] connection::Error),
    /// It broke, or the system refused.
    #[error("{}", reason::of_io(.0))]
    Io(#[from] io::Error),
    /// TLS cannot be set up here.
    #[error(transparent)]
    Tls(#[from] tls::Unusable),
    /// What came is not HTTP, or too much of it.
    #[error("{}", http::reason_of(.0))]
    Http(#[from] hyper::Error),
    /// The check cannot be carried out as it is written.
    #[error("{0}")]
    Check(String),
}

impl Failure {
    /// Whether this host is the one that is in trouble: a probe that it cannot send must not take down
    /// nodes that are well, all at once.
    fn is_ours(&self) -> bool {
        let error = match self {
            Self::Connection(connection::Error::NoPort(_)) => return true,
            Self::Connection(connection::Error::Io(error)) | Self::Io(error) => error,
            Self::Tls(_) | Self::Http(_) | Self::Check(_) => return false,
        };
        let errno = error.raw_os_error().map(Errno::from_raw);
        matches!(
            errno,
            Some(
                Errno::EMFILE
                    | Errno::ENFILE
                    | Errno::ENOBUFS
                    | Errno::ENOMEM
                    | Errno::EADDRNOTAVAIL
                    | Errno::EADDRINUSE
                    | Errno::EAGAIN
            )
        )
    }
}

#[cfg(test)]
mod tests;
