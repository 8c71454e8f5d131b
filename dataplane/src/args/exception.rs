//! `--exception`: the port whose other end is an interface of the kernel.

use std::str::FromStr;

use thiserror::Error;

use super::device::{BadDevice, Bus, Device, is_interface};
use super::mac::{self, BadMac};

/// A port whose other end is an interface of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// The device. A tap's has no `mac` among its arguments yet: it depends on the port's.
    pub(crate) device: Device,
    /// The kernel's interface.
    pub(crate) interface: String,
    /// Link address to give that interface, if the operator chose one.
    pub(crate) mac: Option<[u8; 6]>,
}

/// An exception, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) device: Device,
    pub(super) interface: String,
    pub(super) mac: Option<[u8; 6]>,
}

/// The text is not an exception.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum BadException {
    #[error("`{0}` is neither tap:INTERFACE[,mac=MAC] nor vdev:DEVICE,iface=INTERFACE,...")]
    Form(String),
    #[error("`{0}` is not the name of a network interface (1 to 15 characters, no `/` or space)")]
    Interface(String),
    #[error("`{0}` has no iface=: next hops are looked up on that interface")]
    NoInterface(String),
    #[error("`{0}` is a PCI device: the kernel is behind a virtual one")]
    Pci(String),
    #[error(transparent)]
    Device(#[from] BadDevice),
    #[error(transparent)]
    Mac(#[from] BadMac),
}

impl FromStr for Spec {
    type Err = BadException;

    fn from_str(text: &str) -> Result<Self, BadException> {
        match text.split_once(':') {
            Some(("tap", rest)) => tap(rest, text),
            Some(("vdev", rest)) => vdev(rest),
            Some(_) | None => Err(BadException::Form(text.into())),
        }
    }
}

fn tap(rest: &str, text: &str) -> Result<Spec, BadException> {
    let (interface, mac) = match rest.split_once(',') {
        None => (rest, None),
        Some((interface, arguments)) => {
            let mac = arguments.strip_prefix("mac=");
            let mac = mac.ok_or_else(|| BadException::Form(text.into()))?;
            (interface, Some(mac::parse(mac)?))
        }
    };
    if !is_interface(interface) {
        return Err(BadException::Interface(interface.into()));
    }
    let device = Device {
        name: "net_tap".into(),
        arguments: format!("iface={interface}"),
        bus: Bus::Virtual,
    };
    Ok(Spec { device, interface: interface.into(), mac })
}

fn vdev(rest: &str) -> Result<Spec, BadException> {
    let device: Device = rest.parse()?;
    match device.bus {
        Bus::Pci => return Err(BadException::Pci(device.name)),
        Bus::Virtual => {}
    }
    let Some(interface) = device.argument("iface").map(String::from) else {
        return Err(BadException::NoInterface(rest.into()));
    };
    let mac = device.argument("mac").map(mac::parse).transpose()?;
    Ok(Spec { device, interface, mac })
}
