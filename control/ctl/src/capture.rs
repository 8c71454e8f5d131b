//! `palierctl capture`: packets as they pass, with what became of each.

mod pcap;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use api::{CaptureFilter, Captured, MAX_CAPTURE, Prefix};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use clap::builder::PossibleValuesParser;
use forward::Counter;

use crate::context::{Context, Dataplane, SOON, misplaced};
use crate::failure::{Failure, note};

/// How long one question waits for packets: a signal is heeded after that.
const BATCH: Duration = Duration::from_millis(500);

/// `palierctl capture`
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Write a pcap file; `-` is standard output. Without it, only a line for each packet is shown.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Stop after so many. [default: at Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    packets: Option<u64>,
    /// Only packets that were dropped.
    #[arg(long)]
    dropped: bool,
    /// Only packets with this verdict: a counter's name.
    #[arg(
        long, value_name = "COUNTER", hide_possible_values = true,
        value_parser = PossibleValuesParser::new(Counter::ALL.iter().map(|counter| counter.name()))
    )]
    reason: Option<String>,
    /// Only packets from here.
    #[arg(long, value_name = "PREFIX")]
    source: Option<Prefix>,
    /// Only packets to there.
    #[arg(long, value_name = "PREFIX")]
    destination: Option<Prefix>,
    /// Only packets from this port.
    #[arg(long, value_name = "PORT")]
    source_port: Option<u16>,
    /// Only packets to this port.
    #[arg(long, value_name = "PORT")]
    destination_port: Option<u16>,
    /// Bytes kept of each packet.
    #[arg(long, value_name = "BYTES", default_value_t = u16::MAX)]
    snap_length: u16,
}

impl Flags {
    fn filter(&self, packets: u64) -> CaptureFilter {
        CaptureFilter {
            packets: packets.min(MAX_CAPTURE.into()) as u32,
            timeout_ms: BATCH.as_millis() as u32,
            dropped: self.dropped,
            reason: self.reason.clone(),
            source: self.source,
            destination: self.destination,
            source_port: self.source_port,
            destination_port: self.destination_port,
            snap_length: self.snap_length,
        }
    }
}

/// Captures until there are enough, or until SIGINT or SIGTERM, which end it well.
pub(crate) fn run(flags: &Flags, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let to_stdout = flags.output.as_deref() == Some(Path::new("-"));
    if to_stdout && io::stdout().is_terminal() {
        let text = "a pcap file is nothing for a terminal: give a file, or pipe it on";
        return Err(Failure::Usage(text.into()));
    }
    if to_stdout && context.json {
        return Err(Failure::Usage("--json and -o - both want standard output".into()));
    }
    let mut dataplane = context.dataplane()?;
    let mut file: Option<Box<dyn Write>> = match &flags.output {
        Some(_) if to_stdout => None,
        Some(path) => Some(create(path)?),
        None => None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Failure::refused(format!("signals are not heard: {error}")))?;
    }
    let mut sink = if to_stdout {
        Sink { pcap: Some(out), lines: None, json: false }
    } else {
        let pcap = file.as_mut().map(|file| &mut **file as &mut dyn Write);
        Sink { pcap, lines: Some(out), json: context.json }
    };
    sink.begin()?;
    let mut reasons = BTreeMap::new();
    let captured = capture(flags, &mut dataplane, &mut sink, &stop, &mut reasons);
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (reason, count) in reasons {
        note(&format!("{count:>9} {reason}"));
    }
    captured
}

/// The file, for its owner alone: it has what clients say.
fn create(path: &Path) -> Result<Box<dyn Write>, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    match options.open(path) {
        Ok(file) => Ok(Box::new(BufWriter::new(file))),
        Err(error) => Err(Failure::refused(format!("{}: {error}", path.display()))),
    }
}

fn capture(
    flags: &Flags,
    dataplane: &mut Dataplane,
    sink: &mut Sink<'_>,
    stop: &AtomicBool,
    reasons: &mut BTreeMap<String, u64>,
) -> Result<(), Failure> {
    let mut left = flags.packets.unwrap_or(u64::MAX);
    while left > 0 && !stop.load(Relaxed) {
        let request = api::Request::Capture(flags.filter(left));
        let (packets, missed) = match dataplane.ask(&request, BATCH + SOON)? {
            api::Reply::Capture { packets, missed } => (packets, missed),
            reply => return Err(misplaced(&reply)),
        };
        for packet in &packets {
            sink.packet(packet)?;
            *reasons.entry(packet.reason.clone()).or_default() += 1;
        }
        sink.flush()?;
        left = left.saturating_sub(packets.len() as u64);
        if missed > 0 {
            note(&format!("{missed} more matched and were missed"));
        }
    }
    Ok(())
}

/// Where packets go.
struct Sink<'a> {
    pcap: Option<&'a mut dyn Write>,
    /// A line each: standard output, unless that has the pcap file.
    lines: Option<&'a mut dyn Write>,
    json: bool,
}

impl Sink<'_> {
    fn begin(&mut self) -> io::Result<()> {
        match &mut self.pcap {
            Some(pcap) => pcap.write_all(&pcap::HEADER).and_then(|()| pcap.flush()),
            None => Ok(()),
        }
    }

    fn packet(&mut self, packet: &Captured) -> Result<(), Failure> {
        if let Some(pcap) = &mut self.pcap {
            let data = STANDARD
                .decode(&packet.data)
                .map_err(|error| Failure::refused(format!("a packet is not base64: {error}")))?;
            pcap.write_all(&pcap::record(packet.time_ns, packet.length, &data))?;
        }
        let line = match self.json {
            true => serde_json::to_string(packet).expect("string keys alone"),
            false => line(packet),
        };
        match &mut self.lines {
            Some(lines) => writeln!(lines, "{line}")?,
            None => note(&line),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Self { pcap, lines, json: _ } = self;
        pcap.iter_mut().try_for_each(|pcap| pcap.flush())?;
        lines.iter_mut().try_for_each(|lines| lines.flush())
    }
}

/// What became of a packet, in words. Times are UTC.
fn line(packet: &Captured) -> String {
    let Captured { time_ns, worker, reason, length, data: _ } = packet;
    let time = std::time::UNIX_EPOCH + Duration::from_nanos(*time_ns);
    let time = humantime::format_rfc3339_nanos(time).to_string();
    let clock = time.split_once('T').map_or(time.as_str(), |(_, clock)| clock);
    format!("{clock} worker {worker} {length} bytes: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_time_of_day() {
        let packet = Captured {
            time_ns: 1_795_368_774_492_739_182,
            worker: 3,
            reason: "drop_no_node".into(),
            length: 60,
            data: String::new(),
        };
        assert_eq!(line(&packet), "17:32:54.492739182Z worker 3 60 bytes: drop_no_node");
    }
}
