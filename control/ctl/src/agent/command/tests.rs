use std::time::Instant;

use super::*;

const LONG: Duration = Duration::from_secs(30);

async fn shell(script: &str, limit: Duration) -> String {
    words(&["/bin/sh".into(), "-c".into(), script.into()], limit).await
}

#[tokio::test]
async fn exit_codes_and_the_first_line_are_words() {
    for (script, expected) in [
        ("exit 0", "up"),
        ("exit 1", "down"),
        ("exit 3", "down # /bin/sh: exit status: 3"),
        ("kill -9 $$", "down # /bin/sh: signal: 9 (SIGKILL)"),
        ("echo MAINT; exit 1", "MAINT"),
        ("echo; echo up; exit 1", "down"),
        ("printf 'up 50%%'", "up 50%"),
        ("echo noise >&2; exit 0", "up"),
    ] {
        assert_eq!(shell(script, LONG).await, expected, "{script}");
    }
    let missing = words(&["/nonexistent".into()], LONG).await;
    assert!(missing.starts_with("down # /nonexistent: No such file"), "{missing}");
}

#[tokio::test]
async fn no_shell_takes_the_arguments_apart() {
    let argv = ["/bin/echo".to_string(), "up; $(id) > /tmp/x".into()];
    assert_eq!(words(&argv, LONG).await, "up; $(id) > /tmp/x");
}

#[tokio::test]
async fn an_endless_talker_is_read_to_its_end_and_remembered_in_part() {
    let line = shell("yes up | head -c 10000000", LONG).await;
    assert_eq!(line, "up");
    let line = shell("yes | tr -d '\\n' | head -c 10000000", LONG).await;
    assert_eq!(line.len(), 200);
}

#[tokio::test]
async fn a_slow_one_is_killed_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    // Two generations, which ignore what they can.
    let script = format!("trap '' TERM; sleep 1000 & echo $! > {}; wait", pid.display());
    let line = shell(&script, Duration::from_millis(500)).await;
    assert_eq!(line, "down # /bin/sh: not done within 500ms");
    let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    // Its parent is gone: whoever inherits it may take a while to bury it.
    let gone = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    let deadline = Instant::now() + LONG;
    while !gone() {
        assert!(Instant::now() < deadline, "process {pid} lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn who_leaves_a_process_behind_that_holds_the_pipe_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let started = Instant::now();
    let line = shell(&format!("sleep 1000 & echo $! > {}; echo up", pid.display()), LONG).await;
    assert_eq!(line, "up");
    assert!(started.elapsed() < LONG);
    let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
}

#[tokio::test]
async fn runs_do_not_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let (lock, log) = (dir.path().join("lock"), dir.path().join("log"));
    let script = format!(
        "mkdir {0} || echo overlap >> {1}; sleep 0.05; rmdir {0}; echo run >> {1}",
        lock.display(),
        log.display()
    );
    let argv = vec!["/bin/sh".to_string(), "-c".into(), script];
    let (sender, receiver) = watch::channel(String::new());
    let task = tokio::spawn(repeat(argv, Duration::from_millis(10), LONG, sender));
    let runs = || std::fs::read_to_string(&log).unwrap_or_default();
    let deadline = Instant::now() + LONG;
    while runs().lines().count() < 4 {
        assert!(Instant::now() < deadline, "{}", runs());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!runs().contains("overlap"));
    assert_eq!(receiver.borrow().as_str(), "up");
    drop(receiver);
    task.await.unwrap();
}
