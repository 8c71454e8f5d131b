use std::io;
use std::net::IpAddr;

use api::Prefix;
use thiserror::Error;

use crate::Hook;

/// Why packets are not decapsulated, or not by the rules asked for.
#[derive(Debug, Error)]
pub enum Error {
    /// The interface does not exist in this network namespace.
    #[error("there is no interface {0}")]
    NoInterface(String),
    /// The program reads Ethernet headers.
    #[error("{0} is not an Ethernet interface")]
    NotEthernet(String),
    /// The system does not say which interfaces there are.
    #[error("cannot list the interfaces")]
    Interfaces(#[source] io::Error),
    /// A list is longer than its table.
    #[error("{count} {what} are more than the {most} there is room for")]
    TooMany {
        /// What the list is of.
        what: &'static str,
        /// Its length.
        count: usize,
        /// The longest there may be.
        most: usize,
    },
    /// The tunnel would lead to the node itself, past whatever protects it.
    #[error("the VIP prefix {vip} covers {address}, an address of this node")]
    VipIsAddress {
        /// The prefix.
        vip: Prefix,
        /// The node's address.
        address: IpAddr,
    },
    /// The process may not load eBPF programs.
    #[error("eBPF needs root, or CAP_BPF and CAP_NET_ADMIN")]
    NotPermitted(#[source] libbpf_rs::Error),
    /// The kernel refuses the program; it is older than 5.18 or was built without eBPF.
    #[error("the kernel refuses the eBPF program")]
    Load(#[source] libbpf_rs::Error),
    /// The program was loaded but not attached.
    #[error("cannot attach to {interface} by {hook}")]
    Attach {
        /// Where.
        interface: String,
        /// How.
        hook: Hook,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A table of the program cannot be written or read. After an update some of the old rules
    /// may still be there, beside some of the new ones.
    #[error("cannot use the eBPF program's tables")]
    Table(#[source] libbpf_rs::Error),
}
