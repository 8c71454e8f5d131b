//! Clients and servers that speak TLS.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use super::*;

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Certificates in a folder, each trusted by those who ask for trust.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a new certificate for these names, in the place of one of before. Returns it.
    pub(super) fn issue(&self, file: &str, names: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let pem = made.cert.pem() + &made.signing_key.serialize_pem();
        std::fs::write(self.0.path().join(file), pem).unwrap();
        made.cert.der().clone()
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.0.path().join(file)
    }

    pub(super) fn tls(&self, files: &[&str]) -> ServerTls {
        let pair = |file: &&str| CertificateFiles { chain: self.path(file), key: self.path(file) };
        ServerTls {
            certificates: files.iter().map(pair).collect(),
            min_version: TlsVersion::V1_2,
            ciphers: vec![],
        }
    }
}

/// A client that trusts these alone.
pub(super) fn trusting(certificates: &[CertificateDer<'static>]) -> Arc<rustls::ClientConfig> {
    trusting_with(certificates, rustls::ALL_VERSIONS)
}

fn trusting_with(
    certificates: &[CertificateDer<'static>],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    certificates.iter().for_each(|one| roots.add(one.clone()).unwrap());
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(client)
}

/// A certificate of this name for a server of ours, and who trusts it.
fn both(name: &str) -> (Arc<rustls::ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    (Arc::new(server), made.cert.pem())
}

/// A frontend that speaks TLS by these certificates.
pub(super) fn secure(tls: ServerTls) -> Frontend {
    let mut frontend = frontend();
    frontend.tls = Some(tls);
    frontend.listen[0].tls = true;
    frontend
}

/// A conversation under this name: what is answered, and the session.
fn converse(
    address: SocketAddr,
    trust: &Arc<rustls::ClientConfig>,
    name: &str,
) -> std::io::Result<(String, rustls::ClientConnection)> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = rustls::ClientConnection::new(trust.clone(), name).unwrap();
    let stream = std::net::TcpStream::connect(address)?;
    let mut client = rustls::StreamOwned::new(session, stream);
    client.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok((answer, client.conn))
}

/// What is answered to a request over TLS, header and body.
pub(super) fn ask(address: SocketAddr, trust: &Arc<rustls::ClientConfig>) -> String {
    converse(address, trust, "example.org").unwrap().0
}

#[test]
fn clients_speak_tls_with_us_and_servers_learn_that() {
    let server = Server::named("a");
    let folder = Folder::new();
    let trust = trusting(&[folder.issue("a.pem", &["example.org"])]);
    let frontend = secure(folder.tls(&["a.pem"]));
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let answer = ask(address, &trust);
    assert!(answer.ends_with("\r\n\r\na"), "{answer}");
    assert!(server.heads()[0].contains("x-forwarded-proto: https\r\n"));
    // Plain text is no TLS.
    let mut plain = Client::connect(address);
    plain.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(plain.is_closed());
}

#[test]
fn servers_are_told_of_the_clients_tls() {
    use std::io::{BufRead, BufReader};
    // It answers with the header of version 2 that came with the connection.
    let server = Server::raw(|mut stream| {
        let mut bytes = BufReader::new(stream.try_clone().unwrap());
        let mut told = vec![0; 16];
        bytes.read_exact(&mut told).unwrap();
        let length = usize::from(u16::from_be_bytes([told[14], told[15]]));
        told.resize(16 + length, 0);
        bytes.read_exact(&mut told[16..]).unwrap();
        // The request is of no interest.
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            bytes.read_line(&mut line).unwrap();
        }
        let text: String = told.iter().map(|byte| format!("{byte:02x}")).collect();
        stream.write_all(&super::server::ok(&text)).unwrap();
    });
    let folder = Folder::new();
    let trust = trusting(&[folder.issue("a.pem", &["example.org"])]);
    let frontend = secure(folder.tls(&["a.pem"]));
    let mut pool = pool("p", &[server.address]);
    pool.send_proxy = Some(crate::proxy_protocol::Version::V2);
    let (_proxy, address) = start(frontend, vec![pool]);
    let answer = ask(address, &trust);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for part in ["example.org", "TLSv1.3", "TLS13_AES_"] {
        assert!(answer.contains(&hex(part)), "{part}: {answer}");
    }
}

#[test]
fn servers_are_spoken_to_over_tls_and_have_to_be_who_they_say() {
    let (config, certificate) = both("127.0.0.1");
    let (_, other) = both("127.0.0.1");
    let folder = Folder::new();
    std::fs::write(folder.path("ca.pem"), certificate).unwrap();
    std::fs::write(folder.path("other.pem"), other).unwrap();
    let server = Server::raw(move |stream| {
        let session = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        let mut head = [0; 4096];
        if matches!(stream.read(&mut head), Ok(1..)) {
            stream.write_all(&super::server::ok("secret")).unwrap();
        }
    });
    let mut pool = pool("p", &[server.address]);
    let tls = ClientTls { verify: true, ca: Some(folder.path("ca.pem")), sni: None };
    for (tls, status) in [
        (tls.clone(), 200),
        (ClientTls { ca: Some(folder.path("other.pem")), ..tls.clone() }, 502),
        (ClientTls { sni: Some("example.org".into()), ..tls.clone() }, 502),
        (ClientTls { verify: false, ca: None, ..tls }, 200),
    ] {
        pool.tls = Some(tls.clone());
        let (_proxy, address) = start(frontend(), vec![pool.clone()]);
        assert_eq!(Client::connect(address).get("/").status, status, "{tls:?}");
    }
}

/// The certificate that a client got.
fn shown(session: &rustls::ClientConnection) -> CertificateDer<'static> {
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn the_certificate_is_that_of_the_host_which_a_client_names() {
    let server = Server::named("a");
    let folder = Folder::new();
    let first = folder.issue("first.pem", &["first.example", "198.51.100.1"]);
    let exact = folder.issue("exact.pem", &["www.example.org"]);
    let below = folder.issue("below.pem", &["*.example.org", "example.org"]);
    let trust = trusting(&[first.clone(), exact.clone(), below.clone()]);
    let frontend = secure(folder.tls(&["first.pem", "exact.pem", "below.pem"]));
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    for (host, expected) in [
        ("www.example.org", &exact),
        ("WWW.EXAMPLE.ORG", &exact),
        ("other.example.org", &below),
        ("example.org", &below),
        ("first.example", &first),
        // No name is sent with an address (RFC 6066, section 3).
        ("198.51.100.1", &first),
    ] {
        let (answer, session) = converse(address, &trust, host).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
        assert_eq!(shown(&session), *expected, "{host}");
    }
    // For nobody that is known here there is the first, which this client does not like.
    assert!(converse(address, &trust, "a.b.example.org").is_err());
}

#[test]
fn certificates_are_swapped_under_load_and_broken_ones_change_nothing() {
    let server = Server::named("a");
    let folder = Folder::new();
    let old = folder.issue("a.pem", &["example.org"]);
    let frontend = secure(folder.tls(&["a.pem"]));
    let pools = vec![pool("p", &[server.address])];
    let (mut proxy, address) = start(frontend.clone(), pools.clone());
    let settings = settings(frontend, pools);

    let new = folder.issue("b.pem", &["example.org"]);
    let trust = trusting(&[old.clone(), new.clone()]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !stop.load(Relaxed) {
                let (answer, session) = converse(address, &trust, "example.org").unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                seen.insert(shown(&session).to_vec());
            }
            seen
        });
        let shows = |wanted: &CertificateDer<'_>| {
            shown(&converse(address, &trust, "example.org").unwrap().1) == *wanted
        };
        assert!(shows(&old));
        std::fs::rename(folder.path("b.pem"), folder.path("a.pem")).unwrap();
        assert!(shows(&old), "nobody has said that it is to be read");
        proxy.set(&settings).unwrap();
        wait_until("the new one is shown", || shows(&new));

        std::fs::write(folder.path("a.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
        let error = proxy.set(&settings).unwrap_err().to_string();
        assert!(error.contains("a.pem: "), "{error}");
        std::fs::remove_file(folder.path("a.pem")).unwrap();
        let error = proxy.set(&settings).unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains("a.pem"), "{error}");
        assert!(shows(&new));
        stop.store(true, Relaxed);
        assert_eq!(asking.join().unwrap().len(), 2, "the load has seen both");
    });
}

#[test]
fn a_key_of_another_certificate_is_told() {
    let folder = Folder::new();
    folder.issue("a.pem", &["example.org"]);
    folder.issue("b.pem", &["example.org"]);
    let mut tls = folder.tls(&["a.pem"]);
    tls.certificates[0].key = folder.path("b.pem");
    let error = Proxy::start(NonZeroUsize::MIN, &settings(secure(tls), vec![])).unwrap_err();
    assert!(error.to_string().contains("b.pem: it is not the key of"), "{error}");
}

#[test]
fn a_session_goes_on_at_another_node_of_the_site_and_nowhere_else() {
    let server = Server::named("a");
    let folder = Folder::new();
    let certificate = folder.issue("a.pem", &["example.org"]);
    let node = |secret: Option<&[u8]>| {
        let pools = vec![pool("p", &[server.address])];
        let mut settings = settings(secure(folder.tls(&["a.pem"])), pools);
        settings.tickets = secret.map(crate::tls::TicketSecret::new);
        let address = settings.frontends[0].listen[0].address;
        (serve(2, &settings), address)
    };
    let (_one, here) = node(Some(b"the site's secret"));
    let (_two, there) = node(Some(b"the site's secret"));
    let (_stranger, elsewhere) = node(Some(b"another site's"));
    let (_mute, nowhere) = node(None);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let whole = |address, trust: &Arc<rustls::ClientConfig>| {
            let (_, session) = converse(address, trust, "example.org").unwrap();
            session.handshake_kind().unwrap() == rustls::HandshakeKind::Full
        };
        let trust = trusting_with(std::slice::from_ref(&certificate), &[version]);
        assert!(whole(here, &trust), "the first");
        // Whichever core takes it.
        for _ in 0..8 {
            assert!(!whole(there, &trust), "{version:?} at another node");
        }
        assert!(whole(elsewhere, &trust), "{version:?} at another site");
        assert!(whole(nowhere, &trust), "{version:?} without a secret");
        assert!(whole(nowhere, &trust), "{version:?} without a secret, again");
    }
}

#[test]
fn versions_and_ciphers_are_those_of_the_policy() {
    let server = Server::named("a");
    let folder = Folder::new();
    let certificate = folder.issue("a.pem", &["example.org"]);
    let mut tls = folder.tls(&["a.pem"]);
    tls.min_version = TlsVersion::V1_3;
    tls.ciphers = vec!["TLS13_CHACHA20_POLY1305_SHA256".into()];
    let (_proxy, address) = start(secure(tls.clone()), vec![pool("p", &[server.address])]);
    let certificates = [certificate];
    let old = trusting_with(&certificates, &[&rustls::version::TLS12]);
    assert!(converse(address, &old, "example.org").is_err());
    let (_, session) = converse(address, &trusting(&certificates), "example.org").unwrap();
    let suite = session.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite.as_str(), Some("TLS13_CHACHA20_POLY1305_SHA256"));
    assert_eq!(session.alpn_protocol(), None, "the client offers none");

    tls.ciphers = vec!["RC4".into()];
    let error = Proxy::start(NonZeroUsize::MIN, &settings(secure(tls), vec![])).unwrap_err();
    assert!(error.to_string().starts_with("there is no cipher suite RC4; there are: TLS13_"));
}

/// A server that speaks TLS by a certificate which nobody knows, and says a word.
pub(super) fn echo_tls(word: &'static str) -> impl Fn(std::net::TcpStream) + Send + Sync {
    let (config, _) = both("anybody.example.org");
    move |stream| {
        let session = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        let _ = stream.write_all(word.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
        let _ = stream.read(&mut [0; 16]);
    }
}

/// What whoever is reached under this name says; nothing if the connection ends before.
pub(super) fn first_word(address: SocketAddr, name: &str) -> Option<String> {
    let anybody = crate::tls::trusting_anybody();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = rustls::ClientConnection::new(anybody, name).unwrap();
    let stream = std::net::TcpStream::connect(address).unwrap();
    let mut client = rustls::StreamOwned::new(session, stream);
    let mut word = String::new();
    client.read_to_string(&mut word).ok()?;
    Some(word).filter(|word| !word.is_empty())
}
