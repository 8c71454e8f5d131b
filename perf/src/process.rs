//! A process that is measured.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that ends with this.
pub(crate) struct Running(Child);

/// CPU time of each thread of a process, by its number.
pub(crate) type CpuTimes = HashMap<OsString, Duration>;

/// What a process has of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// At the most.
    pub peak: u64,
}

impl Running {
    pub(crate) fn new(child: Child) -> Self {
        Self(child)
    }

    /// Starts one that writes what it says into a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let log = File::create(log)?;
        Ok(Self(command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null()).spawn()?))
    }

    /// CPU time of each of its threads.
    pub(crate) fn cpu_times(&self) -> io::Result<CpuTimes> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id()))?;
        threads
            .map(|thread| {
                let thread = thread?;
                let text = fs::read_to_string(thread.path().join("schedstat"))?;
                let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
                let nanos = nanos.ok_or(io::ErrorKind::InvalidData)?;
                Ok((thread.file_name(), Duration::from_nanos(nanos)))
            })
            .collect()
    }

    /// CPU time since then of the thread that had most, and which one that is.
    pub(crate) fn busiest_since(&self, then: &CpuTimes) -> io::Result<(OsString, Duration)> {
        let since = self.since(then)?;
        since
            .into_iter()
            .max_by_key(|(_, time)| *time)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// CPU time since then of all threads but one.
    pub(crate) fn others_since(&self, then: &CpuTimes, one: &OsStr) -> io::Result<Duration> {
        let others = self.since(then)?.into_iter().filter(|(thread, _)| thread != one);
        Ok(others.map(|(_, time)| time).sum())
    }

    fn since(&self, then: &CpuTimes) -> io::Result<CpuTimes> {
        let since = |(thread, time): (OsString, Duration)| {
            let before = then.get(&thread).copied().unwrap_or_default();
            (thread, time.saturating_sub(before))
        };
        Ok(self.cpu_times()?.into_iter().map(since).collect())
    }

    /// What it has of memory.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let kibibytes = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            number.ok_or_else(|| io::Error::other(format!("no {key} in its status")))
        };
        Ok(Memory { resident: kibibytes("VmRSS:")? * 1024, peak: kibibytes("VmHWM:")? * 1024 })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing to be done if it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
