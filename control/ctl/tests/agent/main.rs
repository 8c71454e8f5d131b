//! `palierctl agent` as a load balancer meets it, on real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use process::{Agent, once};

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(30);

/// Asks until the answer is this one.
fn wait_for(agent: &Agent, answer: &str) {
    let deadline = Instant::now() + LONG;
    loop {
        let line = agent.ask();
        if line == answer {
            return;
        }
        assert!(Instant::now() < deadline, "{line:?} instead of {answer:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_file_is_read_for_each_connection_and_a_line_always_ends() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent");
    let agent = Agent::start(&["--file", file.to_str().unwrap()]);
    assert_eq!(agent.ask(), "up\n", "no file");
    for (content, line) in
        [("MAINT", "MAINT\n"), ("up 50%\r\nmore\n", "up 50%\n"), ("drain\n", "drain\n")]
    {
        std::fs::write(&file, content).unwrap();
        assert_eq!(agent.ask(), line);
    }
    std::fs::write(&file, "").unwrap();
    let nothing = agent.ask();
    assert!(nothing.starts_with("# ") && nothing.ends_with("is empty\n"), "{nothing}");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(agent.ask(), "up\n");
}

#[test]
fn a_client_that_speaks_first_gets_the_whole_line() {
    let agent = Agent::start(&["--file", "/nonexistent"]);
    for _ in 0..50 {
        // Unread bytes must not turn the end of the connection into a reset.
        let mut client = agent.connect();
        client.write_all(&[b'x'; 10_000]).unwrap();
        let mut line = String::new();
        client.read_to_string(&mut line).unwrap();
        assert_eq!(line, "up\n");
    }
}

#[test]
fn an_endless_sender_is_cut_off_while_others_are_served() {
    let agent = Agent::start(&["--file", "/nonexistent"]);
    let mut sender = agent.connect();
    sender.set_write_timeout(Some(LONG)).unwrap();
    let chunk = vec![b'x'; 64 << 10];
    let mut sent = 0_u64;
    while sender.write_all(&chunk).is_ok() {
        assert_eq!(agent.ask(), "up\n");
        sent += chunk.len() as u64;
        assert!(sent < 1 << 30, "nobody stops it");
    }
}

#[test]
fn clients_that_neither_read_nor_close_do_not_take_all_places() {
    let agent = Agent::start(&["--file", "/nonexistent"]);
    // More than there are places.
    let silent: Vec<_> = (0..200).map(|_| agent.connect()).collect();
    assert_eq!(agent.ask(), "up\n");
    for mut client in silent {
        let mut line = String::new();
        client.read_to_string(&mut line).unwrap();
        assert_eq!(line, "up\n", "all were answered");
    }
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let agent = Agent::start_with_descriptors(24, &["--file", "/nonexistent"]);
    let silent: Vec<_> = (0..30).map(|_| agent.connect()).collect();
    // Until some of them were let go, nobody else is let in.
    let mut late = agent.connect();
    let mut line = String::new();
    late.read_to_string(&mut line).unwrap();
    assert_eq!(line, "up\n");
    // A busy loop would have taken a tick each 10 ms of the two seconds or more.
    let ticks = agent.cpu_ticks();
    assert!(ticks < 50, "{ticks} ticks of CPU time");
    drop(silent);
}

#[test]
fn who_is_not_allowed_hears_nothing_and_is_counted() {
    let flags = ["--file", "/nonexistent", "--allow", "192.0.2.0/24", "--allow", "2001:db8::/32"];
    let agent = Agent::start(&flags);
    for _ in 0..3 {
        assert_eq!(agent.ask(), "");
    }
    let (code, log) = agent.stop();
    assert_eq!(code, 0);
    let refusals = log.lines().filter(|line| line.contains("refused 127.0.0.1")).count();
    assert_eq!(refusals, 1, "logged once a minute: {log}");
    assert!(log.contains("answered 0 connections, refused 3"), "{log}");
}

#[test]
fn an_ipv4_client_of_a_socket_of_both_families_is_known_by_its_ipv4_address() {
    let flags = ["--file", "/nonexistent", "--allow", "127.0.0.0/8"];
    let agent = Agent::start_on("[::]:0", &flags);
    assert_eq!(agent.ask(), "up\n");
}

#[test]
fn a_program_decides_if_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("ill");
    let script = format!("test ! -e {}", flag.display());
    let agent =
        Agent::start(&["--interval", "20ms", "--command", "/bin/sh", "-c", script.as_str()]);
    assert_eq!(agent.ask(), "up\n", "it has run before anybody was answered");
    std::fs::write(&flag, "").unwrap();
    wait_for(&agent, "down\n");
    std::fs::remove_file(&flag).unwrap();
    wait_for(&agent, "up\n");
}

#[test]
fn the_end_takes_a_running_program_along() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    // The first run is short, the second one hangs.
    let script =
        format!("if test -e {0}; then echo $$ > {0}2; sleep 1000; fi; : > {0}", pid.display());
    let agent = Agent::start(&[
        "--interval",
        "10ms",
        "--timeout",
        "1h",
        "--command",
        "/bin/sh",
        "-c",
        &script,
    ]);
    let second = dir.path().join("pid2");
    let deadline = Instant::now() + LONG;
    let pid: i32 = loop {
        let text = std::fs::read_to_string(&second).unwrap_or_default();
        if let Ok(pid) = text.trim().parse() {
            break pid;
        }
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(agent.stop().0, 0);
    let alive = || {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    };
    while alive() {
        assert!(Instant::now() < deadline, "process {pid} lives");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_weight_by_load_is_added() {
    let line = once(&["--file", "/nonexistent", "--weight-by-load", "--least-weight", "100"]);
    assert_eq!(line, (0, "up 100%\n".into()));
    let line = once(&["--weight-by-load", "--command", "/bin/echo", "up 7%"]);
    assert_eq!(line, (0, "up 7%\n".into()));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let agent = Agent::start(&["--file", "/nonexistent"]);
    let address = agent.address().to_string();
    let output = process::command(&["--listen", &address]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains(&format!("{address}: Address already in use")), "{errors}");
}

#[test]
fn half_closed_clients_are_answered_too() {
    let agent = Agent::start(&["--file", "/nonexistent"]);
    let mut client = agent.connect();
    client.shutdown(Shutdown::Write).unwrap();
    let mut line = String::new();
    client.read_to_string(&mut line).unwrap();
    assert_eq!(line, "up\n");
}
