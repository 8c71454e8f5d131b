//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Health checks and operator states drive the dataplane of an L4 node.
#[derive(Clone, Debug, Parser)]
#[command(name = "palier-control", version, max_term_width = 100)]
pub struct Args {
    /// The site file
    #[arg(long, value_name = "FILE", default_value = "/etc/palier/site.toml")]
    pub site: PathBuf,
    /// This node's name in it [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Which of its roles to run; needed if it has several
    #[arg(long, value_name = "ROLE")]
    pub role: Option<Role>,
    /// Where sockets lie: dataplane.sock, control-ROLE.sock
    #[arg(long, value_name = "DIR", default_value = "/run/palier")]
    pub run_dir: PathBuf,
    /// Where operators' states of nodes are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/palier")]
    pub state_dir: PathBuf,
    /// Where /metrics is told: a loopback address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9469", value_parser = loopback)]
    pub metrics: SocketAddr,
    /// Group that may use the admin socket
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// What is logged: `info`, `debug`, `warn,control::steer=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "PALIER_LOG")]
    pub log: String,
    /// Where to
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub log_format: LogFormat,
}

/// A node's part in the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Health checks, and the dataplane.
    L4,
}

impl Role {
    /// Its name in file names and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L4 => "l4",
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines to standard output
    Text,
    /// JSON lines to standard output
    Json,
    /// systemd's journal, with fields
    Journald,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| format!("`{text}` is not ADDRESS:PORT (127.0.0.1:9469)"))?;
    if crate::admin::metrics::is_allowed(&address) {
        Ok(address)
    } else {
        Err(format!("{} is not a loopback address: metrics are for this machine", address.ip()))
    }
}
