//! The kernel's word that the thread is not kept waiting by what else runs on its CPU.

#![expect(unsafe_code, reason = "no crate wraps sched_setscheduler")]

use nix::errno::Errno;

/// Lets this thread go before all that is not of a real-time class, where that is allowed. It sleeps all
/// but microseconds of the time.
pub(super) fn raise() {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters outlive the call, which only reads them; 0 is the calling thread.
    let result = unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
            &raw const parameters,
        )
    };
    match Errno::result(result) {
        Ok(_) => {}
        Err(error) => {
            tracing::info!(%error, "BFD runs at normal priority: intervals below 50 ms may suffer")
        }
    }
}
