//! Decapsulation on an L7 node: IP-in-IP from the L4 nodes, to the VIPs, and nothing else.
//!
//! An eBPF program, `decap.bpf.c`, takes the outer header off before the kernel looks at the
//! packet, so no tunnel device is needed: the VIPs stand on `lo`, and what was addressed to them
//! arrives on the interface as if the client had sent it here. This crate loads the program,
//! attaches it to an interface, and reads its counters.
//!
//! ```text
//!   not a tunnel, or not to this node -> the kernel, untouched
//!   outer source not allowed, fragment, options, inner packet malformed or not to a VIP -> dropped
//!   ECN per RFC 6040, outer header off -> the kernel, as the client's packet
//! ```
//! Each of these is a [`Counter`].
//!
//! Source addresses are no proof: whoever can send with an L4 node's address reaches the VIPs past
//! the L4 tier. The network's edge must refuse IP protocols 4 and 41 from outside.
//!
//! Outer fragments are dropped, as both hooks come before reassembly: give the network between the
//! tiers an MTU of 40 bytes more than the clients', or the L7 node's routes an `advmss`.
//!
//! On a VLAN attach to the VLAN's interface: a tag that is still in the frame hides the tunnel.
//!
//! # Restarts
//! An attachment that is pinned ([`Settings::pin`]) outlives its process: after a crash, and while
//! a new version starts, packets go on by the rules that were set last. The next process takes it
//! over by [`Decap::attach`], by the same path, without missing a packet. Its counters begin anew:
//! they are the program's, and the program is a new one.
//!
//! Another hook, or another interface, is attached first where the kernel lets two be attached, and
//! then the old one is detached. Both together, XDP sees packets first and TC what is left of them,
//! so with [`Rules::tunnel_only`] a change of hook may drop packets for an instant.
//!
//! clsact needs no pin: a filter has a fixed place, where it stays and is found. One that was left
//! on another interface is not found; detach it before the interface changes.

mod attachment;
mod bpffs;
mod clsact;
mod counters;
mod error;
mod hook;
mod interface;
mod link;
mod program;
mod rules;
mod skeleton;
mod table;
#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

pub use bpffs::{PinFolderError, pin_folder, pin_name};
pub use counters::Counter;
pub use error::{Error, STOCK_RECIPE};
pub use hook::Hook;
pub use interface::addresses;
pub use rules::Rules;

use attachment::Attachment;
use table::Tables;

/// What to attach, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the interface on which the L4 nodes' packets arrive.
    pub interface: String,
    /// How to attach. None: by [`Hook::Tcx`] if the kernel has it, else by [`Hook::Clsact`].
    pub hook: Option<Hook>,
    /// Where the attachment is pinned, on a bpffs ([`pin_folder`], [`pin_name`]), so that it
    /// outlives the process. None: it ends with the process, but for clsact's.
    pub pin: Option<PathBuf>,
    /// Which packets to let through.
    pub rules: Rules,
}

/// The attached program. With [`Settings::pin`] it stays attached when this is dropped, for the next
/// process; without, it is detached on drop.
#[derive(Debug)]
pub struct Decap {
    interface: String,
    attachment: Attachment,
    tables: Tables,
}

/// Detaches what an earlier process of this node has left pinned in the folder ([`pin_name`]) for interfaces
/// that are not among `kept`: they were taken out of the settings, or renamed, while no process ran. Returns
/// the names of those pins.
///
/// # Errors
/// [`Error::Pin`].
pub fn detach_left(folder: &Path, node: &str, kept: &[String]) -> Result<Vec<String>, Error> {
    attachment::detach_left(folder, node, kept)
}

impl Decap {
    /// Loads the program, sets its rules, then attaches it, or takes over what is pinned.
    ///
    /// # Errors
    /// See [`Error`]. Nothing new is left attached; what was pinned before may be.
    pub fn attach(settings: &Settings) -> Result<Self, Error> {
        let ifindex = interface::index(&settings.interface)?;
        let hook = settings.hook.unwrap_or_else(|| Hook::best(ifindex));

        let mut object = MaybeUninit::uninit();
        let program = program::load(&mut object, hook)?;
        let mut tables = Tables::new(&program.maps)?;
        tables.set(&settings.rules)?;
        let attachment = Attachment::new(&program.progs, ifindex, hook, settings)?;
        Ok(Self { interface: settings.interface.clone(), attachment, tables })
    }

    /// Detaches the program, pinned or not, and unpins it. What another process has taken over
    /// since is left to it.
    ///
    /// # Errors
    /// [`Error::Detach`].
    pub fn detach(self) -> Result<(), Error> {
        let Self { interface, attachment, .. } = self;
        let hook = attachment.hook();
        attachment.detach().map_err(|source| Error::Detach { interface, hook, source })
    }

    /// How it is attached.
    pub fn hook(&self) -> Hook {
        self.attachment.hook()
    }

    /// Whether it is attached still: an interface that was made anew under its name has nothing attached, and
    /// operators remove qdiscs. If not, [`Self::attach`] it again.
    ///
    /// # Errors
    /// There is no such interface, or the kernel does not say.
    pub fn is_in_place(&self) -> Result<bool, Error> {
        let ifindex = interface::index(&self.interface)?;
        let failed = |source| {
            let (interface, hook) = (self.interface.clone(), self.hook());
            Error::Attach { interface, hook, source }
        };
        self.attachment.is_in_place(ifindex).map_err(failed)
    }

    /// Replaces the rules. Packets that both the old rules and the new ones let through are let
    /// through all the while.
    ///
    /// # Errors
    /// Rules that are refused change nothing; see [`Error::Table`] for those that failed.
    pub fn update(&mut self, rules: &Rules) -> Result<(), Error> {
        self.tables.set(rules)
    }

    /// All counters, since the program was attached.
    ///
    /// # Errors
    /// [`Error::Table`].
    pub fn counters(&self) -> Result<Vec<(Counter, u64)>, Error> {
        self.tables.counters()
    }
}
