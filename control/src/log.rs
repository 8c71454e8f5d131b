//! Log lines: text, JSON, or systemd's journal.

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Args, LogFormat};

/// Why nothing can be logged.
#[derive(Debug, Error)]
pub enum Unlogged {
    /// The filter is malformed.
    #[error("--log {0}: {1}")]
    Filter(String, tracing_subscriber::filter::ParseError),
    /// There is no journal.
    #[error("--log-format journald: {0}")]
    Journal(std::io::Error),
}

/// Logs from now on.
///
/// # Errors
/// The filter is malformed, or there is no journal.
pub fn start(args: &Args) -> Result<(), Unlogged> {
    let filter =
        EnvFilter::try_new(&args.log).map_err(|error| Unlogged::Filter(args.log.clone(), error))?;
    let registry = tracing_subscriber::registry().with(filter);
    let colours = std::io::IsTerminal::is_terminal(&std::io::stdout());
    match args.log_format {
        LogFormat::Text => {
            registry.with(tracing_subscriber::fmt::layer().with_ansi(colours)).init();
        }
        LogFormat::Json => registry.with(tracing_subscriber::fmt::layer().json()).init(),
        LogFormat::Journald => {
            registry.with(tracing_journald::layer().map_err(Unlogged::Journal)?).init();
        }
    }
    Ok(())
}
