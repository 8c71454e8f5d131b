//! The flags themselves, with the text that `--help` shows.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};

use super::{UsageError, cores, device, exception, mac};

/// The L4 forwarder of palier: receives packets for VIPs by DPDK and sends them, tunnelled, to L7
/// nodes.
#[derive(Debug, Parser)]
#[command(name = "palier-dataplane", bin_name = "palier-dataplane", version)]
pub(super) struct Flags {
    /// A port: PCI address or virtual device of DPDK with its arguments. May be repeated.
    ///
    /// Examples: 0000:3b:00.0,queues=4 / net_tap0,iface=wire0,queues=2 / net_af_packet0,iface=veth0 /
    /// net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap. Without queues= it has one queue per core, or as
    /// many as the device has.
    #[arg(long = "port", value_name = "DEVICE[,queues=N]", required = true)]
    pub(super) ports: Vec<device::Spec>,
    /// CPUs of the workers, one each: 2-5,8.
    #[arg(long, value_name = "CPUS")]
    pub(super) cores: cores::Cores,
    /// The kernel's way to the network: tap:INTERFACE[,mac=MAC] or vdev:DEVICE,iface=INTERFACE,...
    ///
    /// The n-th belongs to the n-th port. Without any, --next-hop is needed, and what is for the
    /// node itself is dropped.
    #[arg(long = "exception", value_name = "INTERFACE")]
    pub(super) exceptions: Vec<exception::Spec>,
    /// VLAN tag of the packets on the ports.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub(super) vlan: Option<u16>,
    /// Where the socket, dataplane.sock, is made.
    #[arg(long, value_name = "DIR", default_value = "/run/palier")]
    pub(super) run_dir: PathBuf,
    /// Where the connection tables are kept: on tmpfs. [default: the run dir]
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Snapshot (JSON) to start with.
    #[arg(long, value_name = "FILE")]
    pub(super) snapshot: Option<PathBuf>,
    /// Send everything to this link address, instead of following the kernel's routes and neighbors.
    #[arg(long, value_name = "MAC", value_parser = mac::parse)]
    pub(super) next_hop: Option<[u8; 6]>,
    /// Connections that each worker can remember.
    #[arg(
        long, value_name = "N", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) connections: u32,
    /// Keep addresses and ports of the connections, to be shown.
    #[arg(long)]
    pub(super) flow_details: bool,
    /// What a worker does when nothing comes.
    #[arg(long, value_name = "HOW", default_value = "busy")]
    pub(super) idle: Idle,
    /// Longest IP packet on the ports, in bytes. [default: the device's own]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1280..))]
    pub(super) mtu: Option<u16>,
    /// Log more, DPDK's lines too.
    #[arg(long)]
    pub(super) verbose: bool,
}

/// What a worker does when nothing comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Idle {
    /// Polls on: the CPU is its own.
    #[default]
    Busy,
    /// Sleeps, briefly: the CPU is shared.
    Adaptive,
}

impl From<&clap::Error> for UsageError {
    /// clap's first paragraph in one line, without the usage that follows.
    fn from(error: &clap::Error) -> Self {
        let text = error.to_string();
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return Self::Asked(text);
        }
        let paragraph = text.split("\n\n").next().unwrap_or_default();
        let words: Vec<_> = paragraph.split_whitespace().collect();
        let sentence = words.join(" ");
        Self::Flag(sentence.strip_prefix("error: ").unwrap_or(&sentence).into())
    }
}
