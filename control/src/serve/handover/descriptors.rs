//! Descriptors on their way to another process.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Descriptors in one message (SCM_MAX_FD is 253).
const BATCH: usize = 64;

/// Sends copies of them, each batch with a byte.
pub(super) fn send(stream: &UnixStream, all: &[RawFd]) -> io::Result<()> {
    for batch in all.chunks(BATCH) {
        let rights = [ControlMessage::ScmRights(batch)];
        let byte = [IoSlice::new(b"F")];
        sendmsg::<()>(stream.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None)?;
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
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut into, Some(&mut space), flags)?;
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = all.len();
        for part in message.cmsgs()? {
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
