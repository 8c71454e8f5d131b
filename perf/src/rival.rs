//! palier-dataplane and testpmd as processes on one virtual port that delivers the packets of a file
//! over and over, and drops what is sent.
//!
//! A rate is per second of CPU time of the forwarding thread, which polls without rest: so it does
//! not depend on who else wants the CPU, and is the usual rate where nobody does.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use api::Reply;

use crate::process::Running;
use crate::site::{NEXT_HOP, snapshot};
use crate::traffic::Template;

/// How long a process may take until it forwards.
const START: Duration = Duration::from_secs(20);

/// A process that receives packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// Ours.
    Palier,
    /// testpmd in this forwarding mode.
    Testpmd(&'static str),
}

/// Where the processes find what they need.
#[derive(Clone, Debug)]
pub struct Place {
    /// The program palier-dataplane.
    pub dataplane: PathBuf,
    /// A directory for sockets and files, ours alone.
    pub directory: PathBuf,
    /// CPU of the forwarding thread; the other one is for the rest.
    pub cores: [usize; 2],
}

impl Place {
    /// Writes the packets of so many flows, and palier's Snapshot.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn prepare(&self, template: &Template, flows: u64) -> io::Result<()> {
        write_packets(&self.packets(), template, flows)?;
        std::fs::write(self.snapshot(), serde_json::to_vec(&snapshot(true))?)
    }

    fn packets(&self) -> PathBuf {
        self.directory.join("packets.pcap")
    }

    fn snapshot(&self) -> PathBuf {
        self.directory.join("snapshot.json")
    }

    fn device(&self) -> String {
        format!("net_pcap0,rx_pcap={},infinite_rx=1", self.packets().display())
    }

    /// Packets per second of CPU time that the process receives, over this time.
    ///
    /// # Errors
    /// It does not start, or does not say.
    pub fn rate(&self, rival: Rival, time: Duration) -> io::Result<f64> {
        match rival {
            Rival::Palier => self.palier(time),
            Rival::Testpmd(mode) => self.testpmd(mode, time),
        }
    }

    fn palier(&self, time: Duration) -> io::Result<f64> {
        let [_, worker] = self.cores;
        let mac: Vec<_> = NEXT_HOP.iter().map(|byte| format!("{byte:02x}")).collect();
        let child = Command::new(&self.dataplane)
            .arg("--port")
            .arg(self.device())
            .args(["--cores", &worker.to_string(), "--next-hop", &mac.join(":")])
            .arg("--snapshot")
            .arg(self.snapshot())
            .arg("--run-dir")
            .arg(&self.directory)
            .stdout(Stdio::null())
            .stderr(File::create(self.directory.join("palier.log"))?)
            .spawn()?;
        let running = Running::new(child);
        let socket = self.directory.join("dataplane.sock");
        let deadline = Instant::now() + START;
        let mut before = loop {
            match count(&socket) {
                Ok(count) if count.forwarded > 0 => break count,
                Ok(_) | Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Ok(_) => return Err(io::Error::other("palier-dataplane forwards nothing")),
                Err(error) => return Err(error),
            }
        };
        std::thread::sleep(Duration::from_millis(500));
        before = count(&socket).unwrap_or(before);
        let cpu = running.cpu_times()?;
        std::thread::sleep(time);
        let after = count(&socket)?;
        if after.forwarded - before.forwarded + 64 < after.received - before.received {
            return Err(io::Error::other("palier-dataplane did not forward all it received"));
        }
        let packets = (after.received - before.received) as f64;
        Ok(packets / running.busiest_since(&cpu)?.1.as_secs_f64())
    }

    fn testpmd(&self, mode: &str, time: Duration) -> io::Result<f64> {
        let [main, worker] = self.cores;
        let mut child = Command::new("stdbuf")
            .args([
                "-oL",
                "dpdk-testpmd",
                "-l",
                &format!("{main},{worker}"),
                "--main-lcore",
                &main.to_string(),
            ])
            .args(["--in-memory", "-m", "200", "--no-telemetry", "--no-pci"])
            .args(["--log-level", "error", "--vdev", &self.device(), "--"])
            .args(["--total-num-mbufs", "16384", "--port-topology", "loop"])
            .args(["--forward-mode", mode, "--stats-period", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(self.directory.join("testpmd.log"))?)
            .spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let running = Running::new(child);
        let seconds = time.as_secs().max(1) as usize;
        let mut rates = BufReader::new(output).lines().map_while(Result::ok).filter_map(|line| {
            let (_, rate) = line.split_once("Rx-pps:")?;
            rate.split_whitespace().next()?.parse::<f64>().ok().filter(|rate| *rate > 0.0)
        });
        // The first second began before it forwarded.
        let _ = rates.next();
        let (cpu, start) = (running.cpu_times()?, Instant::now());
        let rates: Vec<_> = rates.take(seconds).collect();
        if rates.len() < seconds {
            return Err(io::Error::other("dpdk-testpmd ended before it had said its rates"));
        }
        let share = running.busiest_since(&cpu)?.1.as_secs_f64() / start.elapsed().as_secs_f64();
        Ok(rates.iter().sum::<f64>() / rates.len() as f64 / share)
    }
}

/// Writes a packet of each of so many flows, for `net_pcap` to deliver.
///
/// # Errors
/// The file cannot be written.
pub fn write_packets(file: &Path, template: &Template, flows: u64) -> io::Result<()> {
    let mut pcap = io::BufWriter::new(File::create(file)?);
    // Magic number, version 2.4, no offset, no accuracy, longest packet, Ethernet.
    for word in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 0xffff, 1_u32] {
        pcap.write_all(&word.to_le_bytes())?;
    }
    for flow in 0..flows {
        let frame = template.frame(flow);
        let length = frame.len() as u32;
        for word in [0, 0, length, length] {
            pcap.write_all(&word.to_le_bytes())?;
        }
        pcap.write_all(&frame)?;
    }
    pcap.flush()
}

/// What a worker had counted.
struct Count {
    received: u64,
    forwarded: u64,
}

fn count(socket: &Path) -> io::Result<Count> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"{\"stats\": {}}\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let Reply::Stats(stats) = serde_json::from_str(&line)? else {
        return Err(io::Error::other(format!("not an answer to stats: {line}")));
    };
    let counter = |name| stats.counters.get(name).copied().unwrap_or(0);
    Ok(Count { received: counter("received"), forwarded: counter("forwarded") })
}
