//! `palierctl top`, printed and live.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::fake::{Fake, run};
use crate::fixture::{status_line, trouble};

/// A control whose dataplane forwards more with each question.
fn busy(dir: &Path) -> Fake {
    let turn = AtomicU64::new(1);
    Fake::serve(&dir.join("control-l4.sock"), move |request| {
        if request.get("status").is_some() {
            return status_line(trouble());
        }
        assert_eq!(request, &json!({ "dataplane": { "stats": {} } }));
        let turn = turn.fetch_add(1, Relaxed);
        let stats = api::Stats {
            generation: Some(42),
            uptime_ms: 1_000 * turn,
            counters: [("received".into(), 1_000_000 * turn)].into(),
            ..api::Stats::default()
        };
        json!({ "dataplane": { "stats": stats } }).to_string()
    })
}

#[test]
fn a_frame_can_be_printed() {
    let dir = tempfile::tempdir().unwrap();
    let _control = busy(dir.path());
    let (code, text, errors) = run(dir.path(), &["top", "--once"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(
        text.starts_with(
            "palier  l4-1 of par1  generation 42  up 2s  BGP 1 of 2, BFD 1 of 1, 1 route\n"
        ),
        "{text}"
    );
    assert!(text.contains("! web 2001:db8::c633:6401 is not announced"), "{text}");
    assert!(text.contains("k") && !text.contains("quit"), "rates, and no keys: {text}");
}

#[test]
fn without_a_terminal_or_for_programs_it_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["top"]).0, 2);
    assert_eq!(run(dir.path(), &["top", "--json"]).0, 2);
}

/// Exit code, and what a terminal saw of a `top` that is ended, by keys or its process id, once it has
/// shown `par1`.
fn live(dir: &Path, end: impl FnOnce(&mut dyn Write, Pid)) -> (i32, String) {
    let (program, pid) = (env!("CARGO_BIN_EXE_palierctl"), dir.join("pid"));
    let line = format!(
        "stty cols 100 rows 30; echo $$ > {}; exec {program} --run-dir {} top",
        pid.display(),
        dir.display()
    );
    // A terminal of its own, whose output comes to us; not for ever, whatever goes wrong.
    let mut child = Command::new("timeout")
        .args(["60", "script", "-qefc", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    let mut end = Some(end);
    while let Ok(read @ 1..) = screen.read(&mut chunk) {
        seen.extend_from_slice(&chunk[..read]);
        if String::from_utf8_lossy(&seen).contains("par1")
            && let Some(end) = end.take()
        {
            let pid = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
            end(&mut keys, Pid::from_raw(pid));
        }
    }
    (child.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&seen).into_owned())
}

/// Types.
fn keys(text: &'static str) -> impl FnOnce(&mut dyn Write, Pid) {
    move |keys, _| keys.write_all(text.as_bytes()).unwrap()
}

/// Enters the alternate screen, and leaves it.
const SCREEN: [&str; 2] = ["\u{1b}[?1049h", "\u{1b}[?1049l"];

#[test]
fn q_ends_it_and_gives_the_terminal_back() {
    let dir = tempfile::tempdir().unwrap();
    let _control = busy(dir.path());
    let (code, seen) = live(dir.path(), keys("\tq"));
    assert_eq!(code, 0);
    for part in SCREEN {
        assert!(seen.contains(part), "{seen:?}");
    }
}

#[test]
fn a_signal_ends_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let _control = busy(dir.path());
    let (code, seen) = live(dir.path(), |_, pid| kill(pid, Signal::SIGTERM).unwrap());
    assert_eq!(code, 0, "{seen:?}");
    for part in SCREEN {
        assert!(seen.contains(part), "{seen:?}");
    }
}

#[test]
fn it_goes_on_without_control_and_dataplane() {
    let dir = tempfile::tempdir().unwrap();
    // `par1` in the name of the folder is all that is shown of them.
    let nobody = dir.path().join("par1");
    std::fs::create_dir(&nobody).unwrap();
    let (code, seen) = live(&nobody, keys("q"));
    assert!(code == 0 && seen.contains("away"), "{seen:?}");
}
