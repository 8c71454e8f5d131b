//! The access log: a line for each answer, by a queue of its own. Nobody waits for it: what the queue has no
//! room for is counted and left out.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::SystemTime;

use serde::Serialize;

use crate::settings::{AccessLog, LogFormat, LogTo};

/// What the writer is told.
enum Order {
    Line(String),
    Reopen,
}

/// A log that is being written. It ends with the last of its handles, when all is written.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) settings: AccessLog,
    orders: SyncSender<Order>,
    written: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

impl Log {
    /// Opens it.
    ///
    /// # Errors
    /// The file cannot be opened, or there can be no thread.
    pub(crate) fn open(settings: &AccessLog) -> io::Result<Self> {
        let to = Target::open(&settings.to)?;
        let (orders, inbox) = sync_channel(settings.queue.max(1));
        let (written, lost) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let writer =
            Writer { to, path: settings.to.clone(), written: written.clone(), lost: lost.clone() };
        thread::Builder::new().name("access-log".into()).spawn(move || writer.run(&inbox))?;
        Ok(Self { settings: settings.clone(), orders, written, lost })
    }

    /// Writes a line, soon.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let line = match self.settings.format {
            LogFormat::Json => serde_json::to_string(entry).unwrap_or_default(),
            LogFormat::Combined => entry.combined(),
        };
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Opens the file anew: it may have been moved away.
    pub(crate) fn reopen(&self) {
        // With a full queue the writer is busy: then this may wait, as whoever asks does.
        let _ = self.orders.send(Order::Reopen);
    }

    /// Lines written, and lines lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.written.load(Relaxed), self.lost.load(Relaxed))
    }
}

struct Writer {
    to: Target,
    path: LogTo,
    written: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

enum Target {
    Stdout(io::Stdout),
    File(BufWriter<File>),
}

impl Target {
    fn open(to: &LogTo) -> io::Result<Self> {
        Ok(match to {
            LogTo::Stdout => Self::Stdout(io::stdout()),
            LogTo::File(path) => Self::File(BufWriter::new(append(path)?)),
        })
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::Stdout(out) => writeln!(out.lock(), "{line}"),
            Self::File(file) => writeln!(file, "{line}"),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Order>) {
        loop {
            // What there is goes out at once when there is no more.
            let order = match inbox.try_recv() {
                Ok(order) => Some(order),
                Err(TryRecvError::Empty) => {
                    let _ = self.to.flush();
                    inbox.recv().ok()
                }
                Err(TryRecvError::Disconnected) => None,
            };
            match order {
                Some(Order::Line(line)) => match self.to.line(&line) {
                    Ok(()) => _ = self.written.fetch_add(1, Relaxed),
                    // A full disk, most likely: clients are served for all that.
                    Err(_) => _ = self.lost.fetch_add(1, Relaxed),
                },
                Some(Order::Reopen) => {
                    let _ = self.to.flush();
                    match Target::open(&self.path) {
                        Ok(to) => self.to = to,
                        Err(error) => tracing::error!(%error, "the access log stays as it is"),
                    }
                }
                None => {
                    let _ = self.to.flush();
                    return;
                }
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
        let Self { client, method, path, status, bytes, .. } = self;
        let date = httpdate::fmt_http_date(self.at);
        // "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
        let mut parts = date.split(' ').skip(1);
        let mut part = || parts.next().unwrap_or_default();
        let (day, month, year, time) = (part(), part(), part(), part());
        let quoted = |text: Option<&str>| text.map_or_else(|| "-".into(), escaped);
        let (path, referer, agent) = (escaped(path), quoted(self.referer), quoted(self.agent));
        format!(
            "{client} - - [{day}/{month}/{year}:{time} +0000] \"{method} {path} HTTP/1.1\" {status} \
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
