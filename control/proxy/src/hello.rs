//! The host that a client names at the beginning of TLS (SNI), where TLS is not spoken with us: what it says is
//! looked at, and passed on as it is.

use std::io::{self, Cursor};

use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt};

/// More than any first word of TLS, with every extension.
const LONGEST: usize = 32 * 1024;

/// Reads what a client says first, as far as that is needed: it, and the host that it names, in lower case. Of
/// one that does not speak TLS there is no host.
///
/// # Errors
/// The connection ends, or breaks.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(BytesMut, Option<String>)> {
    let mut told = BytesMut::with_capacity(2048);
    let mut acceptor = Acceptor::default();
    loop {
        let before = told.len();
        if stream.read_buf(&mut told).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut new = Cursor::new(&told[before..]);
        while new.position() < (told.len() - before) as u64 {
            if acceptor.read_tls(&mut new).is_err() {
                return Ok((told, None));
            }
        }
        match acceptor.accept() {
            Ok(None) if told.len() < LONGEST => {}
            Ok(Some(accepted)) => {
                let host = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
                return Ok((told, host));
            }
            Ok(None) | Err(_) => return Ok((told, None)),
        }
    }
}
