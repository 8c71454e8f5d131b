//! One client: its lines in, a line out for each.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use api::{Reply, Request};
use crossbeam::channel::{Sender, bounded};

use super::{Call, Limits};

/// Answers the client's lines until it has no more, or does not read.
pub(super) fn converse(
    limits: Limits,
    stream: &UnixStream,
    requests: &Sender<Call>,
) -> io::Result<()> {
    stream.set_write_timeout(Some(limits.patience))?;
    let mut lines = BufReader::new(stream);
    while let Some(line) = read_line(&mut lines, limits.line)? {
        let reply = match line {
            Line::Whole(bytes) => answer(&bytes, requests),
            Line::TooLong => Reply::Error(format!("the line is longer than {} bytes", limits.line)),
        };
        write_line(stream, &reply)?;
    }
    Ok(())
}

/// Tells the client that there are too many.
pub(super) fn refuse(limits: Limits, stream: UnixStream) {
    let error = format!("{} connections are open, which is the most", limits.connections);
    // Does not wait: the line fits into the new connection's empty buffer.
    if let Err(error) = write_line(&stream, &Reply::Error(error)) {
        tracing::debug!(%error, "connection lost");
    }
}

fn answer(line: &[u8], requests: &Sender<Call>) -> Reply {
    let Ok(text) = str::from_utf8(line) else {
        return Reply::Error("not a request: not UTF-8".into());
    };
    let request = match Request::parse(text) {
        Ok(request) => request,
        Err(bad) => return Reply::Error(bad.to_string()),
    };
    let (reply, answer) = bounded(1);
    // Either fails only when nobody answers any more.
    let called = requests.send(Call { request, reply });
    let reply = called.ok().and_then(|()| answer.recv().ok());
    reply.unwrap_or_else(|| Reply::Error("no answer: the process is stopping".into()))
}

/// A line of the client's, without its newline.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole(Vec<u8>),
    /// It was skipped.
    TooLong,
}

/// The next line; the last one need not end in a newline. Keeps no more than `most` bytes of it.
fn read_line(lines: &mut impl BufRead, most: u64) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    lines.by_ref().take(most + 1).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.is_empty() {
        return Ok(None);
    } else if line.len() as u64 > most {
        drop(line);
        lines.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Whole(line)))
}

fn write_line(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}
