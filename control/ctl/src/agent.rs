//! `palierctl agent`: tells load balancers how this host is, by HAProxy's agent-check protocol.
//!
//! Each connection is answered with one line ([`mod@line`]) and closed ([`server`]). The words come from
//! a file ([`mod@file`]) or from a program ([`command`]), the weight from the load ([`load`]), if asked.

mod command;
mod file;
mod line;
mod load;
mod server;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::Prefix;
use clap::Args;
use nix::errno::Errno;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::server::{Limits, Server};
use crate::failure::{Failure, note};

/// HAProxy's documentation, and with it everybody, uses this port.
const PORT: u16 = 5555;

/// `palierctl agent`
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Where to listen.
    #[arg(
        long = "listen",
        value_name = "ADDR:PORT",
        help = "Where to listen; may be repeated. [default: [::]:5555, which is IPv4 too]"
    )]
    listen: Vec<SocketAddr>,
    /// Its first line is the answer.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/palier/agent",
        conflicts_with = "command"
    )]
    file: PathBuf,
    /// A program and its arguments, without a shell: exit code 0 is `up`, 1 and all others `down`,
    /// but its first line is the answer if it prints one. Takes all that follows.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    command: Vec<String>,
    /// Time from one run of the program to the next.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// The program is killed after that, with its process group: `down`.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    timeout: Duration,
    /// Add a weight: 100% when idle, less as the load average of a minute nears the number of CPUs.
    #[arg(long)]
    weight_by_load: bool,
    /// Least weight by load.
    #[arg(
        long, value_name = "PERCENT", default_value_t = 10,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    least_weight: u8,
    /// Answer these sources alone; may be repeated. Others are closed at once, and counted.
    #[arg(long = "allow", value_name = "PREFIX")]
    allow: Vec<Prefix>,
    /// Print the line, and end.
    #[arg(long)]
    once: bool,
}

/// A duration that is not nothing: a program without a pause would be a busy loop.
fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time >= Duration::from_millis(10) => Ok(time),
        Ok(_) => Err("at least 10ms".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(flags: Flags, out: &mut dyn Write) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed("no timers and sockets", &error))?;
    runtime.block_on(async {
        if flags.once {
            let words = match flags.command.as_slice() {
                [] => file::words(&flags.file),
                argv => command::words(argv, flags.timeout).await,
            };
            writeln!(out, "{}", flags.weight().complete(words))?;
            return Ok(());
        }
        serve(flags).await
    })
}

async fn serve(flags: Flags) -> Result<(), Failure> {
    let failed = |error| failed("signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let listeners = listen(&flags.listen).await?;
    let weight = flags.weight();
    let (argv, interval, timeout) = (flags.command, flags.interval, flags.timeout);
    let source = if argv.is_empty() {
        Source::File(flags.file)
    } else {
        // Known before anybody is answered: those who ask meanwhile wait in the listeners' queues.
        let first = tokio::select! {
            words = command::words(&argv, timeout) => words,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let (sender, words) = watch::channel(first);
        tokio::spawn(command::repeat(argv, interval, timeout, sender));
        Source::Command(words)
    };
    let line = move || weight.complete(source.words()) + "\n";
    let server = Arc::new(Server::new(flags.allow, Limits::default(), line));
    for listener in listeners {
        tokio::spawn(server.clone().serve(listener));
    }
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        note(&format!("systemd is not told: {error}"));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    note(&server.summary());
    Ok(())
}

/// Where the words come from.
enum Source {
    File(PathBuf),
    /// The last run's.
    Command(watch::Receiver<String>),
}

impl Source {
    fn words(&self) -> String {
        match self {
            Self::File(path) => file::words(path),
            Self::Command(words) => words.borrow().clone(),
        }
    }
}

/// Whether, and how, a weight is added.
#[derive(Clone, Copy, Debug)]
struct Weight {
    by_load: bool,
    least: u8,
}

impl Weight {
    /// The words, with a weight if one is wanted and none is there.
    fn complete(self, words: String) -> String {
        if !self.by_load {
            return words;
        }
        match load::percent(self.least) {
            Ok(percent) => line::with_weight(&words, percent),
            // The words are worth more than the weight.
            Err(_) => words,
        }
    }
}

impl Flags {
    fn weight(&self) -> Weight {
        Weight { by_load: self.weight_by_load, least: self.least_weight }
    }
}

/// Binds every address.
async fn listen(wanted: &[SocketAddr]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    for address in wanted {
        listeners.push(bind(*address).await.map_err(|error| failed(address, &error))?);
    }
    if wanted.is_empty() {
        listeners.push(any().await?);
    }
    for listener in &listeners {
        if let Ok(address) = listener.local_addr() {
            note(&format!("listening on {address}"));
        }
    }
    Ok(listeners)
}

/// Both families, or IPv4 on a host that has no IPv6.
async fn any() -> Result<TcpListener, Failure> {
    let v6 = SocketAddr::from((IpAddr::from(Ipv6Addr::UNSPECIFIED), PORT));
    let v4 = SocketAddr::from((IpAddr::from(Ipv4Addr::UNSPECIFIED), PORT));
    let error = match bind(v6).await {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => {
            bind(v4).await.map_err(|error| failed(v4, &error))
        }
        Some(_) | None => Err(failed(v6, &error)),
    }
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

fn failed(what: impl std::fmt::Display, error: &dyn std::fmt::Display) -> Failure {
    Failure::refused(format!("{what}: {error}"))
}
