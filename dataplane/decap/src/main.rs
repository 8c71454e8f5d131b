//! `palier-decap`: runs the decapsulator of an L7 node.

mod args;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, thread};

use args::Args;
use clap::Parser;
use decap::{Decap, Rules, Settings};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How often the statistics file is rewritten.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    let level = LevelFilter::WARN.into();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().with_default_directive(level).from_env_lossy())
        .with_writer(io::stderr)
        .init();

    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palier-decap: {}", sentence(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn Error>> {
    // Before anything is attached, so that no signal leaves it attached.
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (stop, stopped) = mpsc::channel();
    thread::spawn(move || {
        signals.forever().next();
        // Nobody waits if the process is ending anyhow.
        let _ = stop.send(());
    });

    let decap = Decap::attach(&settings(&args)?)?;
    if let Some(path) = &args.stats_file {
        replace(path, &counters(&decap)?)?;
    }
    writeln!(io::stdout(), "attached {} to {}", decap.hook(), args.interface)?;

    while stopped.recv_timeout(STATS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        // A full disk must not stop the packets.
        if let Some(path) = &args.stats_file
            && let Err(error) = replace(path, &counters(&decap)?)
        {
            tracing::warn!("{}", sentence(&error));
        }
    }

    let last = counters(&decap)?;
    drop(decap);
    writeln!(io::stdout(), "{last}")?;
    if let Some(path) = &args.stats_file {
        replace(path, &last)?;
    }
    Ok(())
}

fn settings(args: &Args) -> Result<Settings, Box<dyn Error>> {
    let mut addresses = args.address.clone();
    if addresses.is_empty() {
        let is_vip = |address| args.vip.iter().any(|vip| vip.contains(address));
        addresses = decap::addresses(&args.interface)?;
        addresses.retain(|&address| !is_vip(address));
    }
    if addresses.is_empty() {
        let interface = &args.interface;
        return Err(format!("{interface} has no address: say this node's by --address").into());
    }
    Ok(Settings {
        interface: args.interface.clone(),
        hook: args.mode.0,
        rules: Rules { allow: args.allow.clone(), vips: args.vip.clone(), addresses },
    })
}

/// The counters, as one JSON object: name to packets.
fn counters(decap: &Decap) -> Result<String, Box<dyn Error>> {
    let counters = decap.counters()?.into_iter();
    let object: serde_json::Map<_, _> =
        counters.map(|(counter, packets)| (counter.name().into(), packets.into())).collect();
    Ok(serde_json::to_string(&object)?)
}

/// Rewrites the statistics file. Its readers see the old one or the new one, never half of it.
fn replace(path: &Path, text: &str) -> Result<(), StatsFile> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    fs::write(new, format!("{text}\n"))
        .and_then(|()| fs::rename(new, path))
        .map_err(|source| StatsFile { path: path.into(), source })
}

/// The statistics file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct StatsFile {
    path: PathBuf,
    source: io::Error,
}

/// The error and its causes, on one line.
fn sentence(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        sentence += &format!(": {inner}");
        cause = inner.source();
    }
    sentence
}
