use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::{
    Apply, CaptureFilter, Captured, ExplainQuery, Explanation, Flow, FlowsQuery, Reply, Request,
    Snapshot, Stats,
};
use nix::sys::signal::Signal;

use crate::address::Addresses;
use crate::process::Process;
use crate::wire::{EXCEPTION, L4Wire};
use crate::{Error, Flags, Namespace, program, socket, wait_until};

/// The forwarder's program.
pub(crate) const DATAPLANE: &str = "palier-dataplane";
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
    process: Mutex<Option<Process>>,
}

impl L4 {
    pub(crate) fn new(number: usize, namespace: Namespace, wire: L4Wire, lab: &Path) -> Self {
        let name = format!("l4-{number}");
        let folder = lab.join(&name);
        Self { number, name, namespace, wire, folder, process: Mutex::default() }
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
        self.wire.address(&self.namespace)?;
        *self.process() = Some(process);
        Ok(())
    }

    /// The command that [`Self::start`] runs.
    ///
    /// # Errors
    /// The program was not built.
    pub fn command(&self, flags: &Flags) -> Result<Command, Error> {
        let Flags { queues, cores, connections, flow_details, snapshot, next_hop, .. } = flags;
        let mut command = self.namespace.command(program::find(DATAPLANE)?);
        let mut flag = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            command.arg(name).arg(value);
        };
        flag("--port", &self.wire.port(*queues));
        let cores = cores.clone().unwrap_or_else(|| self.default_cores(*queues));
        flag("--cores", &cores);
        flag("--exception", &format!("tap:{EXCEPTION}"));
        flag("--run-dir", &self.folder.join("run"));
        flag("--state-dir", &self.state_folder());
        if let Some(connections) = connections {
            flag("--connections", &connections.to_string());
        }
        if let Some(file) = snapshot {
            flag("--snapshot", file);
        }
        if let Some(mac) = next_hop {
            flag("--next-hop", &mac.to_string());
        }
        if !flags.busy {
            flag("--idle", &"adaptive");
        }
        if *flow_details {
            command.arg("--flow-details");
        }
        command.args(&flags.further);
        Ok(command)
    }

    fn default_cores(&self, queues: usize) -> String {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let first = if queues < cpus { (self.number - 1) % (cpus - queues + 1) } else { 0 };
        if queues == 1 { first.to_string() } else { format!("{first}-{}", first + queues - 1) }
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
        let mut process = self.process().take().expect("the dataplane runs");
        process.signal(Signal::SIGTERM);
        let mut status = None;
        wait_until(&format!("the dataplane of {} ends", self.name), deadline, || {
            status = process.try_wait();
            status.is_some()
        });
        status.expect("the wait ended because it has ended")
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
