//! What DPDK refused, and why.

use std::ffi::{CStr, c_int};
use std::fmt;

use dpdk_sys as ffi;

/// What was attempted and did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// [`Eal::init`](crate::Eal::init) was called before in this process.
    #[error("the EAL is initialised once in a process, and this is the second time")]
    SecondInit,
    /// A name or an argument cannot be a C string.
    #[error("{0:?} contains a zero byte")]
    ZeroByte(String),
    /// The EAL did not start.
    #[error("cannot initialise the EAL with `{arguments}`")]
    Init {
        /// The command line it was given.
        arguments: String,
        /// DPDK's reason.
        source: Errno,
    },
    /// There is no such port. A driver that could not make one has logged why.
    #[error("there is no port {name}: its driver could not make one, or no driver knows it")]
    NoPort {
        /// The name of the vdev, or the PCI address.
        name: String,
    },
    /// The port is in use by another [`Port`](crate::Port), or what was started from it.
    #[error("port {name} is in use already")]
    InUse {
        /// Its name.
        name: String,
    },
    /// A pool was not made.
    #[error("cannot make pool {name} of {packets} packets with {data_room} bytes each")]
    Mempool {
        /// Its name.
        name: String,
        /// Packets asked for.
        packets: u32,
        /// Bytes of each, without headroom.
        data_room: u16,
        /// DPDK's reason.
        source: Errno,
    },
    /// More queues than the device has, or none.
    #[error("port {name} ({driver}) cannot have {asked} {direction} queues, but 1 to {max}")]
    Queues {
        /// The port.
        name: String,
        /// Its driver.
        driver: String,
        /// `receive` or `transmit`.
        direction: &'static str,
        /// Queues asked for.
        asked: u16,
        /// Most it can have.
        max: u16,
    },
    /// The driver wants as many transmit queues as receive queues.
    #[error("port {name} ({driver}) needs as many transmit queues ({tx}) as receive queues ({rx})")]
    UnequalQueues {
        /// The port.
        name: String,
        /// Its driver.
        driver: String,
        /// Receive queues asked for.
        rx: u16,
        /// Transmit queues asked for.
        tx: u16,
    },
    /// The device does not carry packets of that size.
    #[error("port {name} ({driver}) cannot have an MTU of {asked}, but {min} to {max}")]
    Mtu {
        /// The port.
        name: String,
        /// Its driver.
        driver: String,
        /// MTU asked for.
        asked: u16,
        /// Least it can have.
        min: u16,
        /// Most it can have.
        max: u16,
    },
    /// A step of bringing a port up, or a request to a running one, failed.
    #[error("port {name}: cannot {attempt}")]
    Port {
        /// The port.
        name: String,
        /// What was attempted, as a verb with its object.
        attempt: String,
        /// DPDK's reason.
        source: Errno,
    },
    /// The thread was not registered: no lcore id is free, or it has one.
    #[error("cannot register this thread with DPDK")]
    Register(#[source] Errno),
}

/// An error number of DPDK's: those of Linux and a few of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(c_int);

impl Errno {
    pub(crate) const EEXIST: Self = Self(17);
    pub(crate) const EINVAL: Self = Self(22);
    pub(crate) const ENOTSUP: Self = Self(95);

    /// The calling thread's last, where DPDK only says that there was one.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a variable of this thread.
        Self(unsafe { ffi::shim_errno() })
    }

    /// The number itself, as in `errno.h` or above 1000.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: takes any number, and writes to a buffer of this thread's own.
        let text = unsafe { ffi::rte_strerror(self.0) };
        // SAFETY: it returns a C string, which this thread's next call may change, but not before.
        let text = unsafe { CStr::from_ptr(text) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.0)
    }
}

impl std::error::Error for Errno {}

/// The result of a DPDK function that returns a negated error number.
pub(crate) fn check(result: c_int) -> Result<(), Errno> {
    if result < 0 { Err(Errno(-result)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_result_is_an_error_with_dpdks_text() {
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(1), Ok(()));
        let error = check(-19).unwrap_err();
        assert_eq!((error.number(), error.to_string().as_str()), (19, "No such device"));
    }
}
