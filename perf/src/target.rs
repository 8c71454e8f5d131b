//! Whom probes ask: a server that answers each connection in as few steps as there are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::cpu;

/// Its name in the certificate.
pub const NAME: &str = "probed.example";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Nothing: it accepts, and closes when the other side does.
    Silence,
    /// HTTP.
    Plain,
    /// HTTP over TLS.
    Tls,
}

/// A server on a thread of its own, until the process ends.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// File with the certificate to trust, if it speaks TLS.
    pub ca: Option<PathBuf>,
}

impl Server {
    /// Starts one on this CPU; `folder` takes its certificate.
    ///
    /// # Errors
    /// The system refuses a socket, a thread or a file.
    pub fn start(speech: Speech, cpu: usize, folder: &std::path::Path) -> io::Result<Self> {
        let (tls, ca) = match speech {
            Speech::Silence | Speech::Plain => (None, None),
            Speech::Tls => {
                let CertifiedKey { cert, signing_key } =
                    generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
                let path = folder.join("probed.pem");
                std::fs::write(&path, cert.pem())?;
                let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
                let config =
                    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                        .with_safe_default_protocol_versions()
                        .map_err(io::Error::other)?
                        .with_no_client_auth()
                        .with_single_cert(vec![cert.der().clone()], key)
                        .map_err(io::Error::other)?;
                (Some(TlsAcceptor::from(Arc::new(config))), Some(path))
            }
        };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        // As many as the kernel lets: a probe that has to repeat its SYN waits for a second.
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::MAXALLOWABLE)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("{speech:?}")).spawn(move || {
            cpu::pin(cpu)?;
            runtime.block_on(serve(listener, speech, tls))
        })?;
        Ok(Self { address, ca })
    }
}

async fn serve(
    listener: std::net::TcpListener,
    speech: Speech,
    tls: Option<TlsAcceptor>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let tls = tls.clone();
        // A client that resets the connection has what it wanted.
        tokio::spawn(async move {
            match (tls, speech) {
                (Some(tls), _) => answer(tls.accept(stream).await?).await,
                (None, Speech::Silence) => stream.read(&mut [0]).await.map(drop),
                (None, Speech::Plain | Speech::Tls) => answer(stream).await,
            }
        });
    }
}

/// Answers one request, which is whatever comes first.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut request = [0; 1024];
    if stream.read(&mut request).await? > 0 {
        stream.write_all(ANSWER).await?;
    }
    stream.shutdown().await
}
