//! Reasons, as operators read them: short, in words, and safe to print whatever the network sent.

use std::io;
use std::time::Duration;

use rustls::CertificateError;

/// Longest quotation of what a target sent, in characters.
const MAX_QUOTE: usize = 80;

/// An error of a socket or file, without the number that nobody looks up.
pub(crate) fn of_io(error: &io::Error) -> String {
    if let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        return of_tls(tls);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::BrokenPipe => "connection closed".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::TimedOut => "connection timed out".to_owned(),
        io::ErrorKind::UnexpectedEof => "connection closed early".to_owned(),
        // The kinds are an open set, and most need no words of ours.
        _ => match error.raw_os_error() {
            Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
            None => error.to_string(),
        },
    }
}

/// An error of TLS.
fn of_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(certificate) => {
            format!("certificate: {}", of_certificate(certificate))
        }
        rustls::Error::InvalidMessage(_) => "the answer is not TLS".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("TLS alert: {alert:?}"),
        // An open set of rare ones, in words already.
        other => format!("TLS: {other}"),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "unknown issuer".to_owned(),
        CertificateError::Revoked => "revoked".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "for another name".to_owned()
        }
        CertificateError::BadSignature => "wrong signature".to_owned(),
        CertificateError::BadEncoding => "malformed".to_owned(),
        other => other.to_string(),
    }
}

/// Nothing came until the deadline.
pub(crate) fn silence(timeout: Duration) -> String {
    format!("no answer within {timeout:?}")
}

/// What a target sent, in quotes: control characters and terminal escapes are spelled out, and only
/// the beginning is shown.
pub(crate) fn quote(sent: &[u8]) -> String {
    // A character is at most four bytes: no need to look at megabytes.
    let beginning = sent.get(..MAX_QUOTE * 4).unwrap_or(sent);
    let text = String::from_utf8_lossy(beginning);
    let shown: String = text.chars().take(MAX_QUOTE).flat_map(char::escape_debug).collect();
    let rest = if text.chars().nth(MAX_QUOTE).is_some() || beginning.len() < sent.len() {
        "..."
    } else {
        ""
    };
    format!("\"{shown}{rest}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_short_and_printable() {
        assert_eq!(quote(b"ok"), r#""ok""#);
        assert_eq!(quote(b"a\x1b[2J\r\n\xff"), "\"a\\u{1b}[2J\\r\\n\u{fffd}\"");
        assert_eq!(quote(&[b'x'; 80]), format!("\"{}\"", "x".repeat(80)));
        assert_eq!(quote(&[b'x'; 81]), format!("\"{}...\"", "x".repeat(80)));
        assert_eq!(quote(&vec![b'x'; 1 << 20]), format!("\"{}...\"", "x".repeat(80)));
    }

    #[test]
    fn errors_are_named_in_words() {
        let os = io::Error::from_raw_os_error;
        assert_eq!(of_io(&os(nix::libc::ECONNREFUSED)), "connection refused");
        assert_eq!(of_io(&os(nix::libc::EHOSTUNREACH)), "host unreachable");
        assert_eq!(of_io(&os(nix::libc::EMFILE)), "too many open files");
        assert_eq!(of_io(&io::Error::other("a reason of its own")), "a reason of its own");
    }
}
