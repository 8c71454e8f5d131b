//! Site files and secrets on disk: who may read them, and what is said if they cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use config::{Config, HostSecrets, ReadError, SecretError, Secrets, SiteFile};
use tempfile::TempDir;

use crate::KEY;
use crate::example::EXAMPLE;

/// A folder with files of these names, texts and modes.
fn folder(files: &[(&str, &str, u32)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, mode) in files {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
    folder
}

/// The example with another hash key.
fn keyed(hash_key: &str) -> String {
    let text = EXAMPLE.replace("{ file = \"/etc/palier/hash.key\" }", hash_key);
    assert_ne!(text, EXAMPLE);
    text
}

fn key_file(path: &Path) -> String {
    keyed(&format!("{{ file = \"{}\" }}", path.display()))
}

#[track_caller]
fn refused(path: &Path) -> Vec<String> {
    let lines = SiteFile::read(path).unwrap_err().lines();
    assert!(!lines.concat().contains(KEY), "{lines:?}");
    lines
}

#[test]
fn a_file_is_read_with_the_secret_that_it_names() {
    let folder = folder(&[("hash.key", &format!("{KEY}\n"), 0o640)]);
    let (site, key) = (folder.path().join("site.toml"), folder.path().join("hash.key"));
    let text = key_file(&key);
    fs::write(&site, &text).unwrap();
    fs::set_permissions(&site, fs::Permissions::from_mode(0o644)).unwrap();
    let read = SiteFile::read(&site).unwrap();
    assert_eq!((&read.path, &read.text), (&site, &text));
    assert_eq!(read.config.site.hash_key, KEY.parse().unwrap());
}

#[test]
fn a_secret_in_the_file_itself_is_for_files_that_not_everybody_reads() {
    let text = keyed(&format!("\"{KEY}\""));
    let folder = folder(&[("open.toml", &text, 0o644), ("closed.toml", &text, 0o640)]);
    let open = folder.path().join("open.toml");
    let expected = format!(
        "{}:4:12: site: hash_key: every user can read this file: `chmod o-r` it, or put the secret into a file of its own, {{ file = \"/etc/palier/...\" }}",
        open.display()
    );
    assert_eq!(refused(&open), [expected]);
    let closed = SiteFile::read(&folder.path().join("closed.toml")).unwrap();
    assert!(!format!("{closed:?} {:?}", closed.config).contains(KEY));
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    let long = format!("{KEY}{}", " ".repeat(4096));
    let folder = folder(&[
        ("open.key", KEY, 0o644),
        ("short.key", &KEY[1..], 0o600),
        ("long.key", &long, 0o600),
    ]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("binary.key"), [0xff, 0xfe]).unwrap();
    fs::set_permissions(at("binary.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let place = |column: usize| format!("{}:4:{column}: site: hash_key", at("site.toml").display());
    for (file, expected) in [
        (at("open.key"), format!("{}.file: every user can read KEY: `chmod o-r` it", place(21))),
        (
            at("absent.key"),
            format!("{}.file: cannot read KEY: No such file or directory (os error 2)", place(21)),
        ),
        (folder.path().into(), format!("{}.file: KEY is not a file", place(21))),
        (
            at("short.key"),
            format!(
                "{}: a hash key is 32 hexadecimal digits (`openssl rand -hex 16` makes one)",
                place(12)
            ),
        ),
        (
            at("long.key"),
            format!(
                "{}.file: KEY is not a secret: it is no text, or longer than 4096 bytes",
                place(21)
            ),
        ),
        (
            at("binary.key"),
            format!(
                "{}.file: KEY is not a secret: it is no text, or longer than 4096 bytes",
                place(21)
            ),
        ),
    ] {
        fs::write(at("site.toml"), key_file(&file)).unwrap();
        let expected = expected.replace("KEY", &file.display().to_string());
        assert_eq!(refused(&at("site.toml")), [expected]);
    }
}

#[test]
fn credentials_are_those_of_systemd() {
    let folder = folder(&[("hash", KEY, 0o400)]);
    let text = keyed("{ credential = \"hash\" }");
    let with = HostSecrets::new(0o644, Some(folder.path().into()));
    assert_eq!(Config::parse(&text, &with).unwrap().site.hash_key, KEY.parse().unwrap());
    let without = HostSecrets::new(0o644, None);
    assert_eq!(
        Config::parse(&text, &without).unwrap_err().to_string(),
        "4:27: site: hash_key.credential: this process has no credentials: start it by systemd with LoadCredential=hash:FILE, or name a file"
    );
    assert!(matches!(with.credential("other"), Err(SecretError::Unreadable { .. })));
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_line() {
    let folder = folder(&[("long.toml", &"#".repeat((16 << 20) + 1), 0o600)]);
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let shown = |name: &str| at(name).display().to_string();
    assert_eq!(
        refused(&at("absent.toml")),
        [format!("cannot read {}: No such file or directory (os error 2)", shown("absent.toml"))]
    );
    assert_eq!(
        refused(&at("long.toml")),
        [format!("{} is longer than 16 MiB", shown("long.toml"))]
    );
    fs::write(at("binary.toml"), b"[site]\n\xff").unwrap();
    assert_eq!(
        refused(&at("binary.toml")),
        [format!("{} is not a text in UTF-8: byte 7 is wrong", shown("binary.toml"))]
    );
    assert!(matches!(SiteFile::read(folder.path()), Err(ReadError::Unreadable { .. })));
}
