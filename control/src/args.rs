//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use config::{Config, Peering};

/// Runs one role of a node: what is checked, told and served of it.
///
/// An L4 node's drives the dataplane by health checks and operators' states, and announces VIPs; an L7
/// node's takes packets out of tunnels, and is the proxy; a dns node's answers for the site's zones.
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
    /// Where operators' words are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/palier")]
    pub state_dir: PathBuf,
    /// Where an L7 node keeps what outlives its control in the kernel: on a bpffs, which is mounted if need be
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/palier")]
    pub bpf_dir: PathBuf,
    /// Takes over from the process that started this one
    #[arg(long, hide = true)]
    pub take_over: bool,
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
    /// Health checks, BGP, and the dataplane.
    L4,
    /// Decapsulation, and the proxy.
    L7,
    /// Zones, and answers that follow health checks.
    Dns,
}

impl Role {
    /// Its name in file names and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L4 => "l4",
            Self::L7 => "l7",
            Self::Dns => "dns",
        }
    }

    /// The port at which its peers speak with it.
    pub const fn peer_port(self, peering: &Peering) -> u16 {
        match self {
            Self::L4 => peering.port,
            // The site file leaves room for them.
            Self::L7 => peering.port + 1,
            Self::Dns => peering.port + 2,
        }
    }

    /// The role of a node of this site.
    ///
    /// # Errors
    /// It has none, or another than `wanted`.
    pub fn of(config: &Config, node: &str, wanted: Option<Self>) -> Result<Self, String> {
        let has = |role: &Self| role.names(config).any(|name| name == node);
        let roles: Vec<_> = Self::ALL.into_iter().filter(has).collect();
        match (&roles[..], wanted) {
            (_, Some(wanted)) if roles.contains(&wanted) => Ok(wanted),
            (&[only], None) => Ok(only),
            (&[_, _, ..], None) => {
                let roles: Vec<_> = roles.into_iter().map(Self::name).collect();
                let roles = roles.join(", ");
                Err(format!("{node} has several roles ({roles}): --role says which is to be run"))
            }
            (_, wanted) => Err(Self::missing(config, node, wanted)),
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::L4, Self::L7, Self::Dns];

    /// Names of the nodes that have it.
    fn names(self, config: &Config) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::L4 => Box::new(config.l4.iter().map(|one| one.name.as_str())),
            Self::L7 => Box::new(config.l7.iter().map(|one| one.name.as_str())),
            Self::Dns => Box::new(config.dns.iter().map(|one| one.name.as_str())),
        }
    }

    /// That no node of this role, or of any, has this name.
    pub(crate) fn missing(config: &Config, node: &str, role: Option<Self>) -> String {
        let kinds = match role {
            Some(Self::L4) => "[[l4]]",
            Some(Self::L7) => "[[l7]]",
            Some(Self::Dns) => "[[dns]]",
            None => "[[l4]], [[l7]] or [[dns]]",
        };
        let roles = Self::ALL.into_iter().filter(|one| role.is_none_or(|role| role == *one));
        let names: Vec<_> = roles.flat_map(|role| role.names(config)).collect();
        let names = names.join(", ");
        format!("no {kinds} is named `{node}` (there are: {names}): --node says which is this one")
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
