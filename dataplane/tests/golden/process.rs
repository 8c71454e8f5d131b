//! `palier-dataplane` itself, with files in the place of its NIC.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use api::{ExplainQuery, Explanation, Reply, Request, Snapshot, Stats};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::pcap;

/// For what happens at once on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);
const TURN: Duration = Duration::from_millis(5);

/// The program.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palier-dataplane"));
    command.stdin(Stdio::null());
    command
}

/// Flags that every start has: a port with `queues` files in and out, as many workers.
pub(crate) fn flags(queues: usize) -> Vec<String> {
    flags_of(&[queues])
}

/// The same for several ports. Their files are numbered through.
fn flags_of(ports: &[usize]) -> Vec<String> {
    let mut flags = Vec::new();
    let mut file = 0;
    for (number, queues) in ports.iter().enumerate() {
        let mut port = format!("net_pcap{number},queues={queues}");
        for _ in 0..*queues {
            port += &format!(",rx_pcap=in{file}.pcap,tx_pcap=out{file}.pcap");
            file += 1;
        }
        flags.extend(["--port".into(), port]);
    }
    let workers = ports.iter().copied().max().unwrap_or(1);
    let cores: Vec<String> = cpus().iter().take(workers).map(usize::to_string).collect();
    let fixed = ["--next-hop", "02:00:00:00:00:02", "--run-dir", "run", "--idle", "adaptive"];
    flags.extend(["--cores".into(), cores.join(",")]);
    flags.extend(fixed.map(String::from));
    flags.extend(["--connections", "1000"].map(String::from));
    flags
}

/// CPUs that this process may use.
pub(crate) fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("a process may ask for its own CPUs");
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
}

/// What the program says when it ends by itself.
pub(crate) fn run(folder: &Path, flags: &[String]) -> Output {
    program().args(flags).current_dir(folder).output().expect("the program starts")
}

/// A process that forwards what the files have.
pub(crate) struct Dataplane {
    child: Child,
    folder: TempDir,
    files: usize,
}

impl Dataplane {
    /// Starts it on these frames, queue by queue of its port.
    pub(crate) fn start(queues: &[Vec<Vec<u8>>], more: &[&str], snapshot: &Snapshot) -> Self {
        Self::start_ports(&[queues], more, snapshot)
    }

    /// The same with several ports.
    pub(crate) fn start_ports(
        ports: &[&[Vec<Vec<u8>>]],
        more: &[&str],
        snapshot: &Snapshot,
    ) -> Self {
        let folder = TempDir::with_prefix("palier-golden-").expect("a folder can be made");
        let files = ports.concat();
        for (file, frames) in files.iter().enumerate() {
            pcap::write(&folder.path().join(format!("in{file}.pcap")), frames)
                .expect("a file can be written");
        }
        let text = serde_json::to_string(snapshot).unwrap();
        fs::write(folder.path().join("snapshot.json"), text).expect("a file can be written");
        let child = program()
            .args(flags_of(&ports.iter().map(|queues| queues.len()).collect::<Vec<_>>()))
            .args(["--snapshot", "snapshot.json"])
            .args(more)
            .current_dir(folder.path())
            .spawn()
            .expect("the program starts");
        Self { child, folder, files: files.len() }
    }

    /// Where its files lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its answer to one line.
    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        let until = Instant::now() + DEADLINE;
        loop {
            match UnixStream::connect(self.folder.path().join("run/dataplane.sock")) {
                Ok(mut stream) => {
                    stream.write_all((request.to_line() + "\n").as_bytes()).unwrap();
                    let mut line = String::new();
                    BufReader::new(stream).read_line(&mut line).unwrap();
                    return serde_json::from_str(&line).unwrap();
                }
                Err(error) => {
                    if let Some(status) = self.child.try_wait().unwrap() {
                        panic!("the dataplane has ended: {status}");
                    }
                    assert!(Instant::now() < until, "the socket does not open: {error}");
                }
            }
            std::thread::sleep(TURN);
        }
    }

    /// Its counters.
    pub(crate) fn stats(&mut self) -> Stats {
        match self.ask(&Request::Stats) {
            Reply::Stats(stats) => *stats,
            other => panic!("{other:?}"),
        }
    }

    /// Where it says that a flow goes.
    pub(crate) fn explain(&mut self, query: ExplainQuery) -> Explanation {
        match self.ask(&Request::Explain(query)) {
            Reply::Explain(explanation) => *explanation,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until these, and no others, are the packets that it has counted, by what became of them.
    pub(crate) fn wait_for(&mut self, expected: &BTreeMap<String, u64>) {
        let until = Instant::now() + DEADLINE;
        loop {
            let counted = outcomes(self.stats().counters);
            if counted == *expected {
                return;
            }
            assert!(Instant::now() < until, "counted: {counted:#?}\nexpected: {expected:#?}");
            std::thread::sleep(TURN);
        }
    }

    /// Ends it in order. What it has sent, queue by queue, port after port.
    pub(crate) fn stop(mut self) -> Vec<Vec<Vec<u8>>> {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        let path = |file| self.folder.path().join(format!("out{file}.pcap"));
        (0..self.files).map(|file| pcap::read(&path(file))).collect()
    }
}

impl Drop for Dataplane {
    fn drop(&mut self) {
        // Of a test that failed; a child that has ended takes it as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Counters of what came and what became of it, those that are not zero. What the workers count of
/// flows, tables and caps beside is left out.
fn outcomes(counters: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    const WITHOUT_PREFIX: [&str; 6] = [
        "received",
        "forwarded",
        "fragmented",
        "fragment_held",
        "neighbor_held",
        "error_forwarded",
    ];
    let tells = |name: &str| {
        WITHOUT_PREFIX.contains(&name)
            || name.starts_with("drop_")
            || name.starts_with("kernel_")
            || name.ends_with("_replied")
    };
    counters.into_iter().filter(|(name, count)| *count > 0 && tells(name)).collect()
}
