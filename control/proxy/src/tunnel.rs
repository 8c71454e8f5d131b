//! Bytes to and fro as they are: TCP frontends, and connections after an upgrade.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Bytes on their way in each direction.
const BUFFER: usize = 16 * 1024;

/// Carries what each end sends to the other until both have said their last, or neither says anything for
/// `limit`. Who has nothing more to say may still listen.
pub(crate) async fn run<A, B>(a: A, b: B, limit: Duration)
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (a_in, a_out) = tokio::io::split(a);
    let (b_in, b_out) = tokio::io::split(b);
    let moved = std::cell::Cell::new(tokio::time::Instant::now());
    let both = async {
        tokio::try_join!(carry(a_in, b_out, limit, &moved), carry(b_in, a_out, limit, &moved))
    };
    // Either end's failure is the end of both.
    let _ = both.await;
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    limit: Duration,
    moved: &std::cell::Cell<tokio::time::Instant>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match timeout(limit, from.read(&mut buffer)).await {
            Ok(read) => read?,
            // The other direction may be at work.
            Err(_) if moved.get().elapsed() < limit => continue,
            Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
        };
        moved.set(tokio::time::Instant::now());
        let pass = async {
            if read == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..read]).await?;
            // Under TLS what is written may not have gone.
            to.flush().await
        };
        timeout(limit, pass).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
        if read == 0 {
            return Ok(());
        }
        moved.set(tokio::time::Instant::now());
    }
}
