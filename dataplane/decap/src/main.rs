//! `palier-decap`: runs the decapsulator of an L7 node.

mod args;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, thread};

use args::Args;
use clap::Parser;
use decap::{Decap, Rules, Settings};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How often the statistics file is rewritten.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
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
    let settings = settings(&args)?;
    let decap = Decap::attach(&settings)?;
    println!("attached {} to {}", decap.hook(), args.interface);

    let (stop, stopped) = mpsc::channel();
    thread::spawn(move || {
        signals.forever().next();
        // Nobody waits any more: the process is ending.
        let _ = stop.send(());
    });
    loop {
        if let Some(path) = &args.stats_file {
            replace(path, &counters(&decap)?)?;
        }
        match stopped.recv_timeout(STATS_INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }

    let last = counters(&decap)?;
    drop(decap);
    if let Some(path) = &args.stats_file {
        replace(path, &last)?;
    }
    println!("{last}");
    Ok(())
}

fn settings(args: &Args) -> Result<Settings, decap::Error> {
    let is_vip = |address| args.vip.iter().any(|vip| vip.contains(address));
    let addresses = if args.address.is_empty() {
        let all = decap::addresses(&args.interface)?;
        all.into_iter().filter(|&address| !is_vip(address)).collect()
    } else {
        args.address.clone()
    };
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

/// Readers see the old file or the new one, never half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    writeln!(fs::File::create(new)?, "{text}")?;
    fs::rename(new, path)
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
