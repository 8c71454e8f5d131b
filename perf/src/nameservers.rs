//! Two servers of zones beside each other: palier-control in the role dns, and gdnsd; each a process on one CPU, with
//! the same zone and the same health, and dnsperf on another CPU.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lab::message::{Message, question};

use crate::process::{Memory, Running};

/// How long a start may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Names that there are not, of which each is asked about in turn.
const STRANGE: usize = 1000;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// palier-control in the role dns.
    Palier,
    /// gdnsd.
    Gdnsd,
}

impl Server {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Palier, Self::Gdnsd];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Palier => "palier",
            Self::Gdnsd => "gdnsd",
        }
    }

    /// Where it answers.
    pub fn at(self) -> SocketAddr {
        let port = match self {
            Self::Palier => 5301,
            Self::Gdnsd => 5302,
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }
}

const ZONE: &str = "\
@ SOA ns1 host 1 7200 1800 259200 900
@ NS ns1
ns1 A 192.0.2.1
static A 192.0.2.7
dynamic 300/300 DYNA multifo!web
";

const SITE: &str = "\
[site]
name = \"perf\"
hash_key = \"000102030405060708090a0b0c0d0e0f\"
[[dns]]
name = \"dns-1\"
listen = [\"127.0.0.1:5301\"]
rate_limit = false
workers = 1
[[zone]]
name = \"example.org\"
file = \"example.org\"
[[resolver]]
name = \"web\"
plugin = \"multifo\"
addresses = [\"198.51.100.1\", \"198.51.100.2\"]
CHECK";

const GDNSD: &str = "\
options => { listen => [ 127.0.0.1:5302 ], run_dir => FOLDER/run, state_dir => FOLDER/state,
  udp_threads => 1, tcp_threads => 1 }
service_types => { ext => { plugin => extfile, file => FOLDER/ext, direct => true, def_down => false } }
plugins => { extfile => { }, multifo => { web => {
  service_types => [ ext ], addrs_v4 => [ 198.51.100.1, 198.51.100.2 ] } } }
";

/// What both need, in a folder.
pub struct Place {
    folder: PathBuf,
    control: PathBuf,
    /// CPUs of whoever is measured, and of who asks.
    cpus: [usize; 2],
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// About an address of the zone.
    Static,
    /// About one that a resolver gives.
    Dynamic,
    /// About names that there are not.
    Nothing,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Static, Self::Dynamic, Self::Nothing];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dynamic => "DYNA",
            Self::Nothing => "NXDOMAIN",
        }
    }
}

/// A server that runs.
pub struct Subject(Running);

impl Subject {
    /// CPU time so far, all threads together.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        Ok(self.0.cpu_times()?.values().sum())
    }

    /// What it has of memory.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> io::Result<Memory> {
        self.0.memory()
    }
}

impl Place {
    /// Writes the files.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn prepare(folder: &Path, control: &Path, cpus: [usize; 2]) -> io::Result<Self> {
        let place = Self { folder: folder.into(), control: control.into(), cpus };
        for name in ["run", "state", "zones", "palier"] {
            fs::create_dir_all(place.path(name))?;
        }
        fs::write(place.path("zones/example.org"), ZONE)?;
        fs::write(place.path("ext"), "198.51.100.1 => UP\n198.51.100.2 => UP\n")?;
        fs::write(place.path("config"), GDNSD.replace("FOLDER", &folder.display().to_string()))?;
        place.zone(ZONE)?;
        place.site("")?;
        for asked in Asked::ALL {
            let lines: String = match asked {
                Asked::Static => "static.example.org A\n".into(),
                Asked::Dynamic => "dynamic.example.org A\n".into(),
                Asked::Nothing => (0..STRANGE).map(|n| format!("x{n}.example.org A\n")).collect(),
            };
            fs::write(place.path(asked.name()), lines)?;
        }
        Ok(place)
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Another zone for palier.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn zone(&self, text: &str) -> io::Result<()> {
        fs::write(self.path("palier/example.org"), text)
    }

    /// Another check for palier.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn site(&self, check: &str) -> io::Result<()> {
        let site = self.path("palier/site.toml");
        fs::write(&site, SITE.replace("CHECK", check))?;
        fs::set_permissions(site, Permissions::from_mode(0o600))
    }

    /// Starts one; returns once it answers, and how long that took.
    ///
    /// # Errors
    /// It does not answer.
    pub fn start(&self, server: Server) -> io::Result<(Subject, Duration)> {
        let mut command = Command::new("taskset");
        command.args(["-c", &self.cpus[0].to_string()]);
        match server {
            Server::Palier => {
                command.arg(&self.control).args(["--node", "dns-1", "--role", "dns", "--site"]);
                command.arg(self.path("palier/site.toml"));
                command.arg("--run-dir").arg(self.path("run"));
                command.arg("--state-dir").arg(self.path("state"));
            }
            Server::Gdnsd => {
                command.args(["gdnsd", "-c"]).arg(&self.folder).arg("start");
            }
        }
        // One that was killed has left its socket.
        let _ = fs::remove_file(self.path("run/control-dns.sock"));
        let (begin, log) = (Instant::now(), self.path(&format!("{}.log", server.name())));
        let running = Running::start(&mut command, &log)?;
        while addresses(server.at(), "static.example.org").is_none() {
            if begin.elapsed() > LIMIT {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(io::Error::other(format!("{} does not answer: {said}", server.name())));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok((Subject(running), begin.elapsed()))
    }

    /// Asks for some time; how many questions were answered.
    ///
    /// # Errors
    /// There is no dnsperf, or it says nothing of that, or questions were lost.
    pub fn ask(&self, server: Server, asked: Asked, tcp: bool, seconds: u64) -> io::Result<u64> {
        let mut command = Command::new("taskset");
        command.args(["-c", &self.cpus[1].to_string(), "dnsperf", "-s", "127.0.0.1", "-p"]);
        command.arg(server.at().port().to_string()).arg("-d").arg(self.path(asked.name()));
        command.args(["-l", &seconds.to_string(), "-m", if tcp { "tcp" } else { "udp" }]);
        command.args(if tcp { ["-c", "10", "-q", "1000"] } else { ["-c", "20", "-q", "100"] });
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let number = |what: &str| -> Option<u64> {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(what))?;
            line.split_whitespace().next()?.parse().ok()
        };
        number("Queries completed:").ok_or_else(|| {
            io::Error::other(format!("dnsperf: {said}{}", String::from_utf8_lossy(&output.stderr)))
        })
    }
}

/// The addresses that a server gives a name; nothing if it does not answer at once.
pub fn addresses(at: SocketAddr, name: &str) -> Option<Vec<String>> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.connect(at).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(50))).ok()?;
    socket.send(&question(1, name, lab::message::A).finish()).ok()?;
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).ok()?;
    Some(Message::parse(&reply[..length])?.addresses())
}
