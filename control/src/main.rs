//! Starts the parts that this node has, in order; stops them in reverse.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::Parser;
use clap::error::ErrorKind;
use config::{Config, SiteFile};
use control::args::{Args, Role};
use control::doors::{Doors, Sockets};
use control::handover::{Estate, Inheritance, Predecessor};
use control::names::Names;
use control::respond::{Draft, Respond};
use control::signals::Signals;
use control::site::Site;
use control::states::Store;
use control::steer::{self, Ended, Start};
use control::{log, notify, respond, serve};
use tokio::task::AbortHandle;

/// Where this program lay when it was started.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let usage = !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Where it cannot be printed nobody reads it.
            let _ = error.print();
            return ExitCode::from(if usage { 2 } else { 0 });
        }
    };
    if let Err(problem) = log::start(&args) {
        eprintln!("palier-control: {problem}");
        return ExitCode::from(2);
    }
    let program = std::env::current_exe();
    let _ = program.map(|program| PROGRAM.set(program));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(&args)),
        Err(error) => Err(Failure::new(1, format!("no runtime: {error}"))),
    };
    match ended {
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Ok(Ended::Upgrade) => give_way(),
        Err(Failure { code, text }) => {
            for line in text.lines() {
                eprintln!("palier-control: {line}");
            }
            ExitCode::from(code)
        }
    }
}

/// Why it cannot run.
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn new(code: u8, text: impl std::fmt::Display) -> Self {
        Self { code, text: text.to_string() }
    }
}

/// A thousand probes on their way take a thousand descriptors, and more than the customary limit.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn run(args: &Args) -> Result<Ended, Failure> {
    raise_descriptor_limit();
    // A hang-up that comes before the loop listens is not the end.
    let signals = Signals::new().map_err(|error| Failure::new(1, error))?;
    let node = match &args.node {
        Some(node) => node.clone(),
        None => host_name()?,
    };
    let file = SiteFile::read(&args.site).map_err(|error| Failure::new(2, error))?;
    let role = Role::of(&file.config, &node, args.role).map_err(|why| Failure::new(2, why))?;
    for folder in [&args.run_dir, &args.state_dir] {
        make_folder(folder)?;
    }
    match role {
        Role::L4 => forward(args, file, &node, signals).await,
        Role::L7 => serve(args, file, &node, signals).await,
        Role::Dns => respond(args, file, &node, signals).await,
    }
}

/// An L4 node: steers its dataplane.
async fn forward(
    args: &Args,
    file: SiteFile,
    node: &str,
    signals: Signals,
) -> Result<Ended, Failure> {
    let site = Site::new(file, node).map_err(|error| Failure::new(2, error))?;
    let (store, state_file) = open_store(args, Role::L4);
    let dataplane = args.run_dir.join("dataplane.sock");
    let doors = open_doors(args, Role::L4, &mut Sockets::default())?;
    let path = doors.path().to_owned();
    let answered = doors.answer(Some(dataplane.as_path().into()));
    let (calls, _answering) = answered.map_err(|error| Failure::new(1, error))?;
    started(node, Role::L4, &site.config);
    let start = Start {
        site,
        path: args.site.clone(),
        store,
        state_file,
        dataplane,
        program: PROGRAM.get().cloned().unwrap_or_default(),
        calls,
    };
    let (_, heard) = signals.heard();
    let ended = steer::run(start, heard).await;
    // It may be gone already.
    let _ = std::fs::remove_file(&path);
    Ok(ended)
}

/// An L7 node: takes packets out of tunnels, and is the proxy.
async fn serve(
    args: &Args,
    file: SiteFile,
    node: &str,
    signals: Signals,
) -> Result<Ended, Failure> {
    let failed = |why: String| Failure::new(1, why);
    let site = serve::Site::new(file, node).map_err(|error| Failure::new(2, error))?;
    let (mut estate, predecessor) = inherit(args)?;
    // Before anything is done to this host: there may be another process of this node.
    let doors = open_doors(args, Role::L7, &mut estate.sockets)?;
    let path = doors.path().to_owned();
    let names = Names::start(&site.config, estate.addresses(&site.config), serve::NAMES).await;
    let proxy = serve::listen(&site, &names, &mut estate).map_err(failed)?;
    let (store, state_file) = open_store(args, Role::L7);
    let (calls, answering) = doors.answer(None).map_err(|error| Failure::new(1, error))?;
    let config = site.config.clone();
    let start = serve::Start {
        site,
        proxy,
        names,
        estate,
        doors,
        path: args.site.clone(),
        program: PROGRAM.get().cloned().unwrap_or_default(),
        store,
        state_file,
        state_dir: args.state_dir.clone(),
        bpf_dir: args.bpf_dir.clone(),
        calls,
    };
    let mut serving = serve::Serve::start(start).map_err(failed)?;
    serving.settled().await;
    let alive = started(node, Role::L7, &config);
    let (told, mut heard) = signals.heard();
    if let Some(predecessor) = predecessor {
        serving.follow(predecessor.relieve(told));
    }
    match serving.run(&mut heard).await {
        serve::Ended::Stopped => {
            answering.finish().await;
            // It may be gone already.
            let _ = std::fs::remove_file(&path);
        }
        serve::Ended::HandedOver(mut handed) => {
            notify::main_process(handed.heir.pid());
            alive.abort();
            answering.close();
            handed.tell();
            answering.finish().await;
            handed.finish(&mut heard).await.map_err(failed)?;
        }
    }
    Ok(Ended::Stopped)
}

/// A node that serves zones.
async fn respond(
    args: &Args,
    file: SiteFile,
    node: &str,
    signals: Signals,
) -> Result<Ended, Failure> {
    let failed = |why: String| Failure::new(1, why);
    let draft = Draft::of(file, &args.site, node);
    let draft = draft.map_err(|reasons| Failure::new(2, reasons.join("\n")))?;
    let (mut estate, predecessor) = inherit(args)?;
    let doors = open_doors(args, Role::Dns, &mut estate.sockets)?;
    let path = doors.path().to_owned();
    let (store, state_file) = open_store(args, Role::Dns);
    let (calls, answering) = doors.answer(None).map_err(|error| Failure::new(1, error))?;
    let config = draft.config().clone();
    let start = respond::Start {
        draft,
        estate,
        doors,
        path: args.site.clone(),
        program: PROGRAM.get().cloned().unwrap_or_default(),
        store,
        state_file,
        calls,
    };
    let mut responding = Respond::start(start).map_err(failed)?;
    let (told, mut heard) = signals.heard();
    if !responding.settled(&mut heard).await.map_err(failed)? {
        let _ = std::fs::remove_file(&path);
        return Ok(Ended::Stopped);
    }
    let alive = started(node, Role::Dns, &config);
    if let Some(predecessor) = predecessor {
        predecessor.relieve(told);
    }
    match responding.run(&mut heard).await {
        respond::Ended::Stopped => {
            answering.finish().await;
            // It may be gone already.
            let _ = std::fs::remove_file(&path);
        }
        respond::Ended::HandedOver(mut handed) => {
            notify::main_process(handed.heir.pid());
            alive.abort();
            answering.close();
            handed.tell();
            answering.finish().await;
            handed.finish().await;
        }
    }
    Ok(Ended::Stopped)
}

/// What an older process hands over, if this one takes over from it.
fn inherit(args: &Args) -> Result<(Estate, Option<Predecessor>), Failure> {
    if !args.take_over {
        return Ok((Estate::default(), None));
    }
    let Inheritance { estate, predecessor } = Inheritance::take()
        .map_err(|error| Failure::new(1, format!("nothing to take over: {error}")))?;
    Ok((estate, Some(predecessor)))
}

fn open_doors(args: &Args, role: Role, inherited: &mut Sockets) -> Result<Doors, Failure> {
    Doors::open(args, role, inherited).map_err(|error| Failure::new(1, error))
}

/// Node states of before.
fn open_store(args: &Args, role: Role) -> (Arc<Store>, PathBuf) {
    let state_file = Store::path(&args.state_dir, role.name());
    let (store, warning) = Store::open(state_file.clone());
    if let Some(warning) = warning {
        tracing::error!("{warning}");
    }
    (Arc::new(store), state_file)
}

/// Says that the service is there, and from now on that it lives.
fn started(node: &str, role: Role, config: &Config) -> AbortHandle {
    tracing::info!(node, role = role.name(), site = config.site.name, "started");
    notify::ready();
    tokio::spawn(notify::alive()).abort_handle()
}

/// Becomes the program that lies in this one's place now, with the same arguments.
fn give_way() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let program = PROGRAM.get().cloned().unwrap_or_else(|| name.into());
    // What comes back is an error: routers keep the routes until whoever started this starts it again.
    let error = std::process::Command::new(&program).args(arguments).exec();
    eprintln!("palier-control: {} cannot be started: {error}", program.display());
    ExitCode::FAILURE
}

fn host_name() -> Result<String, Failure> {
    let name = nix::unistd::gethostname()
        .map_err(|error| Failure::new(1, format!("host name: {error}; --node NAME says it")))?;
    name.into_string().map_err(|name| {
        Failure::new(
            2,
            format!("the host name {name:?} is not UTF-8; --node NAME says who this is"),
        )
    })
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(1, format!("{}: {error}", folder.display())))
}
