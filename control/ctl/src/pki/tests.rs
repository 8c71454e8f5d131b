use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

use super::*;

/// A moment in 2026.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

struct Folder(TempDir);

impl Folder {
    /// One with a CA.
    fn with_ca() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        init(&folder.dir(), "par1", now()).unwrap();
        folder
    }

    /// One that `init` has to make.
    fn dir(&self) -> PathBuf {
        self.0.path().join("pki")
    }

    fn issue(&self, node: &str, days: u32) -> Result<Made, Error> {
        issue(&self.dir(), node, &self.dir(), days, now())
    }

    fn files(&self) -> Vec<(String, u32)> {
        let mut files: Vec<_> = fs::read_dir(self.dir())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                (entry.file_name().into_string().unwrap(), mode)
            })
            .collect();
        files.sort();
        files
    }
}

/// What a node that believes the CAs of `ca` thinks of a certificate, as asker and as asked.
fn judge(ca: &Path, certificate: &Path, node: &str, at: SystemTime) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for root in file::certificates(ca).unwrap() {
        roots.add(root).unwrap();
    }
    let (roots, provider) = (Arc::new(roots), Arc::new(ring::default_provider()));
    let own = file::certificates(certificate).unwrap().remove(0);
    let at = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    let name = ServerName::try_from(node.to_owned()).unwrap();
    WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
        .build()
        .unwrap()
        .verify_server_cert(&own, &[], &name, &[], at)?;
    WebPkiClientVerifier::builder_with_provider(roots, provider)
        .build()
        .unwrap()
        .verify_client_cert(&own, &[], at)?;
    Ok(())
}

#[test]
fn nodes_accept_what_is_issued_for_as_long_as_it_holds_and_for_its_name_alone() {
    let folder = Folder::with_ca();
    let made = folder.issue("l4-1", 10).unwrap();
    let ca = folder.dir().join("ca.pem");
    let judged = |node: &str, at| judge(&ca, &made.certificate, node, at).is_ok();
    assert!(judged("l4-1", now()));
    assert!(judged("l4-1", now() - Duration::from_secs(1800)), "a clock that is behind");
    assert!(judged("l4-1", now() + DAY * 10 - Duration::from_secs(1)));
    assert!(!judged("l4-1", now() + DAY * 10 + Duration::from_secs(1)));
    assert!(!judged("l4-1", now() - DAY));
    assert!(!judged("l4-2", now()));

    let other = Folder::with_ca();
    assert!(judge(&other.dir().join("ca.pem"), &made.certificate, "l4-1", now()).is_err());
}

#[test]
fn keys_are_their_owners_alone() {
    let folder = Folder::with_ca();
    folder.issue("l4-1", NODE_DAYS).unwrap();
    let files = [("ca.key", 0o600), ("ca.pem", 0o644), ("l4-1.key", 0o600), ("l4-1.pem", 0o644)];
    assert_eq!(folder.files(), files.map(|(name, mode)| (name.to_owned(), mode)));
    let dir = fs::metadata(folder.dir()).unwrap().permissions().mode();
    assert_eq!(dir & 0o7777, 0o700);
}

#[test]
fn a_ca_is_never_overwritten() {
    for remaining in ["ca.pem", "ca.key"] {
        let folder = Folder::with_ca();
        let before = fs::read(folder.dir().join(remaining)).unwrap();
        let other = if remaining == "ca.pem" { "ca.key" } else { "ca.pem" };
        fs::remove_file(folder.dir().join(other)).unwrap();
        let error = init(&folder.dir(), "par1", now()).unwrap_err();
        assert!(matches!(&error, Error::Exists(path) if path.ends_with(remaining)), "{error}");
        assert_eq!(fs::read(folder.dir().join(remaining)).unwrap(), before);
        assert_eq!(folder.files().len(), 1);
    }
}

#[test]
fn what_appears_meanwhile_is_not_overwritten_either() {
    let folder = Folder::with_ca();
    let path = folder.dir().join("ca.key");
    let before = fs::read(&path).unwrap();
    let error = file::create(&path, "another", Mode::Secret).unwrap_err();
    assert!(matches!(error, Error::Exists(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(folder.files().len(), 2, "nothing is left beside it");
}

#[test]
fn issuing_again_renews() {
    let folder = Folder::with_ca();
    folder.issue("l4-1", 1).unwrap();
    let first = fs::read(folder.dir().join("l4-1.key")).unwrap();
    let second = folder.issue("l4-1", 700).unwrap();
    assert_ne!(fs::read(folder.dir().join("l4-1.key")).unwrap(), first);
    let later = now() + DAY * 699;
    judge(&folder.dir().join("ca.pem"), &second.certificate, "l4-1", later).unwrap();
    assert_eq!(folder.files().len(), 4);
}

#[test]
fn a_node_gets_its_files_in_a_folder_of_their_own_if_asked() {
    let folder = Folder::with_ca();
    let out = folder.0.path().join("for/l4-1");
    let made = issue(&folder.dir(), "l4-1", &out, NODE_DAYS, now()).unwrap();
    assert_eq!((made.certificate, made.key), (out.join("l4-1.pem"), out.join("l4-1.key")));
    assert_eq!(made.expires, "2028-09-21");
    assert_eq!(folder.files().len(), 2);
}

#[test]
fn no_certificate_outlives_its_ca() {
    let folder = Folder::with_ca();
    let ca = &show(&folder.dir(), now()).unwrap()[0];
    assert_eq!(folder.issue("l4-1", 36_500).unwrap().expires, ca.expires);

    let late = now() + DAY * (CA_DAYS + 1);
    let error = issue(&folder.dir(), "l4-1", &folder.dir(), 1, late).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    assert!(error.to_string().ends_with(&format!("expired on {}", ca.expires)), "{error}");
}

#[test]
fn names_that_no_certificate_can_bear_are_refused() {
    let folder = Folder::with_ca();
    for name in ["", "rack 7", "l4-", "42", "192.0.2.1", "2001:db8::1", "../ca", "é", "*", "l4-1."]
    {
        let error = folder.issue(name, 1).unwrap_err();
        assert!(matches!(error, Error::Name(_)), "{name}: {error}");
    }
    for name in ["l4-1", "L4_1", "l4-1.par1", "4a"] {
        folder.issue(name, 1).unwrap();
    }
    for site in ["", "a\nb", &"x".repeat(51)] {
        let error = init(&folder.0.path().join("other"), site, now()).unwrap_err();
        assert!(matches!(error, Error::Site(_)), "{error}");
    }
}

#[test]
fn a_folder_without_a_ca_or_with_half_of_one_is_named() {
    let folder = Folder::with_ca();
    let other = Folder::with_ca();
    fs::copy(other.dir().join("ca.key"), folder.dir().join("ca.key")).unwrap();
    let error = folder.issue("l4-1", 1).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");

    fs::write(folder.dir().join("ca.key"), "no key").unwrap();
    let error = folder.issue("l4-1", 1).unwrap_err();
    assert!(matches!(error, Error::Malformed { what: "key", .. }), "{error}");

    fs::remove_file(folder.dir().join("ca.key")).unwrap();
    let error = folder.issue("l4-1", 1).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn of_several_cas_the_one_signs_whose_key_is_there() {
    let (old, new) = (Folder::with_ca(), Folder::with_ca());
    let both = [&old, &new].map(|f| fs::read_to_string(f.dir().join("ca.pem")).unwrap()).concat();
    fs::write(new.dir().join("ca.pem"), both).unwrap();
    let made = new.issue("l4-1", 1).unwrap();
    judge(&new.dir().join("ca.pem"), &made.certificate, "l4-1", now()).unwrap();
    assert!(judge(&old.dir().join("ca.pem"), &made.certificate, "l4-1", now()).is_err());
}

#[test]
fn all_certificates_are_listed_with_what_is_left_of_them() {
    let folder = Folder::with_ca();
    for (node, days) in [("l4-2", 30), ("l4-1", 1)] {
        folder.issue(node, days).unwrap();
    }
    fs::write(folder.dir().join("notes.txt"), "not a certificate").unwrap();
    let at = now() + DAY + Duration::from_secs(60);
    let listed = show(&folder.dir(), at).unwrap();
    let row = |listed: &Listed| (listed.ca, listed.names.join(" "), listed.days_left);
    assert_eq!(
        listed.iter().map(row).collect::<Vec<_>>(),
        [
            (true, "palier par1 CA".to_owned(), i64::from(CA_DAYS) - 2),
            (false, "l4-1".to_owned(), -1),
            (false, "l4-2".to_owned(), 28),
        ]
    );
    assert_eq!(listed[2].expires, "2026-10-21");
    assert_eq!(listed[2].file, folder.dir().join("l4-2.pem"));

    fs::write(folder.dir().join("broken.pem"), "no certificate").unwrap();
    let error = show(&folder.dir(), at).unwrap_err().to_string();
    assert!(error.ends_with("broken.pem holds no certificate"), "{error}");
}

#[test]
fn it_is_said_what_goes_where() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let made = init(&folder.dir(), "par1", now()).unwrap();
    let said = made.notes.join("\n");
    assert!(said.contains("ca.pem: to the `pki` folder of every node"), "{said}");
    assert!(said.contains("ca.key: stays here"), "{said}");
    let said = folder.issue("l4-1", 1).unwrap().notes.join("\n");
    assert!(said.contains("l4-1.key: to the `pki` folder of l4-1"), "{said}");
    assert!(said.contains("ca.key: not to any node"), "{said}");
}
