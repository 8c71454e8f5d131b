use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::program::{ip_batch, run};
use crate::{Error, cleanup};

/// A network namespace of the lab. It goes with the lab, not with this handle.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: Arc<str>,
}

impl Namespace {
    pub(crate) fn new(name: String) -> Self {
        Self { name: name.into() }
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` on a thread inside the namespace. Sockets that it makes, and processes and threads
    /// that it starts, belong to the namespace for good.
    ///
    /// # Panics
    /// The namespace is gone, or `f` panics.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let path = Path::new(cleanup::NETNS_DIR).join(&*self.name);
            let file = File::open(&path)
                .unwrap_or_else(|error| panic!("namespace {}: {error}", self.name));
            setns(&file, CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|error| panic!("entering namespace {}: {error}", self.name));
            f()
        };
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// A command that runs inside the namespace, with a `/sys` that shows its interfaces. The
    /// process that it starts is the program's own.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a command inside the namespace to its end and returns what it printed.
    ///
    /// # Errors
    /// It cannot be started, or fails.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String, Error> {
        run(self.command(program).args(args), "")
    }

    /// Runs lines of `ip` commands, without the leading `ip`, up to the first that fails.
    ///
    /// # Errors
    /// One of them failed.
    pub fn ip(&self, lines: &str) -> Result<(), Error> {
        ip_batch(Some(&self.name), lines)
    }

    /// Sets kernel settings of the namespace: `("net.ipv4.ip_forward", "1")`.
    ///
    /// # Errors
    /// The kernel has no such setting, or refuses the value.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<(), Error> {
        // /proc/sys/net shows the namespace of the thread that looks.
        self.enter(|| {
            settings.iter().try_for_each(|(key, value)| {
                let path = Path::new("/proc/sys").join(key.replace('.', "/"));
                fs::write(&path, value).map_err(Error::system(format!("{key} = {value}")))
            })
        })
    }
}
