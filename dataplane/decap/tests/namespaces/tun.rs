//! TUN and TAP devices.

#![expect(unsafe_code, reason = "no crate at hand opens them")]

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::libc::{__c_anonymous_ifr_ifru, IFF_NO_PI, c_char, c_int, ifreq};

nix::ioctl_write_ptr_bad!(set_interface, nix::request_code_write!(b'T', 202, 4), ifreq);

/// The descriptor of a device that is there, of the thread's namespace. Flags are IFF_TUN or
/// IFF_TAP and what else it was made with.
pub(crate) fn open(name: &str, flags: c_int) -> File {
    let file = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
    let ifru_flags = (flags | IFF_NO_PI) as i16;
    let mut interface =
        ifreq { ifr_name: [0; 16], ifr_ifru: __c_anonymous_ifr_ifru { ifru_flags } };
    for (to, from) in interface.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    // SAFETY: the request takes a pointer to an ifreq, which it reads during the call.
    unsafe { set_interface(file.as_raw_fd(), &raw const interface) }.unwrap();
    file
}
