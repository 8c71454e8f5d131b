//! bpf_link: an attachment that ends with its last file descriptor, so with this process.
//!
//! libbpf-rs has it neither for TCX nor for XDP of a given mode.

#![expect(unsafe_code, reason = "calls libbpf where libbpf-rs has no safe function")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libbpf_rs::libbpf_sys as sys;
use nix::errno::Errno;

/// Where a program is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The TC ingress hook of kernel 6.6.
    Tcx,
    /// XDP in the driver, and nowhere else: the kernel would fall back to generic XDP by itself.
    XdpNative,
    /// XDP after the driver.
    XdpGeneric,
}

/// An attached program. Detached on drop.
#[derive(Debug)]
pub(crate) struct Link(OwnedFd);

impl Link {
    /// Attaches the program to the interface.
    pub(crate) fn attach(program: BorrowedFd<'_>, ifindex: i32, point: Point) -> io::Result<Self> {
        let (attach_type, flags) = match point {
            Point::Tcx => (sys::BPF_TCX_INGRESS, 0),
            Point::XdpNative => (sys::BPF_XDP, sys::XDP_FLAGS_DRV_MODE),
            Point::XdpGeneric => (sys::BPF_XDP, sys::XDP_FLAGS_SKB_MODE),
        };
        let options = sys::bpf_link_create_opts {
            sz: size_of::<sys::bpf_link_create_opts>() as sys::size_t,
            flags,
            ..Default::default()
        };
        let program = program.as_raw_fd();
        // SAFETY: `options` is initialised, states its size, and outlives the call.
        let fd = unsafe { sys::bpf_link_create(program, ifindex, attach_type, &raw const options) };
        if fd < 0 {
            return Err(io::Error::from_raw_os_error(-fd));
        }
        // SAFETY: a descriptor that the kernel has just opened is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Closing alone would leave it to a child that is between fork and exec to detach it.
        // SAFETY: a call with a descriptor that is open, and of a link.
        let result = unsafe { sys::bpf_link_detach(self.0.as_raw_fd()) };
        if result < 0 {
            // The interface is gone, and the attachment with it; else closing does it.
            tracing::debug!(error = %io::Error::from_raw_os_error(-result), "detaching");
        }
    }
}

/// Whether the kernel has TCX.
pub(crate) fn has_tcx(ifindex: i32) -> bool {
    let mut options = sys::bpf_prog_query_opts {
        sz: size_of::<sys::bpf_prog_query_opts>() as sys::size_t,
        prog_ids: ptr::null_mut(),
        ..Default::default()
    };
    // SAFETY: `options` is initialised, states its size, has no pointer to write through, and
    // outlives the call.
    let result =
        unsafe { sys::bpf_prog_query_opts(ifindex, sys::BPF_TCX_INGRESS, &raw mut options) };
    result != -(Errno::EINVAL as i32)
}
