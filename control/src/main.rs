//! Starts the parts that this node has, in order; stops them in reverse.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::Parser;
use clap::error::ErrorKind;
use config::{Config, SiteFile};
use control::admin::socket::Call;
use control::admin::{metrics, socket};
use control::args::{Args, Role};
use control::names::Names;
use control::site::Site;
use control::states::Store;
use control::steer::{self, Ended, Signal, Start};
use control::{log, notify, serve};
use tokio::signal::unix::{self as signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Where this program lay when it was started.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
/// How long tasks that were told to end may take.
const LET_GO: std::time::Duration = std::time::Duration::from_millis(50);
/// Requests that wait for the loop.
const CALLS: usize = 64;

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
    let doors = Doors::open(args, Role::L4, Some(dataplane.as_path().into())).await?;
    let (path, calls) = (doors.path, doors.calls);
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
    let ended = steer::run(start, signals.heard()).await;
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
    let site = serve::Site::new(file, node).map_err(|error| Failure::new(2, error))?;
    let inheritance = inheritance(args)?;
    let already = inheritance.iter().flat_map(|one| one.addresses(&site.config));
    let names = Names::start(&site.config, already, serve::NAMES).await;
    let (proxy, inherited) = listen(&site, &names, inheritance)?;
    let (store, state_file) = open_store(args, Role::L7);
    let doors = Doors::open(args, Role::L7, None).await?;
    let Doors { path, calls, tasks } = doors;
    let config = site.config.clone();
    let start = serve::Start {
        site,
        proxy,
        names,
        inherited,
        path: args.site.clone(),
        program: PROGRAM.get().cloned().unwrap_or_default(),
        store,
        state_file,
        state_dir: args.state_dir.clone(),
        bpf_dir: args.bpf_dir.clone(),
        calls,
    };
    let serving = serve::Serve::start(start).map_err(|why| Failure::new(1, why))?;
    started(node, Role::L7, &config);
    match serving.run(signals.heard()).await {
        serve::Ended::Stopped => {
            // It may be gone already.
            let _ = std::fs::remove_file(&path);
        }
        serve::Ended::HandedOver(mut handed) => {
            tasks.iter().for_each(AbortHandle::abort);
            let _ = std::fs::remove_file(&path);
            notify::main_process(handed.heir.pid);
            // What was told to end has ended by then.
            tokio::time::sleep(LET_GO).await;
            if let Err(error) = handed.heir.free() {
                tracing::error!(%error, "the process that has taken over is gone");
            }
            handed.finish().await;
        }
    }
    Ok(Ended::Stopped)
}

/// What an older process hands over to this one, if one does.
fn inheritance(args: &Args) -> Result<Option<serve::Inheritance>, Failure> {
    let taken = args.take_over.then(serve::Inheritance::take).transpose();
    taken.map_err(|error| nothing_to_take_over(&error))
}

/// Listens, by the sockets of an older process if this one is to take over from it; and the servers of which
/// that has told what it thinks.
fn listen(
    site: &serve::Site,
    names: &Names,
    inheritance: Option<serve::Inheritance>,
) -> Result<(proxy::Proxy, BTreeSet<(String, String)>), Failure> {
    let failed = |why: String| Failure::new(1, why);
    let Some(mut inheritance) = inheritance else {
        let proxy = serve::listen(site, names, proxy::Listeners::new()).map_err(failed)?;
        return Ok((proxy, BTreeSet::new()));
    };
    let listeners = std::mem::take(&mut inheritance.listeners);
    let proxy = serve::listen(site, names, listeners).map_err(failed)?;
    let mut servers = BTreeSet::new();
    for thought in std::mem::take(&mut inheritance.servers) {
        proxy.set_server(&thought.pool, &thought.server, thought.state);
        servers.insert((thought.pool, thought.server));
    }
    inheritance.serve().map_err(|error| nothing_to_take_over(&error))?;
    Ok((proxy, servers))
}

fn nothing_to_take_over(error: &std::io::Error) -> Failure {
    Failure::new(1, format!("nothing to take over: {error}"))
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

fn started(node: &str, role: Role, config: &Config) {
    tracing::info!(node, role = role.name(), site = config.site.name, "started");
    notify::ready();
    tokio::spawn(notify::alive());
}

/// The admin socket, and where metrics are told.
struct Doors {
    path: PathBuf,
    calls: mpsc::Receiver<Call>,
    tasks: [AbortHandle; 2],
}

impl Doors {
    async fn open(args: &Args, role: Role, dataplane: Option<Arc<Path>>) -> Result<Self, Failure> {
        let path = args.run_dir.join(format!("control-{}.sock", role.name()));
        let listener =
            socket::bind(&path, args.group.as_deref()).map_err(|error| Failure::new(1, error))?;
        let scrapers = tokio::net::TcpListener::bind(args.metrics)
            .await
            .map_err(|error| Failure::new(1, format!("metrics on {}: {error}", args.metrics)))?;
        let (requests, calls) = mpsc::channel(CALLS);
        let admin = socket::serve(listener, requests.clone(), dataplane.clone());
        let metrics = metrics::serve(scrapers, requests, dataplane);
        let tasks = [tokio::spawn(admin).abort_handle(), tokio::spawn(metrics).abort_handle()];
        Ok(Self { path, calls, tasks })
    }
}

/// Signals, noted from the moment on in which this is made.
struct Signals {
    hangups: signal::Signal,
    terms: signal::Signal,
    interrupts: signal::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangups: signal(SignalKind::hangup())?,
            terms: signal(SignalKind::terminate())?,
            interrupts: signal(SignalKind::interrupt())?,
        })
    }

    /// What they mean, for a loop.
    fn heard(mut self) -> mpsc::Receiver<Signal> {
        let (signals, heard) = mpsc::channel(4);
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = self.hangups.recv() => Signal::Reload,
                    Some(()) = self.terms.recv() => Signal::Stop,
                    Some(()) = self.interrupts.recv() => Signal::Stop,
                };
                if signals.send(signal).await.is_err() {
                    return;
                }
            }
        });
        heard
    }
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
