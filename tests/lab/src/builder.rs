use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use nix::unistd::geteuid;

use crate::address::{MAX_CLIENTS, MAX_L4, MAX_L7, MAX_ROUTERS, MAX_SERVERS, VIP, VIP6};
use crate::control::CONTROL;
use crate::l4::{DATAPLANE, PALIERCTL};
use crate::{Error, Flags, Lab, Wire, cleanup, program};

/// How L4 nodes and routers speak.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bgp {
    pub(crate) bfd: Option<Bfd>,
}

/// Timers of BFD between L4 nodes and routers.
#[derive(Clone, Copy, Debug)]
pub struct Bfd {
    /// Between two packets.
    pub interval: Duration,
    /// How many may be missing.
    pub multiplier: u8,
}

impl Bfd {
    /// What tests use that measure it: a peer is dead after 300 ms.
    pub const FAST: Self = Self { interval: Duration::from_millis(100), multiplier: 3 };
    /// What all others use: a machine that is busy with other things loses no session.
    pub const CALM: Self = Self { interval: Duration::from_millis(300), multiplier: 5 };
}

/// What the lab shall have; [`Lab::new`] makes one.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pub(crate) routers: usize,
    pub(crate) l4: usize,
    pub(crate) l7: usize,
    pub(crate) clients: usize,
    pub(crate) wire: Wire,
    pub(crate) flags: Flags,
    pub(crate) dataplanes: bool,
    pub(crate) control: bool,
    pub(crate) bgp: Option<Bgp>,
    pub(crate) decapsulators: bool,
    pub(crate) tunnel_sources: bool,
    pub(crate) servers: usize,
    pub(crate) signals: bool,
    /// Of the services, IPv4 and IPv6.
    pub(crate) vips: [IpAddr; 2],
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            routers: 1,
            l4: 2,
            l7: 3,
            clients: 1,
            wire: Wire::default(),
            flags: Flags::default(),
            dataplanes: true,
            control: false,
            bgp: None,
            decapsulators: true,
            tunnel_sources: false,
            servers: 0,
            signals: true,
            vips: [VIP.into(), VIP6.into()],
        }
    }

    /// Edge routers: 1 (the default) or 2. Clients and L7 nodes use all of them.
    pub fn routers(mut self, count: usize) -> Self {
        assert!((1..=MAX_ROUTERS).contains(&count), "1 to {MAX_ROUTERS} routers");
        self.routers = count;
        self
    }

    /// L4 nodes; 2 by default, at most 8. With none the routers spread the VIPs over the L7 nodes
    /// themselves, which needs neither dataplane nor decapsulator.
    pub fn l4(mut self, count: usize) -> Self {
        assert!(count <= MAX_L4, "at most {MAX_L4} L4 nodes");
        self.l4 = count;
        self
    }

    /// L7 nodes; 3 by default, at most 100.
    pub fn l7(mut self, count: usize) -> Self {
        assert!((1..=MAX_L7).contains(&count), "1 to {MAX_L7} L7 nodes");
        self.l7 = count;
        self
    }

    /// Clients; 1 by default, at most 100.
    pub fn clients(mut self, count: usize) -> Self {
        assert!((1..=MAX_CLIENTS).contains(&count), "1 to {MAX_CLIENTS} clients");
        self.clients = count;
        self
    }

    /// What the dataplanes receive from and send on.
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// How the dataplanes are started.
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// Leaves the dataplanes to [`Lab::start_dataplane`] or [`L4::start`](crate::L4::start).
    pub fn without_dataplanes(mut self) -> Self {
        self.dataplanes = false;
        self
    }

    /// Starts a `palier-control` beside each dataplane: it checks the L7 nodes and says what the
    /// dataplane has. Without it the test does, by [`Lab::drain`] and the like.
    pub fn control(mut self) -> Self {
        self.control = true;
        self
    }

    /// Has the routers learn the VIPs by BGP, from every L4 node's control: BIRD runs on each of them.
    /// An internet router stands between clients and routers, and spreads flows over those.
    pub fn bgp(mut self) -> Self {
        self.bgp = Some(Bgp::default());
        self.control()
    }

    /// The same, and BFD beside it.
    pub fn bfd(mut self, bfd: Bfd) -> Self {
        self = self.bgp();
        self.bgp = Some(Bgp { bfd: Some(bfd) });
        self
    }

    /// Has the site file give [`TUNNEL_SOURCES`](crate::TUNNEL_SOURCES) to the first L4 node.
    pub fn tunnel_sources(mut self) -> Self {
        self.tunnel_sources = true;
        self
    }

    /// Makes the L7 nodes proxies, with so many servers behind them: nginx on each, with its agent. 0 (the
    /// default) has the L7 nodes answer themselves.
    pub fn servers(mut self, count: usize) -> Self {
        assert!(count <= MAX_SERVERS, "at most {MAX_SERVERS} servers");
        self.servers = count;
        self
    }

    /// Leaves the L7 nodes without control, and so without a decapsulator: they do not understand what an
    /// L4 node sends.
    pub fn without_decapsulators(mut self) -> Self {
        self.decapsulators = false;
        self
    }

    /// Gives the services other VIPs of the same prefixes, where there is control and servers: of several labs
    /// that are joined each has its own.
    pub fn vips(mut self, v4: Ipv4Addr, v6: Ipv6Addr) -> Self {
        self.vips = [v4.into(), v6.into()];
        self
    }

    /// Leaves SIGINT and SIGTERM to the caller, who then drops the lab.
    pub fn without_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    /// As [`Self::try_start`].
    ///
    /// # Panics
    /// It did not come up; the message says why.
    pub fn start(self) -> Lab {
        self.try_start().unwrap_or_else(|error| panic!("the lab did not come up: {error}"))
    }

    /// Brings the lab up: when this returns, requests to a VIP are answered.
    ///
    /// # Errors
    /// This is not root, a program is missing, or a part did not come up. Nothing is left behind.
    pub fn try_start(self) -> Result<Lab, Error> {
        if !geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        program::require("ip", "iproute2")?;
        program::require("ethtool", "ethtool")?;
        if self.l4 > 0 && self.decapsulators {
            program::find(CONTROL)?;
        }
        if self.l4 > 0 && self.dataplanes {
            program::find(DATAPLANE)?;
            program::find(PALIERCTL)?;
        }
        if self.control {
            program::find(CONTROL)?;
        }
        if self.bgp.is_some() {
            program::require("bird", "bird2")?;
        }
        if self.servers > 0 {
            program::require("nginx", "nginx")?;
        }
        cleanup::remove_stale();
        if self.signals {
            cleanup::remove_on_signal();
        }
        let mut lab = Lab::empty(&self)?;
        lab.build(&self)?;
        Ok(lab)
    }
}
