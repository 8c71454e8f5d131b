//! bpf_link: an attachment that ends with its last file descriptor or pin.
//!
//! libbpf-rs has it neither for TCX nor for XDP of a given mode.

#![expect(unsafe_code, reason = "calls libbpf where libbpf-rs has no safe function")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use libbpf_rs::libbpf_sys as sys;
use nix::errno::Errno;

/// Most programs that the kernel lets one TCX hook have.
const MOST_PROGRAMS: usize = 64;

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

/// An attached program. Stays so while this, or a pin, exists.
#[derive(Debug)]
pub(crate) struct Link(OwnedFd);

/// What the kernel numbers it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) id: u32,
    /// Of the program that is attached by it.
    pub(crate) program: u32,
}

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
        checked(fd)?;
        // SAFETY: a descriptor that the kernel has just opened is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The one that is pinned at the path, or none if nothing is.
    pub(crate) fn pinned(path: &Path) -> io::Result<Option<Self>> {
        let path = c_string(path)?;
        // SAFETY: the path is a string that ends, and outlives the call.
        let fd = unsafe { sys::bpf_obj_get(path.as_ptr()) };
        if fd == -(Errno::ENOENT as i32) {
            return Ok(None);
        }
        checked(fd)?;
        // SAFETY: a descriptor that the kernel has just opened is nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // A map or a program can be pinned too, and would be asked for a link's information.
        let kind = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
        if !kind.contains("link_id:") {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "no link is pinned there"));
        }
        Ok(Some(Self(fd)))
    }

    /// Pins it at a path where nothing is.
    pub(crate) fn pin(&self, path: &Path) -> io::Result<()> {
        let path = c_string(path)?;
        // SAFETY: the path is a string that ends, and outlives the call.
        checked(unsafe { sys::bpf_obj_pin(self.0.as_raw_fd(), path.as_ptr()) })
    }

    /// Puts another program in the place of its program. Every packet meets one of them.
    pub(crate) fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let (link, program) = (self.0.as_raw_fd(), program.as_raw_fd());
        // SAFETY: a call with two open descriptors, and no options.
        checked(unsafe { sys::bpf_link_update(link, program, ptr::null()) })
    }

    pub(crate) fn info(&self) -> io::Result<Info> {
        let mut info = sys::bpf_link_info::default();
        let mut length = size_of::<sys::bpf_link_info>() as u32;
        let fd = self.0.as_raw_fd();
        // SAFETY: `info` is initialised, `length` is its size, both outlive the call.
        checked(unsafe { sys::bpf_link_get_info_by_fd(fd, &raw mut info, &raw mut length) })?;
        Ok(Info { id: info.id, program: info.prog_id })
    }

    /// Ends the attachment, whoever else holds the link. Nothing to do if the interface is gone.
    pub(crate) fn detach(&self) -> io::Result<()> {
        // SAFETY: a call with a descriptor that is open, and of a link.
        let result = unsafe { sys::bpf_link_detach(self.0.as_raw_fd()) };
        if result == -(Errno::ENOLINK as i32) { Ok(()) } else { checked(result) }
    }
}

/// Whether the program is attached to this interface of this network namespace, and how.
///
/// A link tells its interface's number alone, which another namespace has too, and not XDP's mode.
pub(crate) fn is_attached(program: u32, ifindex: i32, point: Point) -> io::Result<bool> {
    let flags = match point {
        Point::Tcx => {
            let mut programs = [0; MOST_PROGRAMS];
            let mut count = MOST_PROGRAMS as u32;
            let list = programs.as_mut_ptr();
            let (hook, no_flags) = (sys::BPF_TCX_INGRESS, ptr::null_mut());
            // SAFETY: there is room for `count` numbers, and all outlives the call.
            checked(unsafe {
                sys::bpf_prog_query(ifindex, hook, 0, no_flags, list, &raw mut count)
            })?;
            return Ok(programs.iter().take(count as usize).any(|&other| other == program));
        }
        Point::XdpNative => sys::XDP_FLAGS_DRV_MODE,
        Point::XdpGeneric => sys::XDP_FLAGS_SKB_MODE,
    };
    let mut attached = 0;
    // SAFETY: the number is written to a place that outlives the call.
    checked(unsafe { sys::bpf_xdp_query_id(ifindex, flags.cast_signed(), &raw mut attached) })?;
    Ok(attached == program)
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

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// libbpf's results are descriptors or zero; below that they are errors.
fn checked(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}
