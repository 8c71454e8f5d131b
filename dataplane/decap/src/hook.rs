//! Where the program meets the packets.

use std::fmt;

use crate::link::{self, Point};

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

    /// Its name in configuration, output and messages.
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

    /// Where a link attaches to. None: it is a filter.
    pub(crate) fn point(self) -> Option<Point> {
        match self {
            Self::Tcx => Some(Point::Tcx),
            Self::Clsact => None,
            Self::Xdp => Some(Point::XdpNative),
            Self::XdpGeneric => Some(Point::XdpGeneric),
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
