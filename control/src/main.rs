//! Starts the parts that this node has, in order; stops them in reverse.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::Parser;
use clap::error::ErrorKind;
use config::SiteFile;
use control::admin::{metrics, socket};
use control::args::{Args, Role};
use control::site::Site;
use control::states::Store;
use control::steer::{self, Ended, Signal, Start};
use control::{log, notify};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Where this program lay when it was started.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
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
    let mut hangups = signal(SignalKind::hangup()).map_err(|error| Failure::new(1, error))?;
    let mut terms = signal(SignalKind::terminate()).map_err(|error| Failure::new(1, error))?;
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| Failure::new(1, error))?;

    let node = match &args.node {
        Some(node) => node.clone(),
        None => host_name()?,
    };
    let file = SiteFile::read(&args.site).map_err(|error| Failure::new(2, error))?;
    let role = args.role.unwrap_or(Role::L4);
    let site = Site::new(file, &node).map_err(|error| Failure::new(2, error))?;

    for folder in [&args.run_dir, &args.state_dir] {
        make_folder(folder)?;
    }
    let state_file = Store::path(&args.state_dir, role.name());
    let (store, warning) = Store::open(state_file.clone());
    if let Some(warning) = warning {
        tracing::error!("{warning}");
    }
    let path = args.run_dir.join(format!("control-{}.sock", role.name()));
    let listener =
        socket::bind(&path, args.group.as_deref()).map_err(|error| Failure::new(1, error))?;
    let scrapers = tokio::net::TcpListener::bind(args.metrics)
        .await
        .map_err(|error| Failure::new(1, format!("metrics on {}: {error}", args.metrics)))?;

    let program = PROGRAM.get().cloned().unwrap_or_default();
    let dataplane = args.run_dir.join("dataplane.sock");
    let (requests, calls) = mpsc::channel(CALLS);
    tokio::spawn(socket::serve(listener, requests.clone(), dataplane.clone().into()));
    tokio::spawn(metrics::serve(scrapers, requests, dataplane.clone().into()));
    let (signals, heard) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                Some(()) = hangups.recv() => Signal::Reload,
                Some(()) = terms.recv() => Signal::Stop,
                Some(()) = interrupts.recv() => Signal::Stop,
            };
            if signals.send(signal).await.is_err() {
                return;
            }
        }
    });
    tracing::info!(node, role = role.name(), site = site.config.site.name, "started");
    notify::ready();
    tokio::spawn(notify::alive());
    let start = Start {
        site,
        path: args.site.clone(),
        store: Arc::new(store),
        state_file,
        dataplane,
        program,
        calls,
    };
    let ended = steer::run(start, heard).await;
    // It may be gone already.
    let _ = std::fs::remove_file(&path);
    Ok(ended)
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
