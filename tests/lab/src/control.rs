//! An L4 node's `palier-control`, and what operators ask of it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::PoisonError;
use std::time::Duration;

use admin::{Effective, Reply, Request, Status, VipStatus};
use nix::sys::signal::Signal;

use crate::l4::{L4, PALIERCTL};
use crate::process::Process;
use crate::{Error, Namespace, program, socket, wait_until};

/// Its program.
pub(crate) const CONTROL: &str = "palier-control";
/// How long it may take from its start to its first answer.
const START_LIMIT: Duration = Duration::from_secs(30);

impl L4 {
    /// Starts its control and returns once it answers.
    ///
    /// # Errors
    /// It ended instead; its last words are in the error.
    pub fn start_control(&self) -> Result<(), Error> {
        for folder in ["run", "control-state"].map(|name| self.folder().join(name)) {
            std::fs::create_dir_all(&folder).map_err(Error::system("a folder of the lab"))?;
        }
        let mut command = self.control_command()?;
        let mut process = Process::start(CONTROL, self.name(), &mut command, &self.control_log())?;
        process.wait_ready(START_LIMIT, |_| self.try_status().is_ok())?;
        *self.control() = Some(process);
        Ok(())
    }

    /// The command that [`Self::start_control`] runs.
    ///
    /// # Errors
    /// The program was not built.
    pub fn control_command(&self) -> Result<Command, Error> {
        let mut command = self.namespace().command(program::find(CONTROL)?);
        command.args(["--node", self.name(), "--site"]).arg(self.site_path());
        command.arg("--run-dir").arg(self.folder().join("run"));
        command.arg("--state-dir").arg(self.control_state());
        Ok(command)
    }

    /// What its control has printed since it was started; nothing while none runs.
    pub fn control_printed(&self) -> String {
        self.control().as_ref().map_or_else(String::new, Process::printed)
    }

    fn control(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its controls have printed, one run after the other.
    pub fn control_log(&self) -> PathBuf {
        self.folder().join("control.log")
    }

    /// Where its control keeps node states.
    pub fn control_state(&self) -> PathBuf {
        self.folder().join("control-state")
    }

    /// The process id of its control, while it runs.
    pub fn control_pid(&self) -> Option<u32> {
        self.control().as_ref().map(Process::pid)
    }

    /// Ends its control by SIGKILL, as a crash would.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill_control(&self) {
        self.control().take().expect("control runs").kill();
    }

    /// Ends its control by SIGTERM and returns how it ended.
    ///
    /// # Panics
    /// It does not run, or does not end within `deadline`.
    pub fn terminate_control(&self, deadline: Duration) -> ExitStatus {
        let process = self.control().take();
        process.expect("control runs").terminate(deadline)
    }

    /// SIGHUP for its control.
    ///
    /// # Panics
    /// It does not run.
    pub fn hang_up_control(&self) {
        self.control().as_ref().expect("control runs").signal(Signal::SIGHUP);
    }

    /// The admin socket of its control.
    pub fn control_socket(&self) -> PathBuf {
        self.folder().join("run/control-l4.sock")
    }

    /// Makes a request of its control.
    ///
    /// # Panics
    /// It does not answer, or not in the protocol.
    pub fn ask_control(&self, request: &Request) -> Reply {
        self.try_ask_control(request)
            .unwrap_or_else(|error| panic!("request to control of {}: {error}", self.name()))
    }

    fn try_ask_control(&self, request: &Request) -> io::Result<Reply> {
        ask(&self.control_socket(), request)
    }

    /// Has its control read the site file again: done, or refused with reasons.
    ///
    /// # Panics
    /// As [`Self::ask_control`].
    pub fn reload(&self, force: bool) -> Reply {
        self.ask_control(&Request::Reload { force })
    }

    /// How everything stands, as its control sees it.
    ///
    /// # Panics
    /// It does not answer.
    pub fn status(&self) -> Status {
        self.try_status()
            .unwrap_or_else(|error| panic!("status of control of {}: {error}", self.name()))
    }

    /// As [`Self::status`], where control may be away.
    ///
    /// # Errors
    /// It does not answer, or not in the protocol.
    pub fn try_status(&self) -> io::Result<Status> {
        match self.try_ask_control(&Request::Status { brief: false })? {
            Reply::Status(status) => Ok(*status),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// The state of an L7 node in the service `web`, at the IPv4 and at the IPv6 VIP.
    ///
    /// # Panics
    /// Control does not answer, or does not know the node.
    pub fn states_of(&self, node: &str) -> [Effective; 2] {
        self.planned_states(node).expect("the service has the node, and control a plan")
    }

    /// Nothing before control has a plan.
    fn planned_states(&self, node: &str) -> Option<[Effective; 2]> {
        let status = self.status();
        let web = status.services.iter().find(|service| service.name == "web");
        let [v4, v6] = web?.vips.as_slice() else { return None };
        let state = |vip: &VipStatus| {
            vip.nodes.iter().find(|member| member.node == node).map(|member| member.state)
        };
        Some([state(v4)?, state(v6)?])
    }

    /// Waits until an L7 node is in this state, at both VIPs, and the dataplane has been told.
    ///
    /// # Panics
    /// It does not come to be within `deadline`.
    pub fn wait_state(&self, node: &str, state: Effective, deadline: Duration) {
        let what = format!("{node} is {state:?} on {}", self.name());
        wait_until(&what, deadline, || {
            self.planned_states(node) == Some([state; 2]) && self.is_settled()
        });
    }

    /// Whether the dataplane has what control wants it to have.
    pub fn is_settled(&self) -> bool {
        let status = self.status().dataplane;
        status.forwards && status.wanted.is_some() && status.generation == status.wanted
    }

    /// Runs `palierctl` on this node and returns how it ended and what it printed.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn ctl(&self, args: &[&str]) -> (ExitStatus, String) {
        ctl(self.namespace(), &self.folder().join("run"), args)
    }
}

/// Makes a request of a control.
pub(crate) fn ask(socket: &Path, request: &Request) -> io::Result<Reply> {
    let line = serde_json::to_string(request).expect("requests are JSON");
    let reply = socket::exchange(socket, &line)?;
    serde_json::from_str(&reply).map_err(io::Error::from)
}

/// Runs `palierctl` and returns how it ended and what it printed.
pub(crate) fn ctl(namespace: &Namespace, run: &Path, args: &[&str]) -> (ExitStatus, String) {
    let program = program::find(PALIERCTL).unwrap_or_else(|error| panic!("{error}"));
    let mut command = namespace.command(program);
    let output = command.arg("--run-dir").arg(run).args(args).output();
    let output = output.expect("a program can be run");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    (output.status, text)
}
