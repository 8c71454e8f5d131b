//! HTTPS in the lab: one certificate a process, for the VIPs, which the proxies show and the clients trust.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::address::{VIP, VIP6};

/// A host of which the certificate is, too.
pub const HOST: &str = "www.example.org";

/// The certificate and its key as files have them, and who trusts it.
static LAB: LazyLock<(String, Arc<ClientConfig>)> = LazyLock::new(|| {
    let names = [HOST.to_owned(), VIP.to_string(), VIP6.to_string()];
    let made = rcgen::generate_simple_self_signed(names).expect("these are names");
    let pem = made.cert.pem() + &made.signing_key.serialize_pem();
    (pem, trusting(made.cert.der().clone()))
});

fn trusting(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("it was made a moment ago");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites of every version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(client)
}

/// The certificate and its key.
pub(crate) fn pem() -> &'static str {
    &LAB.0
}

/// A connection of a client, plain or not.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// TLS over it, with whoever shows the lab's certificate.
    pub(crate) fn secure(stream: TcpStream, server: IpAddr) -> io::Result<Self> {
        let name = ServerName::IpAddress(server.into());
        let session = ClientConnection::new(LAB.1.clone(), name).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(session, stream))))
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Whether a session of before was gone on with; nothing where no TLS is spoken.
    pub(crate) fn is_resumed(&self) -> Option<bool> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => {
                let kind = stream.conn.handshake_kind()?;
                Some(kind == rustls::HandshakeKind::Resumed)
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
