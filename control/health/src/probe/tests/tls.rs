use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{HandshakeKind, ServerConfig};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{Http, StatusSet, Tls};
use Outcome::{Failed, Passed};

/// An authority with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Settings that trust it.
    fn trusted(&self) -> Tls {
        Tls { sni: None, verify: true, ca: Some(self.path()) }
    }

    /// A server for these names and addresses. Each handshake tells the name that it was asked for.
    async fn server(
        &self,
        names: &[&str],
    ) -> (SocketAddr, mpsc::UnboundedReceiver<Option<String>>) {
        self.server_with(names, |_| {}).await
    }

    async fn server_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (SocketAddr, mpsc::UnboundedReceiver<Option<String>>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        let (sender, asked) = mpsc::unbounded_channel();
        let address = server(move |stream| {
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let session = stream.get_ref().1;
                assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
                let name = session.server_name().map(str::to_owned);
                let _uninterested = sender.send(name);
                let _gone = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _end = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        })
        .await;
        (address, asked)
    }
}

/// The name in the next handshake that the server is content with.
async fn name_of(asked: &mut mpsc::UnboundedReceiver<Option<String>>) -> Option<String> {
    tokio::time::timeout(PATIENCE, asked.recv()).await.expect("no handshake").unwrap()
}

fn named(tls: Tls, name: &str) -> Tls {
    Tls { sni: Some(name.to_owned()), ..tls }
}

#[tokio::test]
async fn the_address_is_verified_unless_there_is_a_name() {
    let authority = Authority::new();
    let (address, mut asked) = authority.server(&["127.0.0.1", "www.example.org"]).await;
    let report = ask(Kind::Tls(authority.trusted()), address).await;
    assert_report(&report, Passed, "TLSv1_3 handshake done");
    assert_eq!(name_of(&mut asked).await, None);

    let tls = named(authority.trusted(), "www.example.org");
    assert_eq!(ask(Kind::Tls(tls), address).await.outcome, Passed);
    assert_eq!(name_of(&mut asked).await.as_deref(), Some("www.example.org"));
}

#[tokio::test]
async fn a_probe_is_a_whole_handshake_each_time_and_no_error_to_its_server() {
    let authority = Authority::new();
    let (address, mut asked) = authority.server(&["127.0.0.1"]).await;
    let probe = probe(Kind::Tls(authority.trusted()), address, PATIENCE);
    let context = Context::new();
    for _ in 0..20 {
        assert_eq!(run(&probe, &context).await.outcome, Passed);
        // It is only told where the server saw the handshake through, and as a full one.
        assert_eq!(name_of(&mut asked).await, None);
    }
}

#[tokio::test]
async fn a_certificate_has_to_be_for_the_node() {
    let authority = Authority::new();
    let (address, _asked) = authority.server(&["www.example.org"]).await;
    let report = ask(Kind::Tls(authority.trusted()), address).await;
    assert_report(&report, Failed, "certificate: for another name");
    let report = ask(Kind::Tls(named(authority.trusted(), "mail.example.org")), address).await;
    assert_report(&report, Failed, "certificate: for another name");
}

#[tokio::test]
async fn a_certificate_has_to_be_of_this_time() {
    let authority = Authority::new();
    let (expired, _asked) = authority
        .server_with(&["127.0.0.1"], |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
        .await;
    let report = ask(Kind::Tls(authority.trusted()), expired).await;
    assert_report(&report, Failed, "certificate: expired");

    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let (early, _asked) = authority.server_with(&["127.0.0.1"], early).await;
    let report = ask(Kind::Tls(authority.trusted()), early).await;
    assert_report(&report, Failed, "certificate: not valid yet");
}

#[tokio::test]
async fn a_certificate_has_to_be_signed_by_whom_we_trust() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (address, _asked) = authority.server(&["127.0.0.1"]).await;
    let report = ask(Kind::Tls(other.trusted()), address).await;
    // Both authorities have the same name: the signature tells them apart.
    assert_report(&report, Failed, "certificate: wrong signature");
}

#[tokio::test]
async fn without_verification_any_certificate_will_do() {
    let authority = Authority::new();
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2021, 1, 1);
    let (address, _asked) = authority.server_with(&["elsewhere.example.org"], expired).await;
    let report = ask(Kind::Tls(Tls::default()), address).await;
    assert_report(&report, Passed, "TLSv1_3 handshake done");
}

#[tokio::test]
async fn renewed_authorities_are_seen_without_a_reload() {
    let (old, new) = (Authority::new(), Authority::new());
    let (address, _asked) = new.server(&["127.0.0.1"]).await;
    let context = Context::new();
    let probe = probe(Kind::Tls(old.trusted()), address, PATIENCE);
    assert_eq!(run(&probe, &context).await.outcome, Failed);
    fs::rename(new.path(), old.path()).unwrap();
    assert_eq!(run(&probe, &context).await.outcome, Passed);
    fs::remove_file(old.path()).unwrap();
    let report = run(&probe, &context).await;
    let reason = format!("cannot read {}: no such file or directory", old.path().display());
    assert_report(&report, Failed, &reason);
}

#[tokio::test]
async fn a_file_without_authorities_says_so() {
    let authority = Authority::new();
    let (address, _asked) = authority.server(&["127.0.0.1"]).await;
    let path = authority.path();
    let reason = async |text: &str| {
        fs::write(&path, text).unwrap();
        ask(Kind::Tls(authority.trusted()), address).await.reason
    };
    assert_eq!(reason("").await, format!("{} holds no certificate", path.display()));
    let cut = reason("-----BEGIN CERTIFICATE-----\nMIIB\n").await;
    assert!(cut.starts_with(&format!("{}: ", path.display())), "{cut}");
}

#[tokio::test]
async fn the_system_trusts_somebody_but_not_us() {
    if !Path::new("/etc/ssl/certs/ca-certificates.crt").exists() {
        // Then this is what there is to say, and the test above has it.
        return;
    }
    let authority = Authority::new();
    let (address, _asked) = authority.server(&["127.0.0.1"]).await;
    let report = ask(Kind::Tls(Tls { verify: true, ..Tls::default() }), address).await;
    assert_report(&report, Failed, "certificate: unknown issuer");
}

#[tokio::test]
async fn http_by_tls() {
    let authority = Authority::new();
    let (address, mut asked) = authority.server(&["www.example.org"]).await;
    let https = |tls| {
        Kind::Http(Http {
            tls: Some(tls),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: None,
            status: StatusSet(vec![(204, 204)]),
            drain_status: StatusSet(Vec::new()),
            body: None,
        })
    };
    let tls = named(authority.trusted(), "www.example.org");
    assert_report(&ask(https(tls), address).await, Passed, "HTTP 204");
    assert_eq!(name_of(&mut asked).await.as_deref(), Some("www.example.org"));
    let report = ask(https(authority.trusted()), address).await;
    assert_report(&report, Failed, "certificate: for another name");
}

#[tokio::test]
async fn what_is_not_tls_fails() {
    let tls = || Kind::Tls(Tls::default());
    let table: [(&[u8], _); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the answer is not TLS"),
        (b"", "connection closed early"),
    ];
    for (words, reason) in table {
        assert_report(&ask(tls(), saying(words).await).await, Failed, reason);
    }
    let (_bound, dead) = refusing();
    assert_report(&ask(tls(), dead).await, Failed, "connection refused");
    assert_report(&ask_in_vain(tls(), slow().await).await, Failed, "no answer within 50ms");
    let name = Tls { sni: Some("no name".to_owned()), ..Tls::default() };
    let report = ask(Kind::Tls(name), slow().await).await;
    assert_report(&report, Failed, "no name is no server name");
}
