//! A line of JSON.

use std::io;

use serde::Serialize;
use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why there is no line.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// More bytes than a line may have came without an end.
    #[error("a line of more than {0} bytes")]
    TooLong(u64),
    /// The connection ended within it.
    #[error("half a line")]
    Half,
}

/// Reads a line of at most `max` bytes, without its end; none if the other side is done.
pub(super) async fn read(
    from: &mut (impl AsyncBufRead + Unpin),
    max: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let mut line = Vec::new();
    let length = from.take(max + 1).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if length as u64 > max => Err(Error::TooLong(max)),
        Some(_) => Err(Error::Half),
    }
}

/// Writes a message and the line's end.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut text: &[u8], max: u64) -> Vec<Result<Option<Vec<u8>>, String>> {
        let mut lines = Vec::new();
        loop {
            let line = read(&mut text, max).await.map_err(|e| e.to_string());
            let last = !matches!(line, Ok(Some(_)));
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    #[tokio::test]
    async fn lines_are_read_one_by_one() {
        let line = |text: &str| Ok(Some(text.as_bytes().to_vec()));
        assert_eq!(read_all(b"{}\n\n[]\n", 2).await, [line("{}"), line(""), line("[]"), Ok(None)]);
        assert_eq!(read_all(b"{}\n[", 2).await, [line("{}"), Err("half a line".into())]);
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let line = |text: &str| Ok(Some(text.as_bytes().to_vec()));
        let too_long = Err("a line of more than 4 bytes".to_owned());
        assert_eq!(read_all(b"1234\n12345\n", 4).await, [line("1234"), too_long.clone()]);
        assert_eq!(read_all(b"12345", 4).await, [too_long]);
    }
}
