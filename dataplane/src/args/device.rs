//! `--port`: a PCI address or a virtual device, DPDK's own arguments to it, and `queues=`.

use std::str::FromStr;

use thiserror::Error;

/// DPDK's `net_tap` hands its file descriptors out in a message that holds 8: two per queue. With a
/// fifth queue it writes behind that array.
const TAP_QUEUES: u16 = 4;

/// A device, as EAL is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// PCI address with its domain, `0000:3b:00.0`, or virtual device, `net_tap0`: DPDK's name of the port.
    pub(crate) name: String,
    /// What DPDK's driver is told, `iface=wire0,mac=...`. May be empty.
    pub(crate) arguments: String,
    /// How EAL is told of it.
    pub(crate) bus: Bus,
}

/// Where a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bus {
    /// EAL probes it: `--allow`.
    Pci,
    /// EAL makes it: `--vdev`.
    Virtual,
}

/// A port, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) device: Device,
    pub(super) queues: Option<u16>,
}

/// The text is not a port.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum BadDevice {
    #[error(
        "`{0}` is neither a PCI address (0000:3b:00.0) nor a virtual device of DPDK (net_tap0, \
         net_af_packet0, net_pcap0, ...)"
    )]
    Name(String),
    #[error("`{0}` is not of the form KEY=VALUE")]
    Argument(String),
    #[error("queues={0} is not a number from 1 to 1024")]
    Queues(String),
    #[error("queues= is given twice")]
    QueuesTwice,
    #[error("net_tap has at most {TAP_QUEUES} queues")]
    TapQueues,
    #[error("`{0}` is not the name of a network interface (1 to 15 characters, no `/` or space)")]
    Interface(String),
}

impl Device {
    /// What follows EAL's `--vdev` or `--allow`.
    pub(crate) fn eal_value(&self) -> String {
        match self.arguments.as_str() {
            "" => self.name.clone(),
            arguments => format!("{},{arguments}", self.name),
        }
    }

    /// The value of one of its arguments.
    pub(crate) fn argument(&self, key: &str) -> Option<&str> {
        let arguments = self.arguments.split(',').filter_map(|a| a.split_once('='));
        arguments.filter(|(k, _)| *k == key).map(|(_, value)| value).next()
    }

    /// Whether it is a virtual device that still needs a number.
    pub(super) fn lacks_number(&self) -> bool {
        match self.bus {
            Bus::Pci => false,
            Bus::Virtual => !self.name.ends_with(|c: char| c.is_ascii_digit()),
        }
    }

    /// Most queues that its driver can be trusted with, where that is less than the driver says.
    pub(super) fn most_queues(&self) -> Option<u16> {
        let driver = self.name.trim_end_matches(|c: char| c.is_ascii_digit());
        (driver == "net_tap").then_some(TAP_QUEUES)
    }
}

impl FromStr for Device {
    type Err = BadDevice;

    fn from_str(text: &str) -> Result<Self, BadDevice> {
        let (name, arguments) = match text.split_once(',') {
            Some((name, arguments)) => (name, Some(arguments)),
            None => (text, None),
        };
        let (name, bus) = match pci_address(name) {
            Some(address) => (address, Bus::Pci),
            None if is_virtual(name) => (name.into(), Bus::Virtual),
            None => return Err(BadDevice::Name(name.into())),
        };
        let mut each = arguments.into_iter().flat_map(|all| all.split(','));
        if let Some(bad) = each.find(|a| a.split_once('=').is_none_or(|(key, _)| key.is_empty())) {
            return Err(BadDevice::Argument(bad.into()));
        }
        let device = Self { name, arguments: arguments.unwrap_or_default().into(), bus };
        match device.argument("iface") {
            Some(interface) if !is_interface(interface) => {
                Err(BadDevice::Interface(interface.into()))
            }
            Some(_) | None => Ok(device),
        }
    }
}

impl FromStr for Spec {
    type Err = BadDevice;

    fn from_str(text: &str) -> Result<Self, BadDevice> {
        let (ours, dpdks): (Vec<_>, Vec<_>) =
            text.split(',').partition(|part| part.starts_with("queues="));
        let device: Device = dpdks.join(",").parse()?;
        let queues = match ours.as_slice() {
            [] => None,
            [one] => Some(queues(&one["queues=".len()..])?),
            [_, _, ..] => return Err(BadDevice::QueuesTwice),
        };
        if device.most_queues().is_some_and(|most| queues.is_some_and(|queues| queues > most)) {
            return Err(BadDevice::TapQueues);
        }
        Ok(Self { device, queues })
    }
}

fn queues(text: &str) -> Result<u16, BadDevice> {
    let number = text.parse().ok().filter(|queues| (1..=1024).contains(queues));
    number.ok_or_else(|| BadDevice::Queues(text.into()))
}

/// `[DOMAIN:]BUS:DEVICE.FUNCTION`, completed and in the case in which DPDK names ports.
fn pci_address(text: &str) -> Option<String> {
    let number = |text: &str, digits: usize, most: u32| {
        let hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(text, 16).ok().filter(|n| hex && *n <= most)
    };
    let (rest, function) = text.rsplit_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.split_once(':').unwrap_or(("0000", rest));
    Some(format!(
        "{:04x}:{:02x}:{:02x}.{:x}",
        number(domain, 4, 0xffff)?,
        number(bus, 2, 0xff)?,
        number(device, 2, 0x1f)?,
        number(function, 1, 7)?,
    ))
}

fn is_virtual(name: &str) -> bool {
    let word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let driver = name.strip_prefix("net_").or_else(|| name.strip_prefix("virtio_"));
    word && driver.is_some_and(|driver| driver.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// What Linux takes as an interface's name (`dev_valid_name`), without what DPDK's arguments cannot carry.
pub(super) fn is_interface(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == ':' || c == ',' || c == '=' || c.is_whitespace();
    (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(bad)
}
