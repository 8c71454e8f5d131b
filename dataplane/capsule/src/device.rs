//! A device by its name, and its one user.

use std::ffi::CString;

use dpdk_sys as ffi;

use crate::Eal;
use crate::error::{Error, check};

/// The name DPDK gives the port of a device that was asked for with these words: without the
/// arguments, and with its domain if it is a PCI address.
pub(crate) fn name(device: &str) -> String {
    let name = device.split_once(',').map_or(device, |(name, _)| name);
    match name.matches(':').count() {
        0 => name.to_owned(),
        1 => format!("0000:{}", name.to_lowercase()),
        _ => name.to_lowercase(),
    }
}

/// The number of the port of that name.
pub(crate) fn number(_eal: &Eal, name: &str) -> Result<u16, Error> {
    let c_name = CString::new(name).map_err(|_| Error::ZeroByte(name.to_owned()))?;
    let mut port = 0;
    // SAFETY: the EAL is up; both pointers are good for the call.
    let result = unsafe { ffi::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut port) };
    check(result).map_err(|_| Error::NoPort { name: name.to_owned() })?;
    Ok(port)
}

/// The right to use a port. There is one at a time.
#[derive(Debug)]
pub(crate) struct Claim {
    eal: Eal,
    port: u16,
}

impl Claim {
    /// Claims the port of that name.
    pub(crate) fn new(eal: &Eal, name: &str) -> Result<Self, Error> {
        let port = number(eal, name)?;
        if !eal.claim(port) {
            return Err(Error::InUse { name: name.to_owned() });
        }
        Ok(Self { eal: eal.clone(), port })
    }

    /// The port's number.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.eal.release(self.port);
    }
}

/// A device that is started. Its port and its queues share it; when the last of them is dropped it
/// is stopped and closed, and is then gone until the process starts again.
#[derive(Debug)]
pub(crate) struct Device {
    claim: Claim,
}

impl Device {
    /// Starts a device that is configured.
    pub(crate) fn start(claim: Claim) -> Result<Self, crate::Errno> {
        // SAFETY: the port is there, and claimed.
        check(unsafe { ffi::rte_eth_dev_start(claim.port) })?;
        Ok(Self { claim })
    }

    /// The port's number.
    pub(crate) fn port(&self) -> u16 {
        self.claim.port
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: claimed, and no queue is left that could be polled meanwhile.
        unsafe { ffi::rte_eth_dev_stop(self.claim.port) };
        // SAFETY: as above. Errors of either leave nothing to do.
        unsafe { ffi::rte_eth_dev_close(self.claim.port) };
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_port_has_the_name_of_its_device_without_arguments() {
        for (device, port) in [
            ("net_tap0", "net_tap0"),
            ("net_pcap0,rx_pcap=/a:b.pcap,tx_pcap=c.pcap", "net_pcap0"),
            ("0000:3b:00.0", "0000:3b:00.0"),
            ("3B:00.0", "0000:3b:00.0"),
            ("3b:00.0,representor=0", "0000:3b:00.0"),
        ] {
            assert_eq!(name(device), port);
        }
    }
}
