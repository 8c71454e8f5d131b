//! The access log: a line for each answer, by a queue of its own. Nobody waits for it: what the queue has no
//! room for is counted and left out.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, SystemTime};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use crate::settings::{AccessLog, LogFormat, LogTo};

/// How long lines are gathered: a write for each of them would cost more than the rest of a request.
const PAUSE: Duration = Duration::from_millis(5);
/// Bytes of a line for which the queue has room: of longer ones it has room for fewer.
const LONG: usize = 1024;
/// How long the end waits for the last lines.
const LAST: Duration = Duration::from_secs(2);

thread_local! {
    /// Where a line takes shape, before anybody else has to wait for it.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Pending {
    text: Vec<u8>,
    lines: usize,
    /// The file is to be opened anew.
    reopen: bool,
    /// No more lines are gathered: what there is goes out now.
    hurry: bool,
    /// Nobody writes any more.
    over: bool,
    /// Something is being written just now.
    busy: bool,
}

impl Pending {
    fn is_idle(&self) -> bool {
        self.lines == 0 && !self.reopen && !self.hurry && !self.over
    }
}

/// What the log and its writer share.
#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// The writer has something to do.
    wake: Condvar,
    /// The writer has done it.
    done: Condvar,
    written: AtomicU64,
    lost: AtomicU64,
}

/// A log that is being written. It ends with the last of its handles, when all is written.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) settings: AccessLog,
    shared: Arc<Shared>,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.pending.lock().over = true;
        self.shared.wake.notify_one();
    }
}

impl Log {
    /// Opens it.
    ///
    /// # Errors
    /// The file cannot be opened, or there can be no thread.
    pub(crate) fn open(settings: &AccessLog) -> io::Result<Self> {
        let to = Target::open(&settings.to)?;
        let shared = Arc::<Shared>::default();
        let writer = Writer { to, path: settings.to.clone(), shared: shared.clone() };
        thread::Builder::new().name("access-log".into()).spawn(move || writer.run())?;
        Ok(Self { settings: settings.clone(), shared })
    }

    /// Writes a line, soon.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            match self.settings.format {
                // Strings and numbers: there is nothing that JSON does not have.
                LogFormat::Json => _ = serde_json::to_writer(&mut *line, entry),
                LogFormat::Combined => line.extend_from_slice(entry.combined().as_bytes()),
            }
            line.push(b'\n');
            self.push(line);
        });
    }

    fn push(&self, line: &[u8]) {
        let mut pending = self.shared.pending.lock();
        let room = self.settings.queue.max(1);
        let is_full =
            pending.lines >= room || pending.text.len() + line.len() > room.saturating_mul(LONG);
        if is_full && pending.lines > 0 {
            self.shared.lost.fetch_add(1, Relaxed);
            return;
        }
        let half = room.saturating_mul(LONG) / 2;
        let was_short = pending.text.len() < half;
        pending.text.extend_from_slice(line);
        pending.lines += 1;
        // Half of the room is left for those who come until the writer is there.
        let is_much = pending.lines == room.div_ceil(2) || was_short && pending.text.len() >= half;
        pending.hurry |= is_much;
        let wakes = pending.lines == 1 || is_much;
        drop(pending);
        if wakes {
            self.shared.wake.notify_one();
        }
    }

    /// Opens the file anew: it may have been moved away. What was told before is written to the old one.
    pub(crate) fn reopen(&self) {
        self.shared.pending.lock().reopen = true;
        self.shared.wake.notify_one();
    }

    /// Waits until all is written that was told; for a disk that hangs, not for ever.
    pub(crate) fn finish(&self) {
        let mut pending = self.shared.pending.lock();
        pending.hurry = true;
        self.shared.wake.notify_one();
        let is_left = |pending: &mut Pending| pending.hurry || pending.busy;
        self.shared.done.wait_while_for(&mut pending, is_left, LAST);
    }

    /// Lines written, and lines lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.shared.written.load(Relaxed), self.shared.lost.load(Relaxed))
    }
}

struct Writer {
    to: Target,
    path: LogTo,
    shared: Arc<Shared>,
}

enum Target {
    Stdout(io::Stdout),
    File(File),
}

impl Target {
    fn open(to: &LogTo) -> io::Result<Self> {
        Ok(match to {
            LogTo::Stdout => Self::Stdout(io::stdout()),
            LogTo::File(path) => {
                Self::File(OpenOptions::new().create(true).append(true).open(path)?)
            }
        })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(out) => {
                let mut out = out.lock();
                out.write_all(text)?;
                out.flush()
            }
            Self::File(file) => file.write_all(text),
        }
    }
}

impl Writer {
    fn run(mut self) {
        let shared = self.shared.clone();
        let mut text = Vec::new();
        loop {
            let mut pending = shared.pending.lock();
            shared.wake.wait_while(&mut pending, |pending| pending.is_idle());
            // Whoever writes meanwhile wakes nobody.
            let may_wait =
                |pending: &mut Pending| !pending.hurry && !pending.reopen && !pending.over;
            shared.wake.wait_while_for(&mut pending, may_wait, PAUSE);
            text.clear();
            std::mem::swap(&mut text, &mut pending.text);
            let lines = std::mem::take(&mut pending.lines) as u64;
            let (reopen, over) = (std::mem::take(&mut pending.reopen), pending.over);
            (pending.hurry, pending.busy) = (false, true);
            drop(pending);

            match self.to.write(&text) {
                Ok(()) => _ = shared.written.fetch_add(lines, Relaxed),
                // A full disk, most likely: clients are served for all that.
                Err(_) => _ = shared.lost.fetch_add(lines, Relaxed),
            }
            if reopen {
                match Target::open(&self.path) {
                    Ok(to) => self.to = to,
                    Err(error) => tracing::error!(%error, "the access log stays as it is"),
                }
            }
            shared.pending.lock().busy = false;
            shared.done.notify_all();
            if over {
                return;
            }
        }
    }
}

/// An answer, as the log tells it.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    /// When the request had come: RFC 3339.
    pub(crate) time: String,
    #[serde(skip)]
    pub(crate) at: SystemTime,
    pub(crate) client: std::net::IpAddr,
    pub(crate) frontend: &'a str,
    pub(crate) host: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// What the client speaks: `HTTP/1.1`.
    pub(crate) protocol: &'static str,
    pub(crate) status: u16,
    /// Of the answer's body.
    pub(crate) bytes: u64,
    /// From the request's header to the end of its answer.
    pub(crate) total_us: u64,
    /// From there to the answer's header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<&'a str>,
    /// Tries at other servers before.
    pub(crate) retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) referer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<&'a str>,
    /// Whether the client has had the whole answer.
    pub(crate) complete: bool,
}

impl Entry<'_> {
    /// As Apache and nginx write it.
    fn combined(&self) -> String {
        let Self { client, method, path, protocol, status, bytes, .. } = self;
        let date = httpdate::fmt_http_date(self.at);
        // "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
        let mut parts = date.split(' ').skip(1);
        let mut part = || parts.next().unwrap_or_default();
        let (day, month, year, time) = (part(), part(), part(), part());
        let quoted = |text: Option<&str>| text.map_or_else(|| "-".into(), escaped);
        let (path, referer, agent) = (escaped(path), quoted(self.referer), quoted(self.agent));
        format!(
            "{client} - - [{day}/{month}/{year}:{time} +0000] \"{method} {path} {protocol}\" {status} \
             {bytes} \"{referer}\" \"{agent}\""
        )
    }
}

/// Text between quotes: nobody writes a line of his own.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_has_room_for_so_many_lines_and_fewer_long_ones() {
        let settings = AccessLog { format: LogFormat::Json, to: LogTo::Stdout, queue: 4 };
        // Nobody writes.
        let pushed = |length: usize| {
            let log = Log { settings: settings.clone(), shared: Arc::default() };
            (0..10).for_each(|_| log.push(&vec![b'x'; length]));
            let lines = log.shared.pending.lock().lines;
            (lines, log.counts().1)
        };
        assert_eq!(pushed(10), (4, 6));
        assert_eq!(pushed(LONG), (4, 6));
        assert_eq!(pushed(2 * LONG), (2, 8));
        assert_eq!(pushed(10 * LONG), (1, 9));
    }
}
