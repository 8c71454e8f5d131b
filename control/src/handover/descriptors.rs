//! Descriptors on their way to another process.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Descriptors in one message (SCM_MAX_FD is 253).
const BATCH: usize = 64;

/// Sends copies of them, each batch with a byte.
pub(super) fn send(stream: &UnixStream, all: &[RawFd]) -> io::Result<()> {
    for batch in all.chunks(BATCH) {
        let rights = [ControlMessage::ScmRights(batch)];
        let byte = [IoSlice::new(b"F")];
        while let Err(error) =
            sendmsg::<()>(stream.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None)
        {
            if error != Errno::EINTR {
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// Receives so many, in their order.
pub(super) fn receive(stream: &UnixStream, wanted: usize) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::with_capacity(wanted);
    let mut space = nix::cmsg_space!([RawFd; BATCH]);
    while all.len() < wanted {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        // Signals come here, too, and with a timeout the kernel does not go on by itself.
        let message = loop {
            match recvmsg::<()>(stream.as_raw_fd(), &mut into, Some(&mut space), flags) {
                Err(Errno::EINTR) => {}
                received => break received?,
            }
        };
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = all.len();
        // What was cut off is refused as a whole.
        for part in message.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::ScmRights(descriptors) = part {
                all.extend(descriptors.into_iter().map(owned));
            }
        }
        if all.len() == before {
            return Err(io::Error::other("descriptors were lost: this process may open too few"));
        }
    }
    Ok(all)
}

#[expect(unsafe_code, reason = "nix gives descriptors of a message as numbers")]
fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just opened it for this process, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
