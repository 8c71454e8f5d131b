//! A node of a lab that serves zones: `palier-control` in the role dns.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use admin::{DnsStatus, Reply, Request};

use crate::address::Addresses;
use crate::control::{self, CONTROL};
use crate::process::Process;
use crate::{Error, Namespace, program};

/// How long it may take from its start until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);

/// It runs until it is dropped.
#[derive(Debug)]
pub struct Dns {
    name: String,
    namespace: Namespace,
    addresses: Addresses,
    folder: PathBuf,
    site: PathBuf,
    process: Option<Process>,
}

impl Dns {
    /// The node `dns-NUMBER`, which does not run yet.
    pub(crate) fn new(
        number: usize,
        namespace: Namespace,
        addresses: Addresses,
        lab: &Path,
        site: PathBuf,
    ) -> Self {
        let name = format!("dns-{number}");
        let folder = lab.join(&name);
        Self { name, namespace, addresses, folder, site, process: None }
    }

    /// Starts it, and returns once it answers.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        std::fs::create_dir_all(&self.folder).map_err(Error::system("a folder of the lab"))?;
        let mut command = self.namespace.command(program::find(CONTROL)?);
        command.args(["--node", &self.name, "--role", "dns", "--site"]).arg(&self.site);
        command.arg("--run-dir").arg(self.run_dir());
        command.arg("--state-dir").arg(self.folder.join("state"));
        let log = self.folder.join("control.log");
        let mut process = Process::start(CONTROL, &self.name, &mut command, &log)?;
        process.wait_ready(START_LIMIT, |_| self.try_status().is_ok_and(|it| it.is_answering))?;
        self.process = Some(process);
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it answers, by IPv4.
    pub fn at(&self) -> SocketAddr {
        (self.addresses.v4, 53).into()
    }

    /// Its addresses.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Where its sockets are.
    pub fn run_dir(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// How it is.
    ///
    /// # Errors
    /// It does not say.
    pub fn try_status(&self) -> io::Result<DnsStatus> {
        let request = Request::Status { brief: false };
        match control::ask(&self.run_dir().join("control-dns.sock"), &request)? {
            Reply::Dns(status) => Ok(*status),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Runs `palierctl` for it; how it ended, and what it printed.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn ctl(&self, args: &[&str]) -> (ExitStatus, String) {
        control::ctl(&self.namespace, &self.run_dir(), args)
    }
}
