//! Whose CPU time it was, and where it was spent.

use std::io;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Time that this thread has had a CPU for: whoever else has it meanwhile does not count.
pub fn time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("Linux has this clock").into()
}

/// Keeps this thread on one CPU from now on, and the threads and processes that it starts.
///
/// # Errors
/// There is no such CPU, or it is not ours.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cpus)?)
}
