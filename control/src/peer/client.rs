//! Asking another node one question.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use admin::{PeerReply, PeerRequest};
use rustls::AlertDescription;
use thiserror::Error;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::certificate::server_name;
use super::{Identity, Peer, Unfit, line};

/// Bytes of a line, in both directions. A thousand services over a hundred nodes have a tenth of
/// that.
pub(super) const MAX_LINE: u64 = 8 << 20;

/// Why a node does not answer, as an operator is told of it.
#[derive(Debug, Error)]
pub enum PeerError {
    /// Its name cannot be in a certificate.
    #[error("its name cannot be in a certificate")]
    Name,
    /// No connection to any of its addresses.
    #[error("{}", reasons(.0))]
    Connect(Vec<(SocketAddr, String)>),
    /// It is not there, or hangs.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It, or somebody in its place, is not who it should be.
    #[error("{0}")]
    Certificate(Unfit),
    /// It does not like this node's certificate.
    #[error("refuses this node's certificate: {}", alert(*.0))]
    Alert(AlertDescription),
    /// It speaks something else than TLS 1.3.
    #[error("does not speak TLS 1.3: {0}")]
    Protocol(rustls::Error),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// It ended the connection without an answer.
    #[error("closed the connection without an answer")]
    Closed,
    /// What came is no answer.
    #[error("its answer cannot be understood: {0}")]
    Answer(String),
    /// It answered that it will not.
    #[error("refuses: {0}")]
    Refused(String),
}

/// One reason if all are equal, else each with its address.
fn reasons(attempts: &[(SocketAddr, String)]) -> String {
    match attempts {
        [] => "it has no address".to_owned(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, other)| other == first) => first.clone(),
        all => {
            let each: Vec<_> =
                all.iter().map(|(at, reason)| format!("{reason} ({})", at.ip())).collect();
            each.join(", ")
        }
    }
}

fn alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "it is not of that node's CA".to_owned()
        }
        AlertDescription::CertificateExpired => "it has expired, or is not valid yet".to_owned(),
        AlertDescription::CertificateRequired => "it got none".to_owned(),
        // The enum is open, and these say enough.
        other => format!("alert {other:?}"),
    }
}

/// An error of the system in an operator's words: without its number, and within a sentence.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl PeerError {
    /// What broke a conversation.
    fn broken(error: &io::Error) -> Self {
        let inside = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match inside {
            Some(rustls::Error::AlertReceived(alert)) => Self::Alert(*alert),
            Some(error) => match Unfit::of(error) {
                Some(unfit) => Self::Certificate(unfit),
                None => Self::Protocol(error.clone()),
            },
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Lost(plain(error)),
        }
    }
}

/// Asks a node. A connection of its own for each question: there are few, and nothing of one
/// outlives it.
///
/// # Errors
/// There was no answer within `deadline`, which covers everything, or what came is none. An answer
/// of [`PeerReply::Error`] is an error too.
pub async fn ask(
    identity: &Identity,
    peer: &Peer,
    request: &PeerRequest,
    deadline: Duration,
) -> Result<PeerReply, PeerError> {
    let late = Instant::now() + deadline;
    match timeout_at(late, exchange(identity, peer, request, late)).await {
        Ok(Ok(PeerReply::Error(reason))) => Err(PeerError::Refused(reason)),
        Ok(Ok(reply @ PeerReply::Hello(_))) => Ok(reply),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(PeerError::Timeout(deadline)),
    }
}

async fn exchange(
    identity: &Identity,
    peer: &Peer,
    request: &PeerRequest,
    late: Instant,
) -> Result<PeerReply, PeerError> {
    let name = server_name(&peer.name).ok_or(PeerError::Name)?;
    // Whoever takes the connection has to prove who it is: the next address is tried if nobody
    // does, not if somebody else does.
    let stream = connect(&peer.addresses, late).await?;
    stream.set_nodelay(true).map_err(|e| PeerError::broken(&e))?;
    let connector = TlsConnector::from(identity.current().client.clone());
    let tls = connector.connect(name, stream).await.map_err(|e| PeerError::broken(&e))?;

    let mut tls = BufReader::new(tls);
    let sent = line::write(&mut tls, request).await;
    // Read even if not all could be sent: a node that refuses says why and closes, whatever is on
    // its way. What it said is still there after the reset that answers that.
    let answer = match line::read(&mut tls, MAX_LINE).await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Err(PeerError::Closed),
        Err(line::Error::Io(error)) => return Err(PeerError::broken(&error)),
        Err(error @ (line::Error::TooLong(_) | line::Error::Half)) => {
            return Err(PeerError::Answer(error.to_string()));
        }
    };
    match serde_json::from_slice(&answer) {
        Ok(reply) => Ok(reply),
        Err(_) if sent.is_err() => Err(PeerError::Closed),
        Err(error) => Err(PeerError::Answer(error.to_string())),
    }
}

/// A connection to the first address that takes one. Each address has its share of the time that is
/// left, so that a silent one does not use up that of the next.
async fn connect(addresses: &[SocketAddr], late: Instant) -> Result<TcpStream, PeerError> {
    let mut failed = Vec::new();
    for (i, &address) in addresses.iter().enumerate() {
        let left = (addresses.len() - i) as u32;
        let share = late.saturating_duration_since(Instant::now()) / left;
        // The last one has all the rest: the deadline around it is the one to be named.
        let attempt = async {
            if left == 1 {
                return Ok(TcpStream::connect(address).await);
            }
            timeout(share, TcpStream::connect(address)).await
        };
        match attempt.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed.push((address, plain(&error))),
            Err(_) => failed.push((address, "no answer".to_owned())),
        }
    }
    Err(PeerError::Connect(failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_an_operators_words() {
        let at = |address: &str, reason: &str| (address.parse().unwrap(), reason.to_owned());
        let one = at("192.0.2.133:7400", "connection refused");
        let two = at("[2001:db8::285]:7400", "network is unreachable");
        for (error, text) in [
            (PeerError::Connect(vec![one.clone()]), "connection refused"),
            (PeerError::Connect(vec![one.clone(), one.clone()]), "connection refused"),
            (
                PeerError::Connect(vec![one, two]),
                "connection refused (192.0.2.133), network is unreachable (2001:db8::285)",
            ),
            (PeerError::Timeout(Duration::from_secs(2)), "no answer within 2s"),
            (
                PeerError::Certificate(Unfit::Name {
                    presented: vec!["l4-3".into()],
                    expected: "l4-2".into(),
                }),
                "certificate is for l4-3, not l4-2",
            ),
            (PeerError::Certificate(Unfit::Issuer), "certificate is not of this site's CA"),
            (
                PeerError::Alert(AlertDescription::UnknownCA),
                "refuses this node's certificate: it is not of that node's CA",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[tokio::test]
    async fn a_silent_address_has_its_share_of_the_time_and_no_more() {
        use socket2::{Domain, Socket, Type};
        // Room for one connection that nobody accepts: what comes after it is not answered.
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        full.listen(0).unwrap();
        let silent = full.local_addr().unwrap().as_socket().unwrap();
        let _first = TcpStream::connect(silent).await.unwrap();

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let late = Instant::now() + Duration::from_secs(2);
        let connected = timeout_at(late, connect(&[silent, good], late)).await;
        assert_eq!(connected.unwrap().unwrap().peer_addr().unwrap(), good);
    }

    #[test]
    fn errors_of_the_system_come_without_their_numbers() {
        assert_eq!(plain(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(plain(&io::Error::from_raw_os_error(113)), "no route to host");
        assert_eq!(plain(&io::Error::other("Odd")), "odd");
        assert_eq!(plain(&io::Error::other("")), "");
    }
}
