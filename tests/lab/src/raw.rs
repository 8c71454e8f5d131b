use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::{Error, Namespace};

/// Whole frames, sent and received on one interface past the kernel's protocols (packet(7)).
///
/// What the kernel itself sends from the interface is received too.
#[derive(Debug)]
pub struct RawSocket {
    socket: OwnedFd,
}

impl RawSocket {
    /// Opens one on an interface of the namespace. Frames that arrive from now on can be received.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self, Error> {
        let what = format!("packet socket on {interface} of {}", namespace.name());
        namespace.enter(|| Self::open_here(interface)).map_err(Error::system(what))
    }

    fn open_here(interface: &str) -> io::Result<Self> {
        let link = getifaddrs()?
            .filter(|address| address.interface_name == interface)
            .find_map(|address| address.address?.as_link_addr().copied())
            .ok_or(Errno::ENODEV)?;
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )?;
        // A burst that a test sends or expects fits.
        setsockopt(&socket, sockopt::RcvBuf, &(8 << 20))?;
        bind(socket.as_raw_fd(), &link)?;
        Ok(Self { socket })
    }

    /// Sends a frame, from its destination MAC address on, without checksum.
    ///
    /// # Errors
    /// It is longer than the interface's MTU, or the interface is down.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        loop {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                // The queue is full: it drains at once.
                Err(Errno::ENOBUFS | Errno::EINTR) => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a frame that is `wanted` and passes over the others. `None`: none came in time.
    ///
    /// # Panics
    /// The socket fails.
    pub fn receive(&self, deadline: Duration, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let end = Instant::now() + deadline;
        let mut frame = vec![0; 65536];
        loop {
            let left = end.checked_duration_since(Instant::now())?;
            // Zero would mean for ever.
            let left = i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1);
            setsockopt(&self.socket, sockopt::ReceiveTimeout, &TimeVal::microseconds(left))
                .expect("a socket takes a time-out");
            match recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                Ok(length) if wanted(&frame[..length]) => {
                    frame.truncate(length);
                    return Some(frame);
                }
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => panic!("receiving frames: {error}"),
            }
        }
    }
}
