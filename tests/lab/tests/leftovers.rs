//! Nothing is left of a lab, however its process ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lab::Lab;

/// Set in the child: it starts a lab, tells a name of it, and waits to be ended.
const CHILD: &str = "LAB_THAT_WAITS";
const SOON: Duration = Duration::from_secs(20);

fn exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

#[test]
fn a_lab_in_a_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let lab = Lab::new().l4(0).l7(1).start();
    println!("\nnamespace {}", lab.l7(1).namespace().name());
    loop {
        std::thread::park();
    }
}

/// Starts this test program anew, for the function above, and returns the name it tells.
fn child() -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "a_lab_in_a_child", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let name =
        lines.map(Result::unwrap).find_map(|line| line.strip_prefix("namespace ").map(Into::into));
    (child, name.expect("the child's lab comes up"))
}

#[test]
fn a_lab_goes_when_it_is_dropped_and_when_its_test_panics() {
    let lab = Lab::new().l4(0).l7(1).start();
    let name = lab.l7(1).namespace().name().to_owned();
    assert!(exists(&name));
    let panic = std::thread::spawn(move || {
        let _lab = lab;
        panic!("a test fails");
    });
    assert!(panic.join().is_err());
    assert!(!exists(&name));
}

#[test]
fn a_lab_goes_on_ctrl_c() {
    for signal in ["INT", "TERM"] {
        let (mut child, name) = child();
        assert!(exists(&name));
        let kill =
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert!(!child.wait().unwrap().success());
        assert!(!exists(&name));
    }
}

#[test]
fn what_a_killed_lab_left_goes_when_the_next_starts() {
    let (mut child, name) = child();
    child.kill().unwrap();
    child.wait().unwrap();
    // Another test's lab may have removed it already.
    let lab = Lab::new().l4(0).l7(1).start();
    lab.wait_until("the old lab is gone", SOON, || !exists(&name));
}
