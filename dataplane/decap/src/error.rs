use std::error;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use api::Prefix;
use thiserror::Error;

use crate::Hook;
use crate::attachment::is_taken;

/// What to do on a kernel that cannot run the program.
pub const STOCK_RECIPE: &str = "the kernel's own tunnels do as well: one `ipip` or `ip6tnl` \
    tunnel per L4 node with `remote`, the fallback devices tunl0 and ip6tnl0 left down, and a \
    packet filter that takes IP protocols 4 and 41 from the L4 nodes alone";

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
    /// The program was not detached; what is left of it drops and lets through as before.
    #[error("cannot detach from {interface} by {hook}")]
    Detach {
        /// Where.
        interface: String,
        /// How.
        hook: Hook,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The attachment cannot be pinned, or what is pinned there cannot be taken over.
    #[error("cannot pin at {}, which has to be free, or ours, and on a bpffs", path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A table of the program cannot be written or read. After an update some of the old rules
    /// may still be there, beside some of the new ones.
    #[error("cannot use the eBPF program's tables")]
    Table(#[source] libbpf_rs::Error),
}

impl Error {
    /// The error and its causes in one sentence, which ends with [`STOCK_RECIPE`] if the kernel, or
    /// what it permits, stands in the way.
    pub fn sentence(&self) -> String {
        let causes = std::iter::successors(error::Error::source(self), |cause| cause.source());
        let why = causes.fold(self.to_string(), |why, cause| format!("{why}: {cause}"));
        if self.is_kernels() { format!("{why}; {STOCK_RECIPE}") } else { why }
    }

    /// Whether nothing in the settings would help.
    fn is_kernels(&self) -> bool {
        match self {
            Self::NotPermitted(_) | Self::Load(_) => true,
            Self::Attach { source, .. } => !is_taken(source),
            Self::NoInterface(_)
            | Self::NotEthernet(_)
            | Self::Interfaces(_)
            | Self::TooMany { .. }
            | Self::VipIsAddress { .. }
            | Self::Detach { .. }
            | Self::Pin { .. }
            | Self::Table(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    fn attach(errno: Errno) -> Error {
        Error::Attach { interface: "eth0".into(), hook: Hook::Clsact, source: errno.into() }
    }

    #[test]
    fn a_kernel_without_the_hook_is_said_to_be_with_what_to_do_instead() {
        let said = attach(Errno::EOPNOTSUPP).sentence();
        assert!(said.starts_with("cannot attach to eth0 by clsact: Operation not supp"), "{said}");
        assert!(said.ends_with(STOCK_RECIPE), "{said}");
    }

    #[test]
    fn a_hook_that_is_taken_is_no_reason_for_tunnel_devices() {
        let said = attach(Errno::EBUSY).sentence();
        assert!(!said.contains(STOCK_RECIPE), "{said}");
    }
}
