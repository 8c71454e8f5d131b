//! `palierctl pki`.

use std::path::Path;

use serde_json::Value;

use crate::fake::run;

#[test]
fn a_site_gets_its_ca_and_a_node_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    let pki = pki.to_str().unwrap();
    let command = |arguments: &[&str]| run(dir.path(), &[&["pki"], arguments].concat());
    let (code, text, errors) = command(&["init", pki, "--site", "par1"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(text.contains("ca.pem"), "{text}");
    let (code, _, errors) = command(&["init", pki, "--site", "par1"]);
    assert!(code == 1 && errors.contains("ca."), "never written over: {errors}");

    let issue = ["issue", "l4-1", "--dir", pki, "--days", "20", "--json"];
    let (code, text, errors) = command(&issue);
    assert_eq!((code, errors.as_str()), (0, ""));
    let made: Value = serde_json::from_str(&text).unwrap();
    assert!(Path::new(made["key"].as_str().unwrap()).is_file());

    let (code, text, _) = command(&["show", pki]);
    assert_eq!((code, text.lines().count()), (0, 3), "{text}");
    let node: Vec<_> = text.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!((node[0], node[1], node[3]), ("l4-1", "node", "19"), "{text}");
    let (_, text, _) = command(&["show", pki, "--json"]);
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&listed[0]["ca"], &listed[1]["names"][0]), (&true.into(), &"l4-1".into()));
}
