//! Loads the eBPF program.

use std::io;
use std::iter;
use std::mem::MaybeUninit;

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{ErrorKind, OpenObject, PrintLevel, ProgramAttachType};
use nix::errno::Errno;

use crate::skeleton::{DecapSkel, DecapSkelBuilder};
use crate::{Error, Hook};

/// Loads the variant for this hook into the kernel; `object` holds what libbpf knows of it.
pub(crate) fn load(
    object: &mut MaybeUninit<OpenObject>,
    hook: Hook,
) -> Result<DecapSkel<'_>, Error> {
    // libbpf would write to standard error, the verifier's log for instance.
    libbpf_rs::set_print(Some((PrintLevel::Info, |_, line| {
        tracing::debug!("{}", line.trim_end())
    })));

    let mut open = DecapSkelBuilder::default().open(object).map_err(Error::Load)?;
    open.progs.decap_xdp.set_autoload(hook.is_xdp());
    open.progs.decap_tc.set_autoload(!hook.is_xdp());
    if hook == Hook::Tcx {
        open.progs.decap_tc.set_attach_type(ProgramAttachType::TcxIngress);
    }
    open.load().map_err(|error| match error.kind() {
        // The verifier's refusals are "permission denied" too, as EACCES.
        ErrorKind::PermissionDenied if !nix::unistd::geteuid().is_root() || is_eperm(&error) => {
            Error::NotPermitted(error)
        }
        _ => Error::Load(error),
    })
}

/// Root of a container without the capabilities.
fn is_eperm(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = iter::successors(Some(error), |error| error.source());
    let mut systems = causes.filter_map(|error| error.downcast_ref::<io::Error>());
    systems.any(|error| error.raw_os_error() == Some(Errno::EPERM as i32))
}
