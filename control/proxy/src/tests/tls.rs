//! Clients and servers that speak TLS.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use super::*;

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A certificate of this name, for a server and for who trusts it.
fn both(name: &str) -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// What is answered to a request over TLS, header and body.
fn ask(address: SocketAddr, trust: Arc<rustls::ClientConfig>) -> String {
    let name = ServerName::try_from("example.org").unwrap();
    let session = rustls::ClientConnection::new(trust, name).unwrap();
    let mut client =
        rustls::StreamOwned::new(session, std::net::TcpStream::connect(address).unwrap());
    client.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn clients_speak_tls_with_us_and_servers_learn_that() {
    let server = Server::named("a");
    let (config, trust) = both("example.org");
    let mut frontend = frontend();
    frontend.tls = Some(config);
    let (_proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let answer = ask(address, trust);
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
    let (config, trust) = both("example.org");
    let mut frontend = frontend();
    frontend.tls = Some(config);
    let mut pool = pool("p", &[server.address]);
    pool.send_proxy = Some(crate::proxy_protocol::Version::V2);
    let (_proxy, address) = start(frontend, vec![pool]);
    let answer = ask(address, trust);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for part in ["example.org", "TLSv1.3", "TLS13_AES_"] {
        assert!(answer.contains(&hex(part)), "{part}: {answer}");
    }
}

#[test]
fn servers_are_spoken_to_over_tls_and_have_to_be_who_they_say() {
    let (config, trust) = both("127.0.0.1");
    let (_, other) = both("127.0.0.1");
    let server = Server::raw(move |stream| {
        let session = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        let mut head = [0; 4096];
        if matches!(stream.read(&mut head), Ok(1..)) {
            stream.write_all(&super::server::ok("secret")).unwrap();
        }
    });
    let mut pool = pool("p", &[server.address]);
    pool.tls = Some(trust);
    let (_proxy, address) = start(frontend(), vec![pool.clone()]);
    assert_eq!(Client::connect(address).get("/").text(), "secret");
    pool.tls = Some(other);
    let (_proxy, address) = start(frontend(), vec![pool]);
    assert_eq!(Client::connect(address).get("/").status, 502);
}
