//! An agent that runs for as long as a test.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_palierctl");

/// `palierctl agent` with these flags.
pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("agent").args(flags).stdin(Stdio::null());
    command
}

/// Exit code and output of `--once`.
pub(crate) fn once(flags: &[&str]) -> (i32, String) {
    let output = command(&[&["--once"], flags].concat()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// It, and where it listens.
pub(crate) struct Agent {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Agent {
    /// On a free port of 127.0.0.1.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", flags)
    }

    /// There.
    pub(crate) fn start_on(listen: &str, flags: &[&str]) -> Self {
        Self::spawn(command(&[&["--listen", listen], flags].concat()))
    }

    /// With so many file descriptors at most.
    pub(crate) fn start_with_descriptors(most: usize, flags: &[&str]) -> Self {
        let mut shell = Command::new("/bin/sh");
        let script = format!("ulimit -n {most}; exec \"$0\" agent --listen 127.0.0.1:0 \"$@\"");
        shell.args(["-c", &script, PROGRAM]).args(flags).stdin(Stdio::null());
        Self::spawn(shell)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("palierctl: listening on ").expect(&line);
        let mut address: SocketAddr = address.parse().unwrap();
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        Self { child, log, address }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection that does not wait for ever.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// All that a load balancer hears. A refusal may be a reset.
    pub(crate) fn ask(&self) -> String {
        let mut line = String::new();
        match self.connect().read_to_string(&mut line) {
            Ok(_) => line,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// CPU time that it took: in ticks, of which a second has 100.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<_> = fields.split(' ').collect();
        // utime and stime are the 14th and 15th; the state is the third.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Exit code after SIGTERM, and the rest of the log.
    pub(crate) fn stop(mut self) -> (i32, String) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code().unwrap(), log)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // One that has stopped is waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
