//! Certificates: whom they name, and what is wrong with them in an operator's words.

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use thiserror::Error as ThisError;

use super::Directory;

/// What is wrong with a certificate.
#[derive(Clone, Debug, ThisError, PartialEq)]
pub enum Unfit {
    /// It was signed by somebody else.
    #[error("certificate is not of this site's CA")]
    Issuer,
    /// It names another node.
    #[error("certificate is for {}, not {expected}", list(presented))]
    Name {
        /// Who it names.
        presented: Vec<String>,
        /// Who was expected.
        expected: String,
    },
    /// It names nobody who may speak here.
    #[error("certificate is for {}, which is no other node that speaks here", list(.0))]
    Stranger(Vec<String>),
    /// It names more than one node, so that it is not known which of them speaks.
    #[error("certificate is for more than one node: {}", list(.0))]
    Ambiguous(Vec<String>),
    /// Its time is over.
    #[error("certificate has expired")]
    Expired,
    /// Its time has not come, or a clock is wrong.
    #[error("certificate is not valid yet")]
    Early,
    /// None came.
    #[error("no certificate")]
    Absent,
    /// Something else.
    #[error("certificate is not accepted: {0}")]
    Other(Error),
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(" and ") }
}

impl Unfit {
    /// What TLS found wrong with a certificate; nothing if the error is not about one.
    pub(super) fn of(error: &Error) -> Option<Self> {
        use CertificateError as C;
        let certificate = match error {
            Error::InvalidCertificate(certificate) => certificate,
            Error::NoCertificatesPresented => return Some(Self::Absent),
            Error::InvalidCertRevocationList(_) => return Some(Self::Other(error.clone())),
            // The enum is open: all others are about the conversation.
            _ => return None,
        };
        Some(match certificate {
            // A signature that is not good is what a CA of the same name with another key leaves.
            C::UnknownIssuer | C::BadSignature => Self::Issuer,
            C::Expired | C::ExpiredContext { .. } => Self::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => Self::Early,
            C::NotValidForNameContext { expected, presented } => Self::Name {
                presented: presented.iter().map(|name| plain(name)).collect(),
                expected: expected.to_str().into_owned(),
            },
            // The enum is open.
            _ => Self::Other(error.clone()),
        })
    }
}

/// `l4-1` of `DnsName("l4-1")`, which is how names are listed in errors.
fn plain(name: &str) -> String {
    let inner = name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
    inner.unwrap_or(name).to_owned()
}

/// The name of a node as a certificate bears it: a DNS name. `None` if it cannot be one, as with
/// spaces, or at a hyphen's end.
pub(super) fn server_name(node: &str) -> Option<ServerName<'static>> {
    Some(ServerName::DnsName(DnsName::try_from(node.to_owned()).ok()?))
}

/// Which other node of the directory a certificate is of. That the site's CA signed it was checked
/// before.
///
/// # Errors
/// It is of none, or of more than one.
pub(super) fn bearer(
    certificate: &CertificateDer<'_>,
    directory: &Directory,
) -> Result<String, Unfit> {
    let parsed = ParsedCertificate::try_from(certificate).map_err(Unfit::Other)?;
    let valid_for = |node: &str| match server_name(node) {
        Some(name) => verify_server_name(&parsed, &name),
        None => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
    };

    let bears = |name: &&str| valid_for(name).is_ok();
    let own = directory.node.as_str();
    let mut nodes: Vec<_> = directory.peers.iter().map(|peer| peer.name.as_str()).collect();
    nodes.push(own);
    let borne: Vec<_> = nodes.into_iter().filter(bears).map(str::to_owned).collect();
    match borne.as_slice() {
        [one] if one != own => Ok(one.clone()),
        // Its own name: somebody copied this node's key.
        [_] => Err(Unfit::Stranger(borne)),
        [] => Err(match valid_for(own).err().as_ref().and_then(Unfit::of) {
            Some(Unfit::Name { presented, .. }) => Unfit::Stranger(presented),
            Some(_) | None => Unfit::Stranger(Vec::new()),
        }),
        [_, _, ..] => Err(Unfit::Ambiguous(borne)),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::peer::Peer;

    fn directory() -> Directory {
        let peer = |name: &str| Peer {
            role: crate::args::Role::L4,
            name: name.into(),
            addresses: vec!["127.0.0.1:1".parse().unwrap()],
        };
        let peers = ["l4-2", "l4-3", "rack 7"].map(peer).into();
        Directory { node: "l4-1".into(), peers }
    }

    fn bearer_of(names: &[&str]) -> Result<String, String> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        bearer(certificate.der(), &directory()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_certificate_is_of_the_node_that_it_names() {
        assert_eq!(bearer_of(&["l4-2"]), Ok("l4-2".into()));
        assert_eq!(bearer_of(&["L4-3", "elsewhere"]), Ok("l4-3".into()));
    }

    #[test]
    fn a_certificate_of_anybody_else_is_refused() {
        let stranger = |who: &str| {
            Err(format!("certificate is for {who}, which is no other node that speaks here"))
        };
        assert_eq!(bearer_of(&["l4-9"]), stranger("l4-9"));
        assert_eq!(bearer_of(&["l7-1", "l7-2"]), stranger("l7-1 and l7-2"));
        assert_eq!(bearer_of(&["l4-2.example.org"]), stranger("l4-2.example.org"));
        assert_eq!(bearer_of(&[]), stranger("nobody"));
    }

    #[test]
    fn this_nodes_own_name_is_refused() {
        assert!(bearer_of(&["l4-1"]).unwrap_err().contains("is for l4-1, which is no other"));
    }

    #[test]
    fn a_certificate_of_two_nodes_is_refused() {
        let error = Err("certificate is for more than one node: l4-2 and l4-3".into());
        assert_eq!(bearer_of(&["l4-3", "l4-2"]), error);
        assert!(bearer_of(&["l4-2", "l4-1"]).unwrap_err().contains("more than one"));
    }

    #[test]
    fn names_that_dns_does_not_have_are_no_names() {
        for name in ["l4-1", "l4_1", "L4", "l4-1.par1", "0l"] {
            assert!(server_name(name).is_some(), "{name}");
        }
        for name in ["", "rack 7", "l4-", "-l4", "l4..1", "192.0.2.1", "é", "../l4", "*"] {
            assert!(server_name(name).is_none(), "{name}");
        }
    }
}
