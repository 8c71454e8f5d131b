//! An exception interface, as it was made.

use std::fs;

use crate::args::Exception;

/// What the node's exception interface was given when it was made. At each start `net_tap` would give it a
/// link address at random, unless told, and gives it an MTU of 1500, whatever it is told.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The operator's choice, or the interface's own.
    pub(crate) mac: Option<[u8; 6]>,
    /// In bytes.
    mtu: Option<String>,
}

impl Given {
    /// As it is now: before the driver has it.
    pub(crate) fn of(exception: &Exception) -> Self {
        let read = |what: &str| {
            fs::read_to_string(format!("/sys/class/net/{}/{what}", exception.interface)).ok()
        };
        let mac = || {
            let text = read("address")?;
            let mut mac = [0; 6];
            let mut digits = text.trim().split(':');
            for byte in &mut mac {
                *byte = u8::from_str_radix(digits.next()?, 16).ok()?;
            }
            Some(mac)
        };
        Self { mac: exception.mac.or_else(mac), mtu: read("mtu") }
    }

    /// Gives the interface its MTU back, once the driver has it.
    pub(crate) fn restore(&self, interface: &str) {
        let Some(mtu) = &self.mtu else { return };
        if let Err(error) = fs::write(format!("/sys/class/net/{interface}/mtu"), mtu) {
            let mtu = mtu.trim();
            tracing::warn!(interface, mtu, %error, "the driver has set another MTU, which stays");
        }
    }
}
