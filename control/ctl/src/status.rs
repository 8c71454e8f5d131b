//! `palierctl status`: how everything stands, what is wrong first.

mod dns;
mod l7;
mod node;
mod router;
mod service;

use std::io::Write;

use admin::{FileStatus, Status};

use crate::args;
use crate::context::{AnyStatus, Context};
use crate::failure::Failure;
use crate::text::{Cell, Paint, Table, Tone, ago, human_ms, now_ms, wrap};

/// Asks control, and shows what was asked for.
pub(crate) fn run(
    flags: &args::Status,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let details = flags.service.is_some() || flags.node.is_some();
    let page = Page { now_ms: now_ms(), width: context.width, paint: context.paint, details };
    let (json, text) = match context.control()?.any_status()? {
        AnyStatus::L4(mut status) => {
            narrow(&mut status, flags)?;
            (serde_json::to_string(&status), page.render(&status))
        }
        AnyStatus::L7(status) => {
            if details {
                let why = "--service and --node are for L4 nodes: an L7 node tells of itself";
                return Err(Failure::Usage(why.into()));
            }
            (serde_json::to_string(&status), page.l7(&status))
        }
        AnyStatus::Dns(status) => {
            if details {
                let why = "--service and --node are for L4 nodes: a dns node tells of itself";
                return Err(Failure::Usage(why.into()));
            }
            (serde_json::to_string(&status), page.dns(&status))
        }
    };
    if context.json {
        writeln!(out, "{}", json.expect("string keys alone"))?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Leaves what was asked for: a service, a node, or a node in a service.
fn narrow(status: &mut Status, flags: &args::Status) -> Result<(), Failure> {
    if flags.service.is_some() || flags.node.is_some() {
        status.routers.clear();
    }
    if let Some(name) = &flags.service {
        status.services.retain(|service| service.name == *name);
        if status.services.is_empty() {
            return Err(Failure::refused(format!("no service has the name {name}")));
        }
    }
    if let Some(name) = &flags.node {
        status.nodes.retain(|node| node.name == *name);
        if status.nodes.is_empty() {
            return Err(Failure::refused(format!("no node has the name {name}")));
        }
        for service in &mut status.services {
            for vip in &mut service.vips {
                vip.nodes.retain(|member| member.node == *name);
            }
            service.vips.retain(|vip| !vip.nodes.is_empty());
        }
        status.services.retain(|service| !service.vips.is_empty());
    }
    Ok(())
}

/// How a status is shown.
#[derive(Clone, Copy, Debug)]
struct Page {
    /// Milliseconds since 1970.
    now_ms: u64,
    /// Characters on a line.
    width: usize,
    paint: Paint,
    /// Whether checks are shown one by one.
    details: bool,
}

impl Page {
    fn render(&self, status: &Status) -> String {
        let parts = [
            self.alarms(&status.alarms),
            self.head(status),
            self.nodes(&status.nodes),
            self.peers(&status.nodes),
            self.routers(&status.routers),
            self.services(&status.services),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n")
    }

    fn alarms(&self, alarms: &[String]) -> String {
        if alarms.is_empty() {
            return String::new();
        }
        let count = match alarms.len() {
            1 => "1 alarm".into(),
            several => format!("{several} alarms"),
        };
        let mut text = self.paint.apply(Tone::Bad, &count) + "\n";
        for alarm in alarms {
            text.push_str(&self.folded("  ! ", alarm, Tone::Bad));
        }
        text
    }

    /// Site, dataplane, file, gate.
    fn head(&self, status: &Status) -> String {
        let mut table = Table::plain();
        let mut line = |name: &str, tone, text: String| {
            table.row([Cell::new(Tone::Strong, name), Cell::new(tone, text)]);
        };
        let Status { site, node, role, program, uptime_ms, file, dataplane, gate, .. } = status;
        let up = human_ms(*uptime_ms);
        let text = format!("{node} ({role}) of {site}, palier-control {program} for {up}");
        line("node", Tone::Plain, text);

        let (tone, word) = match (dataplane.forwards, dataplane.connected) {
            (true, _) => (Tone::Good, "forwards"),
            (false, true) => (Tone::Bad, "does not forward"),
            (false, false) => (Tone::Bad, "not reached"),
        };
        let mut words = vec![word.to_string()];
        words.extend(dataplane.reason.clone());
        words.extend(match (dataplane.generation, dataplane.wanted) {
            (Some(now), Some(wanted)) if now != wanted => {
                Some(format!("generation {now}, {wanted} is wanted"))
            }
            (Some(now), _) => Some(format!("generation {now}")),
            (None, Some(wanted)) => Some(format!("no Snapshot yet, {wanted} is wanted")),
            (None, None) => None,
        });
        words.extend(dataplane.heartbeat_ms.map(|ms| format!("heartbeat {}", human_ms(ms))));
        words.extend(dataplane.key_fingerprint.as_ref().map(|key| format!("key {key}")));
        line("dataplane", tone, words.join(", "));
        for reason in &dataplane.refused {
            line("", Tone::Bad, format!("refused: {reason}"));
        }

        self.file(file, &mut line);

        match gate.open {
            true => line("announces", Tone::Good, "yes".into()),
            false => line("announces", Tone::Bad, format!("nothing: {}", gate.reasons.join("; "))),
        }
        table.render(0, self.width, self.paint)
    }

    /// The site file, and what became of the last reload.
    fn file(&self, file: &FileStatus, line: &mut dyn FnMut(&str, Tone, String)) {
        let read = ago(self.now_ms, file.loaded_ms);
        let text = format!("{}, read {read}, fingerprint {}", file.path, file.fingerprint);
        line("file", Tone::Plain, text);
        if let Some(refusal) = &file.refused {
            let when = ago(self.now_ms, refusal.at_ms);
            line("", Tone::Bad, format!("a reload was refused {when}; the one before holds:"));
            for reason in &refusal.reasons {
                line("", Tone::Bad, format!("- {reason}"));
            }
        }
        if !file.restart_needed.is_empty() {
            let text = format!("takes a restart: {}", file.restart_needed.join("; "));
            line("", Tone::Warn, text);
        }
    }

    /// Text after a mark, folded behind it.
    fn folded(&self, mark: &str, text: &str, tone: Tone) -> String {
        let room = self.width.saturating_sub(mark.len());
        let mut folded = String::new();
        for (number, line) in wrap(text, room, 0).iter().enumerate() {
            let start = if number == 0 { mark.into() } else { " ".repeat(mark.len()) };
            folded.push_str(&start);
            folded.push_str(&self.paint.apply(tone, line));
            folded.push('\n');
        }
        folded
    }
}
