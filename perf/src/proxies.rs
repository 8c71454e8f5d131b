//! The L7 proxy beside HAProxy and nginx: each a process on one CPU, in front of the same server, with the
//! same features on: an access log in a file on tmpfs, counters, the client's address and scheme told to the
//! server, a header added to each answer.

mod text;

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use rustls::ClientConfig;

use crate::client::{self, Body, NAME, Question};
use crate::load::Clients;
use crate::process::{Memory, Running};

/// How long a start may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Where the server is.
const SERVER: &str = "127.0.0.1:9000";

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// palier-control in the role l7.
    Palier,
    /// HAProxy.
    HaProxy,
    /// nginx.
    Nginx,
}

impl Rival {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Palier, Self::HaProxy, Self::Nginx];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Palier => "palier",
            Self::HaProxy => "HAProxy",
            Self::Nginx => "nginx",
        }
    }

    /// Where it is asked without TLS.
    pub fn plain(self) -> SocketAddr {
        self.at(80)
    }

    /// Where it is asked with TLS.
    pub fn tls(self) -> SocketAddr {
        self.at(443)
    }

    fn at(self, port: u16) -> SocketAddr {
        let host = match self {
            Self::Palier => 1,
            Self::HaProxy => 2,
            Self::Nginx => 3,
        };
        SocketAddr::from(([198, 51, 100, host], port))
    }
}

/// A network of its own, in which nothing of the machine's is touched: for this thread, and what it starts
/// from now on.
///
/// # Errors
/// It takes root.
pub fn network() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let ip = |arguments: &str| {
        let done = Command::new("ip").args(arguments.split(' ')).status()?;
        done.success().then_some(()).ok_or_else(|| io::Error::other(format!("ip {arguments}")))
    };
    ip("link set lo up")?;
    Rival::ALL
        .into_iter()
        .try_for_each(|rival| ip(&format!("addr add {}/32 dev lo", rival.plain().ip())))?;
    // A connection per request takes a port each.
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "10000 65000")
}

/// The server, and what all proxies need.
pub struct Place {
    folder: PathBuf,
    control: PathBuf,
    tls: Arc<ClientConfig>,
    /// Whether there are access logs.
    logs: bool,
    /// CPU of whoever is measured.
    cpu: usize,
    _server: Running,
}

/// A proxy that runs.
pub struct Subject {
    process: Running,
    /// What it writes.
    logs: [PathBuf; 2],
}

impl Place {
    /// Starts the server on the second of these CPUs. Proxies come to the first.
    ///
    /// # Errors
    /// There is no nginx, or it does not start.
    pub fn prepare(
        folder: &Path,
        control: &Path,
        logs: bool,
        cpus: [usize; 2],
    ) -> io::Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]);
        let made = made.map_err(io::Error::other)?;
        let pem = made.cert.pem() + &made.signing_key.serialize_pem();
        fs::write(folder.join("www.pem"), pem)?;
        for body in [Body::Small, Body::Large] {
            fs::write(folder.join(body.name()), vec![b'.'; body.length()])?;
        }
        let config = folder.join("server.conf");
        fs::write(&config, text::server(folder))?;
        let log = folder.join("server.log");
        let server = start(cpus[1], "nginx", &["-c", &config.to_string_lossy()], &log)?;
        wait_for(SERVER.parse().expect("it is an address"), &log)?;
        let tls = client::tls(made.cert.der().clone())?;
        Ok(Self {
            logs,
            folder: folder.into(),
            control: control.into(),
            tls,
            cpu: cpus[0],
            _server: server,
        })
    }

    /// Starts a proxy, and returns once it answers.
    ///
    /// # Errors
    /// It is not there, or does not start.
    pub fn start(&self, rival: Rival) -> io::Result<Subject> {
        let folder = &self.folder;
        let at = |ending: &str| folder.join(format!("{}.{ending}", rival.name().to_lowercase()));
        let (log, config) = (at("log"), at("conf"));
        let file = config.to_string_lossy();
        let text = match rival {
            Rival::Palier => text::palier(folder, self.logs),
            Rival::HaProxy => text::haproxy(folder, self.logs),
            Rival::Nginx => text::nginx(folder, self.logs),
        };
        fs::write(&config, text)?;
        // palier's has a key in it.
        fs::set_permissions(&config, Permissions::from_mode(0o600))?;
        let process = match rival {
            Rival::Palier => {
                let (run, state) = (at("run"), at("state"));
                let (run, state) = (run.to_string_lossy(), state.to_string_lossy());
                let flags = ["--site", &file, "--node", "l7", "--role", "l7", "--run-dir", &run];
                let more = ["--state-dir", &state, "--metrics", "127.0.0.1:0"];
                let control = self.control.to_string_lossy();
                start(self.cpu, &control, &[&flags[..], &more].concat(), &log)?
            }
            Rival::HaProxy => start(self.cpu, "haproxy", &["-db", "-f", &file], &log)?,
            Rival::Nginx => start(self.cpu, "nginx", &["-c", &file], &log)?,
        };
        wait_for(rival.plain(), &log)?;
        Ok(Subject { process, logs: [log, at("access")] })
    }

    /// What this one is asked.
    pub fn question(&self, rival: Rival, tls: bool, body: Body, close: bool) -> Question {
        if tls {
            Question::new(rival.tls(), body, close).over(self.tls.clone())
        } else {
            Question::new(rival.plain(), body, close)
        }
    }
}

impl Subject {
    /// CPU time that it has had, all its threads together.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        Ok(self.process.cpu_times()?.values().sum())
    }

    /// What it has of memory, once that stays as it is.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> io::Result<Memory> {
        let (mut memory, mut same) = (self.process.memory()?, 0);
        while same < 5 {
            thread::sleep(Duration::from_millis(50));
            let now = self.process.memory()?;
            same = if now == memory { same + 1 } else { 0 };
            memory = now;
        }
        Ok(memory)
    }

    /// Empties its logs, and returns how many bytes they had.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn forget(&self) -> io::Result<u64> {
        let mut length = 0;
        for log in self.logs.iter().filter(|log| log.exists()) {
            length += fs::metadata(log)?.len();
            OpenOptions::new().write(true).open(log)?.set_len(0)?;
        }
        Ok(length)
    }
}

fn start(cpu: usize, program: &str, arguments: &[&str], log: &Path) -> io::Result<Running> {
    let mut command = Command::new("taskset");
    command.args(["-c", &cpu.to_string(), program]).args(arguments);
    Running::start(&mut command, log)
}

/// Waits until somebody answers there, or tells what he has said instead.
fn wait_for(address: SocketAddr, log: &Path) -> io::Result<()> {
    let end = Instant::now() + LIMIT;
    let question = Question::new(address, Body::Small, false);
    while let Err(error) = Clients::connect(question.clone(), 1).and_then(|mut one| one.ask()) {
        if Instant::now() > end {
            let said = fs::read_to_string(log).unwrap_or_default();
            let text = format!("nobody answers at {address}: {error}; he said: {said}");
            return Err(io::Error::other(text));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
