//! A node that serves zones, alone on this machine's loopback: `palier-control` in the role dns.

pub mod gdnsd;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use admin::{DnsStatus, Reply, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::SOON;
pub use lab::message::{A, AAAA, Message, Question, Record, question};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A folder with a site file and zones.
#[derive(Debug)]
pub struct Files(TempDir);

impl Files {
    /// With a site file whose `[[dns]]` node `dns-1` listens at `at`, and with this in it.
    ///
    /// # Panics
    /// The disk does not take it.
    pub fn new(at: SocketAddr, rest: &str) -> Self {
        let files = Self(tempfile::tempdir().expect("there is a folder for temporary files"));
        files.write_site(at, rest);
        files
    }

    /// The same, anew.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn write_site(&self, at: SocketAddr, rest: &str) {
        let folder = self.path("").display().to_string();
        let head = format!(
            "[site]\nname = \"par1\"\nhash_key = \"000102030405060708090a0b0c0d0e0f\"\n\
             [[dns]]\nname = \"dns-1\"\nlisten = [\"{at}\"]\n"
        );
        self.write("site.toml", &(head + &rest.replace("FOLDER", folder.trim_end_matches('/'))));
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path("site.toml"), mode).expect("it is ours");
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file into it, whole at once.
    ///
    /// # Panics
    /// The disk does not take it.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).expect("the folder is ours");
        fs::rename(new, self.path(name)).expect("the folder is ours");
    }
}

/// An address on loopback whose port nobody has, for UDP and TCP.
///
/// # Panics
/// There is none.
pub fn free() -> SocketAddr {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let at = tcp.local_addr().expect("it is bound");
        if UdpSocket::bind(at).is_ok() {
            return at;
        }
    }
    panic!("no port is free for both UDP and TCP");
}

/// A node that runs.
#[derive(Debug)]
pub struct DnsNode {
    /// Its files.
    pub files: Files,
    /// Where it listens.
    pub at: SocketAddr,
    name: String,
    process: Child,
}

impl DnsNode {
    /// Starts it, and returns once it answers.
    ///
    /// # Panics
    /// It ends instead.
    pub fn start(at: SocketAddr, files: Files) -> Self {
        let node = Self::begin(at, files);
        node.wait("it answers", |status| status.is_answering);
        node
    }

    /// Starts it.
    ///
    /// # Panics
    /// It cannot be.
    pub fn begin(at: SocketAddr, files: Files) -> Self {
        Self::begin_as("dns-1", at, files)
    }

    /// The same, under another name of the site file.
    ///
    /// # Panics
    /// It cannot be.
    pub fn begin_as(name: &str, at: SocketAddr, files: Files) -> Self {
        let process = spawn(name, &files);
        Self { files, at, name: name.to_owned(), process }
    }

    /// Starts it anew, after it has ended.
    ///
    /// # Panics
    /// It does not answer.
    pub fn start_again(&mut self) {
        self.process = spawn(&self.name, &self.files);
        self.wait("it answers again", |status| status.is_answering);
    }

    /// Waits until its status is as it is to be.
    ///
    /// # Panics
    /// It never is.
    pub fn wait(&self, what: &str, mut is_so: impl FnMut(&DnsStatus) -> bool) {
        lab::wait_until(what, SOON, || self.try_status().is_ok_and(|status| is_so(&status)));
    }

    /// How it is.
    ///
    /// # Panics
    /// It does not say.
    pub fn status(&self) -> DnsStatus {
        self.try_status().unwrap_or_else(|error| panic!("{error}\n{}", self.printed()))
    }

    /// How it is, if it says so.
    ///
    /// # Errors
    /// It does not answer.
    pub fn try_status(&self) -> io::Result<DnsStatus> {
        match self.ask(&Request::Status { brief: false })? {
            Reply::Dns(status) => Ok(*status),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Makes a request of it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&self, request: &Request) -> io::Result<Reply> {
        let path = self.files.path(&format!("run-{}/control-dns.sock", self.name));
        let mut stream = UnixStream::connect(path)?;
        let line = serde_json::to_string(request).map_err(io::Error::from)?;
        stream.write_all(format!("{line}\n").as_bytes())?;
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply)?;
        serde_json::from_str(&reply).map_err(io::Error::from)
    }

    /// Runs `palierctl` for it; how it ended, and what it printed.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn ctl(&self, args: &[&str]) -> (ExitStatus, String) {
        let program = lab::find("palierctl").unwrap_or_else(|error| panic!("{error}"));
        let run = self.files.path(&format!("run-{}", self.name));
        let output = Command::new(program).arg("--run-dir").arg(run).args(args).output();
        let output = output.expect("a program can be run");
        let said = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&said).into_owned())
    }

    /// As [`Self::ctl`], of what is to succeed.
    ///
    /// # Panics
    /// It does not.
    pub fn ctl_well(&self, args: &[&str]) -> String {
        let (status, said) = self.ctl(args);
        assert!(status.success(), "palierctl {args:?}: {said}");
        said
    }

    /// What it answers by UDP.
    ///
    /// # Panics
    /// It does not.
    pub fn answer(&self, name: &str, rtype: u16) -> Message {
        let reply = self.exchange(&question(1, name, rtype).finish());
        Message::parse(&reply).expect("it is a message")
    }

    /// The addresses that it answers by UDP, in words, sorted.
    ///
    /// # Panics
    /// It does not answer.
    pub fn addresses(&self, name: &str, rtype: u16) -> Vec<String> {
        let mut all = self.answer(name, rtype).addresses();
        all.sort();
        all
    }

    /// What it answers to a message by UDP.
    ///
    /// # Panics
    /// It does not.
    pub fn exchange(&self, message: &[u8]) -> Vec<u8> {
        self.try_exchange(message, PATIENCE).expect("it answers")
    }

    /// The same, if it answers in time.
    ///
    /// # Panics
    /// There is no socket to be had.
    pub fn try_exchange(&self, message: &[u8], patience: Duration) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
        socket.connect(self.at).expect("loopback is there");
        socket.set_read_timeout(Some(patience)).expect("it is not zero");
        socket.send(message).expect("it can be sent");
        let mut reply = vec![0; 65_535];
        let length = socket.recv(&mut reply).ok()?;
        reply.truncate(length);
        Some(reply)
    }

    /// A connection.
    ///
    /// # Panics
    /// It is refused.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        stream
    }

    /// Ends it by a signal, and returns how it ended.
    ///
    /// # Panics
    /// It does not end.
    pub fn end(&mut self, signal: Signal) -> ExitStatus {
        let pid = i32::try_from(self.process.id()).expect("a pid is a positive i32");
        kill(Pid::from_raw(pid), signal).expect("it is ours");
        self.process.wait().expect("it is ours")
    }

    /// Its exit code, if it has ended.
    ///
    /// # Panics
    /// The system does not say.
    pub fn has_ended(&mut self) -> Option<i32> {
        self.process.try_wait().expect("it is ours").and_then(|status| status.code())
    }

    /// What it has printed.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.files.path(&format!("{}.log", self.name))).unwrap_or_default()
    }
}

impl Drop for DnsNode {
    fn drop(&mut self) {
        // One that took over from another is the other's child: its own pid is in its status.
        let heir = self.try_status().ok().map(|status| status.pid);
        for pid in heir.into_iter().chain([self.process.id()]) {
            let pid = i32::try_from(pid).expect("a pid is a positive i32");
            // It may be gone.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.printed());
        }
    }
}

fn spawn(name: &str, files: &Files) -> Child {
    let program = lab::find("palier-control").unwrap_or_else(|error| panic!("{error}"));
    let log =
        fs::File::options().create(true).append(true).open(files.path(&format!("{name}.log")));
    let log = log.expect("the folder is ours");
    let mut command = Command::new(program);
    command.args(["--node", name, "--role", "dns", "--site"]).arg(files.path("site.toml"));
    command.arg("--run-dir").arg(files.path(&format!("run-{name}")));
    command.arg("--state-dir").arg(files.path(&format!("state-{name}")));
    command.args(["--metrics", &free().to_string()]);
    command.stdin(Stdio::null()).stderr(log.try_clone().expect("it is open")).stdout(log);
    command.spawn().expect("it was built")
}

/// Sends a message with its length before it.
///
/// # Errors
/// The connection is gone.
pub fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).expect("no message is longer");
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

/// Receives a message with its length before it.
///
/// # Errors
/// The connection is gone, or nothing comes.
pub fn receive(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Where a program of the system lies, if it does.
pub fn program(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}
