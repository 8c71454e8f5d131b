//! An L4 node as two processes, palier-dataplane and palier-control: packets come without end, are
//! forwarded, and are dropped where they leave.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use admin::Status;
use api::{Heartbeats, Stats};
use health::Admin;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::large::{EVERYWHERE, L4, Sets};
use crate::process::{Memory, Running};
use crate::rival::write_packets;
use crate::site::NEXT_HOP;
use crate::traffic::{Family, Template};

/// How long a start, or a change, may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Flows of the packets.
const FLOWS: u64 = 1000;

/// The two programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// palier-dataplane.
    pub dataplane: PathBuf,
    /// palier-control.
    pub control: PathBuf,
}

/// A node that runs.
pub struct Node {
    folder: PathBuf,
    control: Running,
    dataplane: Running,
    /// The dataplane's thread that forwards.
    worker: OsString,
}

/// What packets came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Forwarded.
    pub forwarded: u64,
    /// Dropped or missed, for whatever reason.
    pub lost: u64,
}

/// What a change took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// From the request until every worker has the tables that follow.
    pub elapsed: Duration,
    /// CPU time of control and of the dataplane's threads but its worker, one after the other: the
    /// time that elapses where nobody else wants the CPU.
    pub cpu: Duration,
}

impl Node {
    /// Starts it in an empty folder, the forwarder on the second of these CPUs and the rest on the
    /// first, and returns once all is in force.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        programs: &Programs,
        folder: &Path,
        sets: Sets,
        [rest, worker]: [usize; 2],
    ) -> io::Result<Self> {
        let site = folder.join("site.toml");
        sets.write_to(&site, &folder.join("ready"))?;
        let packets = folder.join("packets.pcap");
        write_packets(&packets, &Template::ack(Family::V4), FLOWS)?;
        let next_hop: Vec<_> = NEXT_HOP.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut dataplane = Command::new("taskset");
        dataplane
            .args(["-c", &format!("{rest},{worker}")])
            .arg(&programs.dataplane)
            .args(["--port", &format!("net_pcap0,rx_pcap={},infinite_rx=1", packets.display())])
            .args(["--cores", &worker.to_string(), "--next-hop", &next_hop.join(":")])
            .arg("--run-dir")
            .arg(folder);
        let dataplane = Running::start(&mut dataplane, &folder.join("dataplane.log"))?;
        let mut control = Command::new("taskset");
        control
            .args(["-c", &rest.to_string()])
            .arg(&programs.control)
            .args(["--node", L4, "--metrics", "127.0.0.1:0", "--site"])
            .arg(&site)
            .arg("--run-dir")
            .arg(folder)
            .arg("--state-dir")
            .arg(folder.join("state"));
        let control = Running::start(&mut control, &folder.join("control.log"))?;
        let worker = OsString::new();
        let mut node = Self { folder: folder.into(), control, dataplane, worker };
        node.until("all is in force", || Ok(node.status().is_ok_and(|status| status.gate.open)))?;
        let before = node.dataplane.cpu_times()?;
        std::thread::sleep(Duration::from_millis(500));
        (node.worker, _) = node.dataplane.busiest_since(&before)?;
        Ok(node)
    }

    /// Drains the node that all services have, or makes it ready.
    ///
    /// # Errors
    /// It is refused, or never comes.
    pub fn drain(&self, drain: bool) -> io::Result<Taken> {
        let before = self.generation()?;
        let state = if drain { Admin::Drain } else { Admin::Ready };
        let request = admin::Request::SetState { node: EVERYWHERE.into(), state };
        let (control, dataplane) = (self.control.cpu_times()?, self.dataplane.cpu_times()?);
        let start = Instant::now();
        match exchange(&self.folder.join("control-l4.sock"), &request)? {
            admin::Reply::Done(_) => {}
            other => return Err(io::Error::other(format!("to a change of state: {other:?}"))),
        }
        // The dataplane answers once it has applied what came before the question.
        self.until("the change is in force", || Ok(self.generation()? > before))?;
        let elapsed = start.elapsed();
        let control = self.control.others_since(&control, OsStr::new(""))?;
        let cpu = control + self.dataplane.others_since(&dataplane, &self.worker)?;
        Ok(Taken { elapsed, cpu })
    }

    fn generation(&self) -> io::Result<u64> {
        match self.ask_dataplane("heartbeats")? {
            api::Reply::Heartbeats(Heartbeats { generation, .. }) => Ok(generation.unwrap_or(0)),
            other => Err(io::Error::other(format!("to heartbeats: {other:?}"))),
        }
    }

    fn status(&self) -> io::Result<Status> {
        let request = admin::Request::Status { brief: true };
        match exchange(&self.folder.join("control-l4.sock"), &request)? {
            admin::Reply::Status(status) => Ok(*status),
            other => Err(io::Error::other(format!("to status: {other:?}"))),
        }
    }

    /// What packets came to since the start.
    ///
    /// # Errors
    /// The dataplane does not say.
    pub fn packets(&self) -> io::Result<Packets> {
        let api::Reply::Stats(stats) = self.ask_dataplane("stats")? else {
            return Err(io::Error::other("no answer to stats"));
        };
        let Stats { counters, ports, .. } = *stats;
        let dropped = counters.iter().filter(|(name, _)| name.starts_with("drop"));
        let dropped: u64 = dropped.map(|(_, count)| count).sum();
        let missed: u64 = ports.iter().map(|port| port.rx_missed + port.rx_no_buffer).sum();
        Ok(Packets {
            forwarded: counters.get("forwarded").copied().unwrap_or(0),
            lost: dropped + missed,
        })
    }

    /// What control has of memory.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> io::Result<Memory> {
        self.control.memory()
    }

    fn ask_dataplane(&self, question: &str) -> io::Result<api::Reply> {
        let question = BTreeMap::from([(question, BTreeMap::<&str, ()>::new())]);
        exchange(&self.folder.join("dataplane.sock"), &question)
    }

    /// Waits for something; errors count as not yet.
    fn until(&self, what: &str, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match done() {
                Ok(true) => return Ok(()),
                Ok(false) | Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(false) => {
                    let words = fs::read_to_string(self.folder.join("control.log"))?;
                    let words: Vec<_> = words.lines().rev().take(5).collect();
                    return Err(io::Error::other(format!(
                        "not within {LIMIT:?}: {what}: {words:?}"
                    )));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// One line there, one line back.
fn exchange<T: DeserializeOwned>(socket: &Path, request: &impl Serialize) -> io::Result<T> {
    let mut stream = UnixStream::connect(socket)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
