//! Those who call as no node would.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::site::{Ca, PATIENCE, Pair, Running};
use crate::peer::certificate::server_name;

/// A TLS client that believes the site's CA, with any certificate, or none.
pub(super) struct Caller(Arc<ClientConfig>);

impl Caller {
    pub(super) fn with(ca: &Ca, pair: Option<&Pair>) -> Self {
        Self::speaking(ca, pair, &TLS13)
    }

    pub(super) fn speaking(
        ca: &Ca,
        pair: Option<&Pair>,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate.unwrap()], key).unwrap()
            }
        };
        Self(Arc::new(config))
    }

    /// A connection, as far as the caller can tell: of TLS 1.3 it hears what the node thinks of its
    /// certificate only when it reads.
    pub(super) async fn connect(&self, node: &Running) -> io::Result<Connection> {
        let stream = TcpStream::connect(node.addresses[0]).await?;
        let name = server_name(&node.as_peer().name).unwrap();
        let tls = TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await?;
        Ok(Connection(BufReader::new(tls)))
    }

    /// What the node says to a request that any node may make.
    pub(super) async fn knock(&self, node: &Running) -> io::Result<String> {
        let mut connection = self.connect(node).await?;
        connection.say("{\"hello\":{\"version\":1,\"states\":{}}}\n").await
    }
}

/// A connection whose every byte can be chosen.
pub(super) struct Connection(pub(super) BufReader<TlsStream<TcpStream>>);

impl Connection {
    /// Says something, and returns the line that comes back; empty if none does.
    pub(super) async fn say(&mut self, text: &str) -> io::Result<String> {
        // What was said last is still there to be read when there is nobody to write to.
        let _ = self.0.write_all(text.as_bytes()).await;
        let _ = self.0.flush().await;
        self.hear().await
    }

    /// The next line; empty if the node ended the connection.
    pub(super) async fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("no word")?;
        Ok(line)
    }
}
