//! What every command has: where the sockets lie, how to speak, and whom to ask.

use std::path::{Path, PathBuf};
use std::time::Duration;

use admin::{DnsStatus, L7Status, Reply, Request, Status};

use crate::args::{Global, Role};
use crate::client::{Client, Error};
use crate::failure::Failure;
use crate::text::Paint;

/// How long control has for what it knows already.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// How long it has for what it has to carry to other nodes, or to build.
pub(crate) const LATER: Duration = Duration::from_secs(60);

const CONTROL: &str = "palier-control";
const DATAPLANE: &str = "palier-dataplane";

/// What every command has.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Folder of the sockets.
    pub(crate) run_dir: PathBuf,
    /// Role of the control that is asked.
    role: &'static str,
    /// Whether JSON is wanted.
    pub(crate) json: bool,
    /// Colours, or none.
    pub(crate) paint: Paint,
    /// Characters on a line.
    pub(crate) width: usize,
}

impl Context {
    /// As the flags say.
    pub(crate) fn new(flags: Global) -> Self {
        let Global { run_dir, role, json, color } = flags;
        let role = role.unwrap_or_else(|| role_here(&run_dir)).name();
        Self { run_dir, role, json, paint: Paint::choose(color), width: width() }
    }

    /// A connection to this host's control.
    ///
    /// # Errors
    /// Nobody listens, or not to us.
    pub(crate) fn control(&self) -> Result<Control, Error> {
        let path = self.run_dir.join(format!("control-{}.sock", self.role));
        Client::connect(CONTROL, &path).map(Control)
    }

    /// A way to ask this host's dataplane: through control, or without it where its own socket can
    /// be opened, which takes root.
    ///
    /// # Errors
    /// Neither listens: what control's socket says is the reason.
    pub(crate) fn dataplane(&self) -> Result<Dataplane, Error> {
        self.control().map(Dataplane::ThroughControl).or_else(|error| {
            let path = self.run_dir.join("dataplane.sock");
            Client::connect(DATAPLANE, &path).map(Dataplane::Direct).map_err(|_| error)
        })
    }
}

/// The role whose control has a socket there.
fn role_here(run_dir: &Path) -> Role {
    let has = |role: &Role| run_dir.join(format!("control-{}.sock", role.name())).exists();
    [Role::L4, Role::L7, Role::Dns].into_iter().find(has).unwrap_or(Role::L4)
}

/// Columns of the terminal; without one what COLUMNS says, or 80.
fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || crossterm::terminal::size().ok().map(|(columns, _)| columns.into());
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) { terminal().or(said) } else { said }
        .unwrap_or(80)
}

/// How a node is, by its role.
#[derive(Debug)]
pub(crate) enum AnyStatus {
    L4(Box<Status>),
    L7(Box<L7Status>),
    Dns(Box<DnsStatus>),
}

/// A connection to control.
#[derive(Debug)]
pub(crate) struct Control(Client);

impl Control {
    /// A request's reply. What control could not do is a failure.
    ///
    /// # Errors
    /// No answer, none that is understood, or [`Reply::Error`].
    pub(crate) fn ask(&mut self, request: &Request, patience: Duration) -> Result<Reply, Failure> {
        let line = serde_json::to_string(request).expect("a request has string keys alone");
        let reply = self.0.ask(&line, patience)?;
        match serde_json::from_value(reply) {
            Ok(Reply::Error(reason)) => Err(Failure::refused(reason)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(broken(CONTROL, error)),
        }
    }

    /// How everything stands.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) fn any_status(&mut self) -> Result<AnyStatus, Failure> {
        match self.ask(&Request::Status { brief: false }, SOON)? {
            Reply::Status(status) => Ok(AnyStatus::L4(status)),
            Reply::L7(status) => Ok(AnyStatus::L7(status)),
            Reply::Dns(status) => Ok(AnyStatus::Dns(status)),
            reply => Err(unexpected(CONTROL, &reply)),
        }
    }

    /// How everything stands, as an L4 node sees it.
    ///
    /// # Errors
    /// As [`Self::ask`]; this is another node.
    pub(crate) fn status(&mut self) -> Result<Status, Failure> {
        match self.any_status()? {
            AnyStatus::L4(status) => Ok(*status),
            AnyStatus::L7(status) => {
                let node = status.node;
                Err(Failure::refused(format!("{node} is an L7 node: ask an L4 node for this")))
            }
            AnyStatus::Dns(status) => {
                let node = status.node;
                Err(Failure::refused(format!("{node} serves zones: ask an L4 node for this")))
            }
        }
    }
}

/// A way to ask the dataplane.
#[derive(Debug)]
pub(crate) enum Dataplane {
    /// Control passes questions on to whoever may ask it.
    ThroughControl(Control),
    /// Its own socket.
    Direct(Client),
}

impl Dataplane {
    /// A question's answer. What the dataplane could not do is a failure.
    ///
    /// # Errors
    /// No answer, none that is understood, or [`api::Reply::Error`].
    pub(crate) fn ask(
        &mut self,
        request: &api::Request,
        patience: Duration,
    ) -> Result<api::Reply, Failure> {
        let line = request.to_line();
        let reply = match self {
            Self::ThroughControl(control) => {
                let question = serde_json::from_str(&line).expect("a request's line is JSON");
                match control.ask(&Request::Dataplane(question), patience)? {
                    Reply::Dataplane(reply) => reply,
                    Reply::Refused { reasons } => return Err(Failure::Refused(reasons)),
                    reply => return Err(unexpected(CONTROL, &reply)),
                }
            }
            Self::Direct(client) => client.ask(&line, patience)?,
        };
        match serde_json::from_value(reply) {
            Ok(api::Reply::Error(reason)) => Err(Failure::refused(reason)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(broken(DATAPLANE, error)),
        }
    }

    /// The Snapshot in force, if there is one.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) fn snapshot(&mut self) -> Result<Option<api::InForce>, Failure> {
        match self.ask(&api::Request::Snapshot, SOON)? {
            api::Reply::Snapshot(snapshot) => Ok(snapshot.map(|snapshot| *snapshot)),
            reply => Err(misplaced(&reply)),
        }
    }
}

fn broken(program: &'static str, error: serde_json::Error) -> Failure {
    Error::Broken { program, problem: error.to_string() }.into()
}

/// A reply of control that does not belong to its request.
pub(crate) fn unexpected(program: &'static str, reply: &Reply) -> Failure {
    let kind = match reply {
        Reply::Status(_) | Reply::L7(_) | Reply::Dns(_) => "status",
        Reply::Explained(_) => "explained",
        Reply::Done(_) => "done",
        Reply::Refused { .. } => "refused",
        Reply::Dataplane(_) => "dataplane",
        Reply::Error(_) => "error",
    };
    Error::Broken { program, problem: format!("`{kind}` is no answer to that") }.into()
}

/// A reply of the dataplane that does not belong to its request.
pub(crate) fn misplaced(reply: &api::Reply) -> Failure {
    let kind = match reply {
        api::Reply::Hello(_) => "hello",
        api::Reply::Snapshot(_) => "snapshot",
        api::Reply::Applied { .. } => "applied",
        api::Reply::Refused { .. } => "refused",
        api::Reply::Stats(_) => "stats",
        api::Reply::Heartbeats(_) => "heartbeats",
        api::Reply::Explain(_) => "explain",
        api::Reply::Flows(_) => "flows",
        api::Reply::Capture { .. } => "capture",
        api::Reply::Restarting { .. } => "restart",
        api::Reply::Error(_) => "error",
    };
    let problem = format!("`{kind}` is no answer to that");
    Error::Broken { program: DATAPLANE, problem }.into()
}
