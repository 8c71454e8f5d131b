//! The command line, with the text that `--help` and the man pages show.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{agent, capture, explain, flows, top};

/// Looks after the nodes of a palier site.
///
/// Exit codes: 0; 1 if something was refused or not reached, with the reasons; 2 for wrong usage.
#[derive(Debug, Parser)]
#[command(name = "palierctl", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Where the sockets of palier-control and palier-dataplane lie.
    #[arg(long, value_name = "DIR", default_value = "/run/palier", global = true)]
    pub(crate) run_dir: PathBuf,
    /// Which palier-control of this host is asked. [default: the one that has a socket, l4 before l7 before dns]
    #[arg(long, value_name = "ROLE", global = true)]
    pub(crate) role: Option<Role>,
    /// JSON on standard output, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colours: on a terminal alone, unless NO_COLOR is set.
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: When,
}

/// A role of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Forwards packets to the L7 nodes.
    L4,
    /// Takes them out of tunnels, and is the proxy.
    L7,
    /// Serves zones.
    Dns,
}

impl Role {
    /// As it stands in the name of the socket.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::L4 => "l4",
            Self::L7 => "l7",
            Self::Dns => "dns",
        }
    }
}

/// When there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what is wrong with a site file, or what it makes: services, shares, the edge's filter.
    Check(Check),
    /// How everything stands, as this node sees it.
    Status(Status),
    /// Where a flow goes, and why.
    Explain(explain::Flags),
    /// The connections that this node remembers.
    Flows(flows::Flags),
    /// Packets as they pass, with what became of each; to a pcap file if asked.
    Capture(capture::Flags),
    /// Sends a node no new flows, or a server no new requests; what they have stays until it ends.
    Drain(State),
    /// Sends a node no new flows, or a server nothing; flows go to other nodes after `drain_timeout`.
    Maintain(State),
    /// Takes a drain or a maintenance back.
    Ready(State),
    /// Gives a server a part of its weight, or more than that.
    Weight(Weight),
    /// Takes a service's VIPs back from the routers, until `announce`.
    ///
    /// A VIP that other services share goes with this one, unless its `bgp.required` is false.
    Withdraw(Announce),
    /// Takes a `withdraw` back.
    Announce(Announce),
    /// Says that addresses, their checks, or datacenters are up or down, whatever checks say.
    ///
    /// On every dns node, over restarts, until `auto`. Of several patterns that match the last one that was
    /// said holds.
    Force(Force),
    /// What dns nodes answer, and texts that they answer for ACME clients.
    Dns(Dns),
    /// Starts palier-control anew, which may be another release by now.
    ///
    /// Its process id stays, and routers keep the routes meanwhile.
    Upgrade(Upgrade),
    /// Makes palier-control read the site file again.
    Reload(Reload),
    /// Live view of rates, nodes and drops.
    ///
    /// Keys: q ends, Tab and the left and right arrows choose a panel, up and down scroll.
    Top(top::Flags),
    /// Starts palier-dataplane with the flags that the site file gives this node.
    Dataplane(Dataplane),
    /// The agent-check server that runs on servers: tells load balancers how this host is.
    ///
    /// The file's first line is the answer: words of HAProxy's agent-check such as `up`, `down`, `drain`,
    /// `maint`, `ready`, `50%`, `up 75% # text`. Without a file the answer is `up`; an empty file, or one
    /// that cannot be read, says nothing (a comment), so that load balancers leave everything as it is.
    /// `maint` and `drain` last until `ready`: to take the file away is not enough.
    Agent(agent::Flags),
    /// The site's certificates, by which its nodes know each other.
    Pki(Pki),
    /// Prints a shell's completions.
    Completions(Completions),
    /// Prints the man page, or writes one for each command.
    Man(Man),
}

/// `palierctl check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The site file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write indexes into the file for the L7 nodes that have none.
    #[arg(long)]
    pub(crate) assign: bool,
    /// Say what would change: `running` is what the dataplane of this host has.
    #[arg(long, value_name = "WHAT")]
    pub(crate) against: Option<Against>,
    /// How the filter for routers at the edge is written.
    #[arg(long, value_name = "FORM", default_value = "nftables")]
    pub(crate) edge: Edge,
}

/// A form of the edge's filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Edge {
    /// A line for each rule, in words.
    Rules,
    /// For a Linux router: `nft -f`.
    Nftables,
    /// In the manner of Cisco IOS.
    Ios,
}

/// What a file is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Against {
    /// The Snapshot in force on this host.
    Running,
}

/// `palierctl status`
#[derive(Debug, Default, Args)]
pub(crate) struct Status {
    /// Only this service, with its checks.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Only this node, with its checks.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
}

/// `palierctl drain`, `maintain` and `ready`
#[derive(Debug, Args)]
pub(crate) struct State {
    /// Name of the node in the site file; or POOL/SERVER: typed on an L7 node for it alone, on an L4
    /// node for all L7 nodes.
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// Wait: for the end of the node's connections; after `ready` until every service uses it.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait.
    #[arg(
        long, value_name = "TIME", default_value = "10m", requires = "wait",
        value_parser = humantime::parse_duration
    )]
    pub(crate) timeout: Duration,
}

/// `palierctl weight`
#[derive(Debug, Args)]
pub(crate) struct Weight {
    /// POOL/SERVER: typed on an L7 node for it alone, on an L4 node for all L7 nodes.
    #[arg(value_name = "SERVER")]
    pub(crate) server: String,
    /// Of the weight that the site file gives it: `50%`; `0%` for no new requests, `100%` takes it back.
    #[arg(value_name = "PERCENT", value_parser = percent)]
    pub(crate) percent: u16,
}

/// Highest share of a weight.
const MOST: u16 = 1000;

fn percent(text: &str) -> Result<u16, String> {
    let number = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
    let expected = || format!("it is not from 0% to {MOST}%, as 50%");
    number.filter(|percent| *percent <= MOST).ok_or_else(expected)
}

/// `palierctl reload`
#[derive(Debug, Args)]
pub(crate) struct Reload {
    /// Accept what breaks connections: the last node or VIP taken from a service, another hash key
    /// or number of rows.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `palierctl dataplane`
#[derive(Debug, Args)]
pub(crate) struct Dataplane {
    /// The site file.
    #[arg(long, value_name = "FILE")]
    pub(crate) site: PathBuf,
    /// This node. [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Print the command line instead of running it.
    #[arg(long)]
    pub(crate) print: bool,
    /// Further flags for palier-dataplane.
    #[arg(last = true, value_name = "FLAGS")]
    pub(crate) flags: Vec<OsString>,
}

/// `palierctl withdraw`, `palierctl announce`
#[derive(Debug, Args)]
pub(crate) struct Announce {
    /// The service.
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
    /// On every L4 node instead of this one alone.
    #[arg(long)]
    pub(crate) all_nodes: bool,
}

/// `palierctl force`
#[derive(Debug, Args)]
pub(crate) struct Force {
    /// ADDRESS, ADDRESS/CHECK (`198.51.100.1/http`) or PLUGIN/RESOURCE/DATACENTER (`metafo/www/par1`), with
    /// `*` and `?`.
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: String,
    /// What it is.
    #[arg(value_name = "STATE")]
    pub(crate) state: Forced,
    /// Seconds that answers live meanwhile. [default: as the checks have it]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) ttl: Option<u32>,
}

/// What something is forced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Forced {
    /// It is given.
    Up,
    /// It is not.
    Down,
    /// As its checks say.
    Auto,
}

/// `palierctl dns`
#[derive(Debug, Args)]
pub(crate) struct Dns {
    #[command(subcommand)]
    pub(crate) command: DnsCommand,
}

/// What is wanted of dns nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// What this node answers to a question, and why.
    Query(Query),
    /// Has every dns node answer a text for ten minutes: the dns-01 challenge of ACME.
    Challenge(Challenge),
}

/// `palierctl dns query`
#[derive(Clone, Debug, Args)]
pub(crate) struct Query {
    /// The name.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The type of record: `A`, `AAAA`, `TXT`, `TYPE65`, ...
    #[arg(value_name = "TYPE", default_value = "A")]
    pub(crate) rtype: String,
    /// Whoever would ask: answers may depend on it.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client: Option<std::net::IpAddr>,
}

/// `palierctl dns challenge`
#[derive(Clone, Debug, Args)]
pub(crate) struct Challenge {
    /// Where: `_acme-challenge.example.org`.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What the ACME client gives.
    #[arg(value_name = "TEXT")]
    pub(crate) text: String,
    /// It is not answered any more.
    #[arg(long)]
    pub(crate) remove: bool,
}

/// `palierctl upgrade`
#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// The dataplane instead: it prepares the routers, ends, and is started anew by systemd.
    ///
    /// Routers keep the routes, and connections last. Returns once it forwards again.
    #[arg(long)]
    pub(crate) dataplane: bool,
}

/// `palierctl pki`
#[derive(Debug, Args)]
pub(crate) struct Pki {
    #[command(subcommand)]
    pub(crate) command: PkiCommand,
}

/// What is to be done with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Makes the site's certificate authority.
    Init {
        /// Folder to make it in.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// The site's name.
        #[arg(long, value_name = "NAME")]
        site: String,
    },
    /// Makes a node's key and certificate.
    Issue {
        /// The node's name in the site file.
        #[arg(value_name = "NODE")]
        node: String,
        /// Folder of the authority.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Folder to write to. [default: the authority's]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// How long it is valid.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
    },
    /// Lists certificates: whose, and until when.
    Show {
        /// Their folder.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// `palierctl completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// `palierctl man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write palierctl.1 and a page for each command into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_description_of_flags_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_the_dataplane_go_behind_two_dashes() {
        let line = ["palierctl", "dataplane", "--site", "s.toml", "--", "--verbose"];
        let Command::Dataplane(flags) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command")
        };
        assert_eq!(flags.flags, ["--verbose"]);
    }
}
