//! `/metrics` of a control, as Prometheus reads it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lab::L4;

/// Where a control tells its metrics.
pub const METRICS: &str = "127.0.0.1:9469";

/// Sends a request as it is to the metrics' port, from inside the node, and returns status and body.
///
/// # Errors
/// Nobody listens, or no HTTP came back.
pub fn exchange(l4: &L4, request: &str) -> io::Result<(u16, String)> {
    let answer = l4.namespace().enter(|| {
        let mut stream = TcpStream::connect(METRICS)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        io::Result::Ok(answer)
    })?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| io::Error::other(format!("this is not HTTP: {answer:?}")))
}

/// The page.
///
/// # Panics
/// It is not given.
pub fn page(l4: &L4) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {METRICS}\r\n\r\n");
    match exchange(l4, &request) {
        Ok((200, body)) => body,
        other => panic!("metrics of {}: {other:?}", l4.name()),
    }
}

/// Every sample of the page: name and labels, as they stand there -> value.
///
/// # Panics
/// A line is not of the format.
pub fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    lines.map(|line| sample(line).unwrap_or_else(|| panic!("`{line}` is no sample"))).collect()
}
