use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::{
    Apply, CaptureFilter, Captured, ExplainQuery, Explanation, Flow, FlowsQuery, Reply, Request,
    Snapshot, Stats,
};

use crate::address::Addresses;
use crate::process::Process;
use crate::site_file::SiteFile;
use crate::wire::L4Wire;
use crate::{Error, Flags, Namespace, program, socket};

/// The forwarder's program.
pub(crate) const DATAPLANE: &str = "palier-dataplane";
/// The operator's.
pub(crate) const PALIERCTL: &str = "palierctl";
/// How long a dataplane may take from its start to its first answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// An L4 node, in which a `palier-dataplane` runs or not.
#[derive(Debug)]
pub struct L4 {
    number: usize,
    name: String,
    namespace: Namespace,
    wire: L4Wire,
    folder: PathBuf,
    site: Arc<Mutex<SiteFile>>,
    site_path: PathBuf,
    process: Mutex<Option<Process>>,
    pub(crate) control: Mutex<Option<Process>>,
}

impl L4 {
    pub(crate) fn new(
        number: usize,
        namespace: Namespace,
        wire: L4Wire,
        lab: &Path,
        site: Arc<Mutex<SiteFile>>,
    ) -> Self {
        let name = format!("l4-{number}");
        let folder = lab.join(&name);
        let site_path = site.lock().unwrap_or_else(PoisonError::into_inner).path().into();
        let (process, control) = Default::default();
        Self { number, name, namespace, wire, folder, site, site_path, process, control }
    }

    /// Its number, counted from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its name: `l4-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace. The dataplane's interfaces there are `wire` and `exception`.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its own addresses, and with them its MAC address on the wire.
    pub fn addresses(&self) -> Addresses {
        self.wire.addresses
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn site_path(&self) -> &Path {
        &self.site_path
    }

    /// The dataplane's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/dataplane.sock")
    }

    /// What its dataplanes have printed, one run after the other.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The folder of its connection tables.
    pub fn state_folder(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Its part of the lab's site file; whether that is another than before.
    pub(crate) fn describe(&self, file: &mut SiteFile, flags: &Flags) -> bool {
        file.l4(self.number, self.wire, flags)
    }

    /// Starts its dataplane and returns once it answers on its socket. It has no Snapshot then,
    /// but for the one of `--snapshot`: [`Lab::start_dataplane`](crate::Lab::start_dataplane)
    /// gives it the lab's.
    ///
    /// # Errors
    /// It ended instead; its last words are in the error.
    pub fn start(&self, flags: &Flags) -> Result<(), Error> {
        for folder in ["run", "state"].map(|name| self.folder.join(name)) {
            std::fs::create_dir_all(&folder).map_err(Error::system("a folder of the lab"))?;
        }
        let mut command = self.command(flags)?;
        let mut process = Process::start(DATAPLANE, &self.name, &mut command, &self.log())?;
        process.wait_ready(START_LIMIT, |_| {
            socket::request(&self.socket(), &Request::Hello).is_ok()
        })?;
        *self.process() = Some(process);
        Ok(())
    }

    /// The command that [`Self::start`] runs: `palierctl dataplane`, from the site file.
    ///
    /// # Errors
    /// A program was not built, or the site file cannot be written.
    pub fn command(&self, flags: &Flags) -> Result<Command, Error> {
        // palierctl finds it beside itself.
        program::find(DATAPLANE)?;
        {
            let mut site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
            if self.describe(&mut site, flags) {
                site.write()?;
            }
        }
        let mut command = self.palierctl()?;
        command.args(["dataplane", "--node", &self.name, "--site"]).arg(&self.site_path);
        command.arg("--").arg("--state-dir").arg(self.state_folder());
        if let Some(file) = &flags.snapshot {
            command.arg("--snapshot").arg(file);
        }
        if let Some(mac) = flags.next_hop {
            command.arg("--next-hop").arg(mac.to_string());
        }
        command.args(&flags.further);
        Ok(command)
    }

    /// `palierctl` on this node.
    ///
    /// # Errors
    /// It was not built.
    pub fn palierctl(&self) -> Result<Command, Error> {
        let mut command = self.namespace.command(program::find(PALIERCTL)?);
        command.arg("--run-dir").arg(self.folder.join("run"));
        Ok(command)
    }

    /// Whether its dataplane runs.
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(|process| process.try_wait().is_none())
    }

    /// The process id of its dataplane, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// Ends its dataplane by SIGKILL, as a crash would.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&self) {
        self.process().take().expect("the dataplane runs").kill();
    }

    /// Ends its dataplane by SIGTERM and returns how it ended.
    ///
    /// # Panics
    /// It does not run, or does not end within `deadline`.
    pub fn terminate(&self, deadline: Duration) -> ExitStatus {
        let process = self.process().take();
        process.expect("the dataplane runs").terminate(deadline)
    }

    /// Waits until its dataplane has ended by itself, and returns how.
    ///
    /// # Panics
    /// It does not run, or does not end within `deadline`.
    pub fn wait_ended(&self, deadline: Duration) -> ExitStatus {
        let process = self.process().take();
        process.expect("the dataplane runs").wait(deadline)
    }

    /// Makes a request.
    ///
    /// # Panics
    /// The dataplane does not answer, or not in the protocol.
    pub fn request(&self, request: &Request) -> Reply {
        self.try_request(request)
            .unwrap_or_else(|error| panic!("request to the dataplane of {}: {error}", self.name))
    }

    /// As [`Self::request`], where the dataplane may be away.
    ///
    /// # Errors
    /// It does not answer, or not in the protocol.
    pub fn try_request(&self, request: &Request) -> io::Result<Reply> {
        socket::request(&self.socket(), request)
    }

    /// Sends a line as it is, which need not be a request, and returns the reply's line.
    ///
    /// # Panics
    /// The dataplane does not answer.
    pub fn exchange(&self, line: &str) -> String {
        socket::exchange(&self.socket(), line)
            .unwrap_or_else(|error| panic!("line to the dataplane of {}: {error}", self.name))
    }

    /// Asks for a Snapshot to be put in force: applied, or refused with reasons.
    ///
    /// # Panics
    /// As [`Self::request`].
    pub fn apply(&self, snapshot: &Snapshot) -> Reply {
        let apply = Apply { snapshot: snapshot.clone(), force: false };
        self.request(&Request::Apply(Box::new(apply)))
    }

    /// Its counters.
    ///
    /// # Panics
    /// As [`Self::request`].
    pub fn stats(&self) -> Stats {
        match self.request(&Request::Stats) {
            Reply::Stats(stats) => *stats,
            other => panic!("reply to stats: {other:?}"),
        }
    }

    /// One of its counters, by name; 0 if it is not among them.
    ///
    /// # Panics
    /// As [`Self::request`].
    pub fn counter(&self, name: &str) -> u64 {
        self.stats().counters.get(name).copied().unwrap_or(0)
    }

    /// Where a flow goes, and why.
    ///
    /// # Panics
    /// As [`Self::request`].
    pub fn explain(&self, flow: ExplainQuery) -> Explanation {
        match self.request(&Request::Explain(flow)) {
            Reply::Explain(explanation) => *explanation,
            other => panic!("reply to explain: {other:?}"),
        }
    }

    /// Its connections, all pages of them.
    ///
    /// # Panics
    /// As [`Self::request`].
    pub fn flows(&self, query: &FlowsQuery) -> Vec<Flow> {
        let mut query = query.clone();
        let mut flows = Vec::new();
        loop {
            match self.request(&Request::Flows(query.clone())) {
                Reply::Flows(page) => {
                    flows.extend(page.flows);
                    let Some(next) = page.next else { return flows };
                    query.cursor = next;
                }
                other => panic!("reply to flows: {other:?}"),
            }
        }
    }

    /// Packets as they pass: returns when there are enough, or the filter's time is over.
    ///
    /// # Panics
    /// As [`Self::request`].
    pub fn capture(&self, filter: &CaptureFilter) -> Vec<Captured> {
        match self.request(&Request::Capture(filter.clone())) {
            Reply::Capture { packets, .. } => packets,
            other => panic!("reply to capture: {other:?}"),
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
