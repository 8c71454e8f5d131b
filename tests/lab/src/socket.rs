//! The client of a dataplane's socket: one line there, one line back.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use api::{Reply, Request};

/// Longer than the longest `capture`.
const LIMIT: Duration = Duration::from_secs(70);

/// Makes one request on a connection of its own, so that a `capture` that waits delays no other.
pub(crate) fn request(socket: &Path, request: &Request) -> io::Result<Reply> {
    serde_json::from_str(&exchange(socket, &request.to_line())?).map_err(io::Error::from)
}

/// Sends a line as it is, and returns the line that comes back.
pub(crate) fn exchange(socket: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\n")?;
    let mut answer = String::new();
    if BufReader::new(stream).read_line(&mut answer)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
