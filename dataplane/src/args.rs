//! The command line: text in, [`Settings`] or one clear sentence out.
//!
//! What the operator wrote is checked here once; whoever holds a [`Settings`] trusts it. What only
//! the machine knows (whether the device exists, how many queues it has) is found out later.

mod cores;
mod device;
mod exception;
mod flags;
mod mac;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use thiserror::Error;

pub(crate) use device::{Bus, Device};
pub(crate) use exception::Exception;
use flags::Flags;
pub(crate) use flags::Idle;

/// What the process shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where packets come from and leave by; at least one.
    pub(crate) ports: Vec<Port>,
    /// CPUs of the workers, in the order given; at least one, none twice, all allowed.
    pub(crate) cores: Vec<usize>,
    /// The port's VLAN tag, on packets that arrive and leave.
    pub(crate) vlan: Option<u16>,
    /// Where the socket lies.
    pub(crate) run_dir: PathBuf,
    /// Where the connection tables lie. On tmpfs, or they are slow and outlive a reboot in vain.
    pub(crate) state_dir: PathBuf,
    /// Snapshot to start with.
    pub(crate) snapshot: Option<PathBuf>,
    /// Link address that every packet is sent to, instead of the kernel's choice.
    pub(crate) next_hop: Option<[u8; 6]>,
    /// Connections that each worker can remember.
    pub(crate) connections: usize,
    /// Whether addresses and ports of connections are kept, to be shown.
    pub(crate) flow_details: bool,
    /// What a worker does when nothing comes.
    pub(crate) idle: Idle,
    /// Longest IP packet on the ports, in bytes; the device's own if not set.
    pub(crate) mtu: Option<u16>,
    /// Whether DPDK and we log more.
    pub(crate) verbose: bool,
}

/// A port and its way to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// The device.
    pub(crate) device: Device,
    /// Queues in each direction, at most one per core. If not set: one per core, or as many as the
    /// device has.
    pub(crate) queues: Option<u16>,
    /// Where what is for the node itself goes.
    pub(crate) exception: Option<Exception>,
}

/// Why the command line gives no [`Settings`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// None were wanted: the text that `--help` or `--version` asked for.
    #[error("{0}")]
    Asked(String),
    /// A flag is unknown, missing, or its value is malformed.
    #[error("{0}")]
    Flag(String),
    /// A CPU that does not exist, or that this process may not use.
    #[error(
        "--cores: CPU {cpu} does not exist or is not allowed to this process, which has {allowed}"
    )]
    CpuNotAllowed {
        /// It.
        cpu: usize,
        /// Those it may use, as a list.
        allowed: String,
    },
    /// A queue that no core would poll.
    #[error("--port {port}: queues={queues}, but --cores has only {cores} to poll them")]
    TooManyQueues {
        /// Device name.
        port: String,
        /// Queues asked for.
        queues: u16,
        /// Cores given.
        cores: usize,
    },
    /// One device or interface named twice.
    #[error("`{0}` is used twice")]
    Twice(String),
    /// Some ports have an exception interface, others do not.
    #[error(
        "{ports} x --port but {exceptions} x --exception: the n-th exception belongs to the n-th \
         port, so give as many, or none"
    )]
    Unpaired {
        /// Ports given.
        ports: usize,
        /// Exceptions given.
        exceptions: usize,
    },
    /// Nothing tells where packets are to be sent.
    #[error("next hops are not known: give --exception to follow the kernel's, or --next-hop MAC")]
    NoNextHop,
}

impl UsageError {
    /// Prints it where it belongs, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Asked(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Self::Flag(_)
            | Self::CpuNotAllowed { .. }
            | Self::TooManyQueues { .. }
            | Self::Twice(_)
            | Self::Unpaired { .. }
            | Self::NoNextHop => {
                eprintln!("palier-dataplane: {self}");
                ExitCode::from(2)
            }
        }
    }
}

/// The settings that `args` (the program's name first) ask for, on CPUs out of `allowed_cpus`.
pub(crate) fn parse(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    allowed_cpus: &[usize],
) -> Result<Settings, UsageError> {
    let flags = Flags::try_parse_from(args).map_err(|error| UsageError::from(&error))?;
    let cores = flags.cores.0;

    if let Some(&cpu) = cores.iter().find(|cpu| !allowed_cpus.contains(cpu)) {
        return Err(UsageError::CpuNotAllowed { cpu, allowed: cores::list(allowed_cpus) });
    }
    if flags.exceptions.is_empty() && flags.next_hop.is_none() {
        return Err(UsageError::NoNextHop);
    }
    let mut ports = ports(flags.ports, flags.exceptions)?;
    for Port { device, queues, .. } in &mut ports {
        if let Some(queues) = queues.filter(|queues| usize::from(*queues) > cores.len()) {
            let (port, cores) = (device.name.clone(), cores.len());
            return Err(UsageError::TooManyQueues { port, queues, cores });
        }
        *queues = queues.or(device.most_queues().filter(|most| usize::from(*most) < cores.len()));
    }

    Ok(Settings {
        ports,
        cores,
        vlan: flags.vlan,
        state_dir: flags.state_dir.unwrap_or_else(|| flags.run_dir.clone()),
        run_dir: flags.run_dir,
        snapshot: flags.snapshot,
        next_hop: flags.next_hop,
        connections: flags.connections as usize,
        flow_details: flags.flow_details,
        idle: flags.idle,
        mtu: flags.mtu,
        verbose: flags.verbose,
    })
}

/// Joins ports and exceptions, and numbers the devices that were named without a number.
fn ports(
    ports: Vec<device::Spec>,
    exceptions: Vec<exception::Spec>,
) -> Result<Vec<Port>, UsageError> {
    if !exceptions.is_empty() && exceptions.len() != ports.len() {
        let (ports, exceptions) = (ports.len(), exceptions.len());
        return Err(UsageError::Unpaired { ports, exceptions });
    }
    let mut names = Names::default();
    for device in ports.iter().map(|p| &p.device).chain(exceptions.iter().map(|e| &e.device)) {
        names.reserve(device)?;
    }
    let mut exceptions = exceptions.into_iter();
    Ok(ports
        .into_iter()
        .map(|port| Port {
            device: names.number(port.device),
            queues: port.queues,
            exception: exceptions.next().map(|spec| Exception {
                device: names.number(spec.device),
                interface: spec.interface,
                mac: spec.mac,
            }),
        })
        .collect())
}

/// The names of devices and of kernel interfaces that are taken.
#[derive(Default)]
struct Names {
    devices: BTreeSet<String>,
    interfaces: BTreeSet<String>,
}

impl Names {
    /// Takes the names that the operator chose.
    fn reserve(&mut self, device: &Device) -> Result<(), UsageError> {
        if !device.lacks_number() && !self.devices.insert(device.name.clone()) {
            return Err(UsageError::Twice(device.name.clone()));
        }
        match device.argument("iface") {
            Some(interface) if !self.interfaces.insert(interface.into()) => {
                Err(UsageError::Twice(interface.into()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The device under a name that is its own: DPDK wants virtual ones to end in a number.
    fn number(&mut self, mut device: Device) -> Device {
        if device.lacks_number() {
            let free = (0..).map(|n| format!("{}{n}", device.name));
            let free = free.filter(|name| !self.devices.contains(name)).take(1);
            device.name = free.collect();
            self.devices.insert(device.name.clone());
        }
        device
    }
}

#[cfg(test)]
mod tests;
