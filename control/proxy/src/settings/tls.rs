use std::path::PathBuf;

/// How TLS is spoken with clients. Session tickets are [`Settings::tickets`](super::Settings::tickets)'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The one for the host that a client names is used; for whoever names none, or another, the first.
    pub certificates: Vec<CertificateFiles>,
    /// Nothing older is spoken.
    pub min_version: TlsVersion,
    /// Names of cipher suites (`TLS13_AES_256_GCM_SHA384`), the best first; none: all that are safe.
    pub ciphers: Vec<String>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the certificate, then those above it.
    pub chain: PathBuf,
    /// PEM: its private key. May be the same file.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// How TLS is spoken with servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// Whether their certificates are looked at.
    pub verify: bool,
    /// PEM: the authorities that are trusted; absent: the system's.
    pub ca: Option<PathBuf>,
    /// The name to ask for, which their certificates have to bear; absent: the host by whose name a server is
    /// known, or else none, and its address.
    pub sni: Option<String>,
}
