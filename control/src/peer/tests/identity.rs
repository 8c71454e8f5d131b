//! What an identity is made of, and what is wrong with those that are none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use super::site::{Ca, Pair, Pki, expired};
use crate::peer::{IdentityError, Unfit};

/// What is said of a folder with this certificate of l4-1.
fn refused(ca: &Ca, pair: &Pair) -> String {
    let pki = Pki::new(&[&ca.pem]);
    pki.put("l4-1", pair);
    let text = pki.load("l4-1").unwrap_err().to_string();
    text.replace(&format!("{}/", pki.path().display()), "")
}

#[test]
fn a_certificate_that_others_would_refuse_is_refused_at_once() {
    let (ca, other) = (Ca::new(), Ca::new());
    for (pair, says) in [
        (ca.issue("l4-2"), "l4-1.pem: certificate is for l4-2, not l4-1"),
        (other.issue("l4-1"), "l4-1.pem: certificate is not of this site's CA"),
        (ca.issue_with("l4-1", expired), "l4-1.pem: certificate has expired"),
        (
            ca.issue_with("l4-1", |params| params.not_before = rcgen::date_time_ymd(4000, 1, 1)),
            "l4-1.pem: certificate is not valid yet",
        ),
        (
            Pair { key: ca.issue("l4-1").key, ..ca.issue("l4-1") },
            "l4-1.pem and its key cannot be used: keys may not be consistent: KeyMismatch",
        ),
        (
            Pair { certificate: String::new(), ..ca.issue("l4-1") },
            "l4-1.pem holds no certificate: no items found",
        ),
        (
            Pair { key: "no key".into(), ..ca.issue("l4-1") },
            "l4-1.key holds no key: no items found",
        ),
    ] {
        assert_eq!(refused(&ca, &pair), says);
    }
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    let ca = Ca::new();
    let pki = Pki::new(&[&ca.pem]);
    pki.put("l4-1", &ca.issue("l4-1"));
    let key = pki.path().join("l4-1.key");
    for (mode, good) in
        [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o602, false)]
    {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        match pki.load("l4-1") {
            Ok(_) => assert!(good, "{mode:o}"),
            Err(IdentityError::Exposed { mode: found, .. }) => {
                assert!(!good, "{mode:o}");
                assert_eq!(found, mode);
            }
            Err(error) => panic!("{mode:o}: {error}"),
        }
    }
}

#[test]
fn each_file_that_is_missing_is_named() {
    let ca = Ca::new();
    for missing in ["ca.pem", "l4-1.pem", "l4-1.key"] {
        let pki = Pki::new(&[&ca.pem]);
        pki.put("l4-1", &ca.issue("l4-1"));
        fs::remove_file(pki.path().join(missing)).unwrap();
        let error = pki.load("l4-1").unwrap_err().to_string();
        let path = pki.path().join(missing);
        assert!(error.contains(&format!("cannot read {}: No such", path.display())), "{error}");
    }
}

#[test]
fn a_name_that_no_certificate_can_bear_is_refused_before_any_file_is_read() {
    let pki = Pki::new(&[]);
    for name in ["rack 7", "../l4-1", "192.0.2.1"] {
        let error = pki.load(name).unwrap_err();
        assert!(matches!(error, IdentityError::Name(_)), "{error}");
        assert!(error.to_string().contains(&format!("{name:?} is none")), "{error}");
    }
}

#[test]
fn its_end_is_seen_before_it_comes() {
    let ca = Ca::new();
    let pki = Pki::new(&[&ca.pem]);
    let end = |params: &mut rcgen::CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2200, 1, 1);
    };
    pki.put("l4-1", &ca.issue_with("l4-1", end));
    let identity = pki.load("l4-1").unwrap();
    let years = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(n * 365 * 24 * 3600);
    assert_eq!(identity.verify_at(SystemTime::now()), Ok(()));
    assert_eq!(identity.verify_at(years(229)), Ok(()));
    assert_eq!(identity.verify_at(years(231)), Err(Unfit::Expired));
}

#[test]
fn several_cas_are_believed_while_a_site_changes_from_one_to_another() {
    let (old, new) = (Ca::new(), Ca::new());
    let pki = Pki::new(&[&old.pem, &new.pem]);
    for ca in [old, new] {
        pki.put("l4-1", &ca.issue("l4-1"));
        pki.load("l4-1").unwrap();
    }
}
