//! Where the program meets the packets.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use libbpf_rs::ProgramHandle;

use crate::clsact::Filter;
use crate::link::{self, Link, Point};
use crate::skeleton::DecapProgs;

/// Where the program meets the packets.
///
/// TC sees what the kernel's GRO has put together, so fewer packets, at any MTU; XDP is there
/// before the kernel has spent anything on a packet, so it is cheaper per packet and for drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// TC ingress by bpf_link (kernel 6.6). Others' programs may be attached beside it.
    Tcx,
    /// TC ingress by a filter of a clsact qdisc. Before kernel 6.3 it takes only packets out whose
    /// family is the outer packet's; others are counted as [`DropAdjust`](crate::Counter).
    Clsact,
    /// XDP in the driver. One program per interface.
    Xdp,
    /// XDP after the driver, for drivers that have none. One program per interface.
    XdpGeneric,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 4] = [Self::Tcx, Self::Clsact, Self::Xdp, Self::XdpGeneric];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
        }
    }

    pub(crate) fn best(ifindex: i32) -> Self {
        if link::has_tcx(ifindex) { Self::Tcx } else { Self::Clsact }
    }

    pub(crate) fn is_xdp(self) -> bool {
        match self {
            Self::Tcx | Self::Clsact => false,
            Self::Xdp | Self::XdpGeneric => true,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The program at its hook. Detached on drop.
#[derive(Debug)]
pub(crate) struct Attachment {
    hook: Hook,
    _kept: Kept,
}

/// What is dropped to detach the program.
#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
enum Kept {
    Link(Link),
    Filter(Filter),
}

impl Attachment {
    pub(crate) fn new(programs: &DecapProgs<'_>, ifindex: i32, hook: Hook) -> io::Result<Self> {
        let (tc, xdp) = (&programs.decap_tc, &programs.decap_xdp);
        let kept = match hook {
            Hook::Tcx => Kept::Link(Link::attach(tc.as_fd(), ifindex, Point::Tcx)?),
            Hook::Clsact => {
                let program = ProgramHandle::try_from(tc).map_err(io::Error::other)?;
                Kept::Filter(Filter::attach(program, ifindex)?)
            }
            Hook::Xdp => Kept::Link(Link::attach(xdp.as_fd(), ifindex, Point::XdpNative)?),
            Hook::XdpGeneric => Kept::Link(Link::attach(xdp.as_fd(), ifindex, Point::XdpGeneric)?),
        };
        Ok(Self { hook, _kept: kept })
    }

    pub(crate) fn hook(&self) -> Hook {
        self.hook
    }
}
