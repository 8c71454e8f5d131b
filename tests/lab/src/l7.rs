use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use admin::{L7Status, Reply, Request};

use crate::address::{self, Addresses, VIP, VIP6};
use crate::control;
use crate::process::Process;
use crate::{Error, Namespace, Server, program};

/// How long control may take from its start to the moment when packets are taken out of tunnels.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long an orderly stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// An L7 node: `palier-control` in the role l7, and servers of its own unless it is a proxy.
#[derive(Debug)]
pub struct L7 {
    number: usize,
    name: String,
    namespace: Namespace,
    server: Option<Server>,
    folder: PathBuf,
    bpf: PathBuf,
    site: PathBuf,
    control: Mutex<Option<Process>>,
}

impl L7 {
    /// A node of the lab whose site file this is; with servers of its own if they are to be here.
    pub(crate) fn new(
        number: usize,
        namespace: Namespace,
        lab: &Path,
        site: PathBuf,
        serves: bool,
    ) -> Result<Self, Error> {
        let name = format!("l7-{number}");
        let start = || Server::start(&namespace, &name, &[VIP.into(), VIP6.into()]);
        let server = serves.then(start).transpose()?;
        let (folder, bpf, control) = (lab.join(&name), lab.join("bpf"), Mutex::default());
        Ok(Self { number, name, namespace, server, folder, bpf, site, control })
    }

    /// Starts its control, and returns once packets are taken out of tunnels.
    ///
    /// # Errors
    /// It ended instead; its last words are in the error.
    pub fn start_control(&self) -> Result<(), Error> {
        self.begin_control()?;
        self.wait_ready()
    }

    /// Starts its control, which has to be waited for.
    pub(crate) fn begin_control(&self) -> Result<(), Error> {
        std::fs::create_dir_all(&self.folder).map_err(Error::system("a folder of the lab"))?;
        let mut command = self.control_command()?;
        let log = self.control_log();
        let process = Process::start(control::CONTROL, &self.name, &mut command, &log)?;
        *self.control() = Some(process);
        Ok(())
    }

    /// The command that [`Self::start_control`] runs.
    ///
    /// # Errors
    /// The program was not built.
    pub fn control_command(&self) -> Result<Command, Error> {
        let mut command = self.namespace.command(program::find(control::CONTROL)?);
        command.args(["--node", &self.name, "--role", "l7", "--site"]).arg(&self.site);
        command.arg("--run-dir").arg(self.folder.join("run"));
        command.arg("--state-dir").arg(self.folder.join("state"));
        command.arg("--bpf-dir").arg(&self.bpf);
        Ok(command)
    }

    fn control(&self) -> MutexGuard<'_, Option<Process>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until packets are taken out of tunnels.
    pub(crate) fn wait_ready(&self) -> Result<(), Error> {
        let mut control = self.control();
        let Some(control) = control.as_mut() else { return Ok(()) };
        control.wait_ready(START_LIMIT, |_| self.try_status().is_ok_and(|it| is_ready(&it)))
    }

    /// Ends its control in an orderly way: packets are no longer taken out of tunnels, and it has no VIPs.
    ///
    /// # Panics
    /// It does not run, or does not end.
    pub fn stop_control(&self) -> ExitStatus {
        let process = self.control().take();
        process.expect("control runs").terminate(STOP_LIMIT)
    }

    /// Tells its control to stop, and does not wait for that.
    ///
    /// # Panics
    /// It does not run.
    pub fn begin_stop(&self) {
        self.control().as_ref().expect("control runs").signal(nix::sys::signal::Signal::SIGTERM);
    }

    /// Waits for the end of its control.
    ///
    /// # Panics
    /// It does not run, or does not end within `deadline`.
    pub fn wait_stopped(&self, deadline: Duration) -> ExitStatus {
        let process = self.control().take();
        process.expect("control runs").wait(deadline)
    }

    /// Ends its control by SIGKILL, as a crash would.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill_control(&self) {
        self.control().take().expect("control runs").kill();
    }

    /// The process id of its control, while it runs.
    pub fn control_pid(&self) -> Option<u32> {
        self.control().as_ref().map(Process::pid)
    }

    /// What its controls have printed, one run after the other.
    pub fn control_log(&self) -> PathBuf {
        self.folder.join("control.log")
    }

    /// The admin socket of its control.
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("run/control-l7.sock")
    }

    /// Makes a request of its control.
    ///
    /// # Panics
    /// It does not answer, or not in the protocol.
    pub fn ask_control(&self, request: &Request) -> Reply {
        control::ask(&self.control_socket(), request)
            .unwrap_or_else(|error| panic!("request to control of {}: {error}", self.name))
    }

    /// How it is, as its control sees it.
    ///
    /// # Panics
    /// It does not answer.
    pub fn status(&self) -> L7Status {
        self.try_status()
            .unwrap_or_else(|error| panic!("status of control of {}: {error}", self.name))
    }

    /// As [`Self::status`], where control may be away.
    ///
    /// # Errors
    /// It does not answer, or not in the protocol.
    pub fn try_status(&self) -> io::Result<L7Status> {
        let request = Request::Status { brief: false };
        match control::ask(&self.control_socket(), &request)? {
            Reply::L7(status) => Ok(*status),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Runs `palierctl` on this node and returns how it ended and what it printed.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn ctl(&self, args: &[&str]) -> (ExitStatus, String) {
        control::ctl(&self.namespace, &self.folder.join("run"), args)
    }

    /// Has nobody answer on the node what is sent to a VIP, though it has the address.
    ///
    /// # Panics
    /// It does not have it.
    pub fn remove_vip(&self, vip: IpAddr) {
        self.vip("del", vip);
    }

    /// Takes that back.
    ///
    /// # Panics
    /// It was not done.
    pub fn add_vip(&self, vip: IpAddr) {
        self.vip("add", vip);
    }

    fn vip(&self, verb: &str, vip: IpAddr) {
        let line = format!("route {verb} local {vip} dev lo table local\n");
        self.namespace.ip(&line).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Its number, which is its index in the Snapshot too.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its name: `l7-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace. Its interface there is `eth0`.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where it accepts tunnelled packets.
    pub fn addresses(&self) -> Addresses {
        address::l7(self.number)
    }

    /// Its HTTP server and echo.
    ///
    /// # Panics
    /// The node is a proxy, and has none.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the node is no proxy")
    }

    /// Requests that it has answered, or passed on; none while its control is away.
    pub fn requests(&self) -> u64 {
        match &self.server {
            Some(server) => server.requests(),
            None => self.try_status().map_or(0, |status| {
                let servers = status.pools.iter().flat_map(|pool| &pool.servers);
                servers.filter_map(|server| server.counters.get("requests")).sum()
            }),
        }
    }

    /// TCP connections of clients that are open now.
    pub fn connections(&self) -> usize {
        match &self.server {
            Some(server) => server.connections(),
            None => self.clients().len(),
        }
    }

    /// The clients' ends of the TCP connections to a VIP that are open now.
    ///
    /// # Panics
    /// The system does not tell.
    pub fn clients(&self) -> Vec<SocketAddr> {
        let table = self.namespace.run("ss", &["-Htn", "state", "established"]);
        let table = table.unwrap_or_else(|error| panic!("{error}"));
        let vips: [IpAddr; 2] = [VIP.into(), VIP6.into()];
        let client = |line: &str| {
            let mut ends = line.split_whitespace().skip(2);
            let address = |text: &str| text.replace("::ffff:", "").parse::<SocketAddr>().ok();
            let (local, peer) = (address(ends.next()?)?, address(ends.next()?)?);
            vips.contains(&local.ip()).then_some(peer)
        };
        table.lines().filter_map(client).collect()
    }

    /// One of its decapsulator's counters, by name; 0 if it is not among them.
    pub fn decap_counter(&self, name: &str) -> u64 {
        let tunnel = self.status().tunnel.unwrap_or_default();
        tunnel.interfaces.iter().filter_map(|one| one.counters.get(name)).sum()
    }

    /// Gives it another MAC address, as a replaced machine has, without a word to its neighbors.
    ///
    /// # Panics
    /// The system refuses.
    pub fn change_mac(&self, mac: crate::Mac) {
        let lines = format!("link set eth0 address {mac}\n");
        self.namespace.ip(&lines).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Whether packets are taken out of tunnels, and whoever gets them listens.
fn is_ready(status: &L7Status) -> bool {
    status.tunnel.as_ref().is_none_or(|tunnel| {
        tunnel.problems.is_empty() && tunnel.interfaces.iter().all(|one| one.hook.is_some())
    })
}
