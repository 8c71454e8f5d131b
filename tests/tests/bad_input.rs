//! Whatever comes in at its doors, control goes on: it answers others, judges nodes and does not spin.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use admin::Effective;
use lab::{L4, L7, Lab};
use system_tests::{SOON, VIPS, member, reload, text, vip};

/// Processor time that a process has used.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name before may have blanks; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(") ").expect("proc(5)");
    let ticks = |at: usize| -> u64 {
        fields.split(' ').nth(at).and_then(|n| n.parse().ok()).expect("proc(5)")
    };
    // A tick is 10 ms on every architecture there is: USER_HZ.
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// Asserts that control has little to do for a while.
fn assert_no_busy_loop(l4: &L4, while_what: &str) {
    const WHILE: Duration = Duration::from_secs(2);
    let pid = l4.control_pid().expect("control runs");
    let (start, before) = (Instant::now(), cpu_time(pid));
    lab::wait_until("some time is over", SOON, || start.elapsed() > WHILE);
    let (took, used) = (start.elapsed(), cpu_time(pid) - before);
    // Probes and heartbeats of a debug build take a few percent; a loop takes all.
    assert!(used < took / 3, "{used:?} of processor time in {took:?} while {while_what}");
}

fn connect(l4: &L4) -> UnixStream {
    let stream = UnixStream::connect(l4.control_socket()).expect("control listens");
    stream.set_read_timeout(Some(SOON)).expect("a socket takes a time-out");
    stream.set_write_timeout(Some(SOON)).expect("a socket takes a time-out");
    stream
}

/// What is said to a line; nothing if the connection is closed.
fn answer(stream: &mut UnixStream, line: &[u8]) -> Option<String> {
    // It may be closed before all of it was read.
    let _ = stream.write_all(line);
    let mut said = String::new();
    match BufReader::new(stream).read_line(&mut said) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(said),
    }
}

#[test]
fn garbage_on_the_admin_socket_is_answered_in_one_line_and_harms_nobody() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let deep = "[".repeat(30_000);
    let garbage: [&[u8]; 8] = [
        b"hello\n",
        b"\n",
        b"{}\n",
        b"{\"status\": {\"brief\": 3}}\n",
        b"{\"set_state\": {\"node\": \"l7-1\", \"state\": \"gone\"}}\n",
        b"{\"dataplane\": {\"apply\": {}}}\n",
        b"\xff\xfe\x00\x01\n",
        deep.as_bytes(),
    ];
    let mut stream = connect(l4);
    for line in &garbage[..7] {
        let said = answer(&mut stream, line).expect("the connection lives on");
        assert!(said.starts_with("{\"error\":"), "{said}");
    }
    stream.write_all(garbage[7]).unwrap();
    let said = answer(&mut stream, b"\n").expect("the connection lives on");
    assert!(said.starts_with("{\"error\":"), "{said}");
    assert_eq!(l4.states_of("l7-1"), [Effective::Up; 2]);

    // Megabytes without an end: one answer, and the connection is closed.
    let mut stream = connect(l4);
    let said = answer(&mut stream, &vec![b'x'; 8 << 20]);
    assert!(said.is_none_or(|said| said.contains("longer than")), "it is closed");
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).is_ok_and(|_| rest.is_empty()) || rest.is_empty());
    assert!(l4.is_settled());
    assert_no_busy_loop(l4, "nobody asks for anything");
}

#[test]
fn a_hundred_callers_that_say_nothing_do_not_lock_others_out() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let callers: Vec<UnixStream> = (0..100).map(|_| connect(l4)).collect();
    assert_no_busy_loop(l4, "a hundred callers say nothing");
    // One of them speaks at last, and one who comes now is heard, too.
    let (status, said) = l4.ctl(&["drain", "l7-1"]);
    assert!(status.success(), "{said}");
    l4.wait_state("l7-1", Effective::Drain, SOON);
    drop(callers);
    // Nobody waits for what was asked.
    for _ in 0..100 {
        let mut caller = connect(l4);
        caller.write_all(b"{\"status\": {}}\n").unwrap();
        caller.shutdown(Shutdown::Both).unwrap();
    }
    let (status, said) = l4.ctl(&["ready", "l7-1"]);
    assert!(status.success(), "{said}");
    l4.wait_state("l7-1", Effective::Up, SOON);
}

/// How a bad agent behaves.
#[derive(Clone, Copy)]
enum Manner {
    /// It accepts and says nothing.
    Silent,
    /// It sends without an end and without a line's end.
    Endless,
    /// It sends what means nothing.
    Binary,
    /// What an agent says.
    Says(&'static str),
}

/// An agent on a node, until it is dropped.
struct Agent {
    ending: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

const AGENT_PORT: u16 = 5555;

impl Agent {
    fn start(l7: &L7, manner: Manner) -> Self {
        let listener = l7
            .namespace()
            .enter(|| TcpListener::bind(("::", AGENT_PORT)).expect("the port is free"));
        listener.set_nonblocking(true).expect("a socket can be so");
        let (ending, asked): (Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
        let (end, count) = (Arc::clone(&ending), Arc::clone(&asked));
        let thread = thread::spawn(move || {
            let mut silent = Vec::new();
            while !end.load(Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    thread::park_timeout(Duration::from_millis(5));
                    continue;
                };
                count.fetch_add(1, Relaxed);
                stream.set_nonblocking(false).expect("a socket can be so");
                stream.set_write_timeout(Some(Duration::from_secs(2))).expect("as above");
                match manner {
                    Manner::Silent => silent.push(stream),
                    Manner::Endless => pour(&stream, &[b'u'; 1 << 16], 64, &end),
                    Manner::Binary => pour(&stream, b"\x00\xff\x1b[2J\n\n\n", 1, &end),
                    Manner::Says(line) => pour(&stream, line.as_bytes(), 1, &end),
                }
            }
        });
        Self { ending, asked, thread: Some(thread) }
    }

    /// Waits until it was asked so many further times.
    fn wait_asked(&self, times: u64) {
        let wanted = self.asked.load(Relaxed) + times;
        lab::wait_until("the agent was asked", SOON, || self.asked.load(Relaxed) >= wanted);
    }
}

/// Sends a text so many times, or until the other side has had enough.
fn pour(mut stream: &TcpStream, text: &[u8], times: usize, end: &AtomicBool) {
    for _ in 0..times {
        if end.load(Relaxed) || stream.write_all(text).is_err() {
            return;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.ending.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn an_agent_that_sends_megabytes_or_nothing_changes_nothing() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let agent = format!(
        "[[service.check]]\nhttp = {{ path = \"/healthcheck\" }}\ninterval = \"500ms\"\n\
         timeout = \"400ms\"\n[[service.check]]\nagent = {{ port = {AGENT_PORT} }}\n\
         interval = \"300ms\"\ntimeout = \"200ms\"\n"
    );
    let first = Agent::start(lab.l7(1), Manner::Says("up drain # being moved\n"));
    reload(&lab, |site| text::replaced(&site, text::WEB_CHECKS, &agent));
    l4.wait_state("l7-1", Effective::Drain, SOON);
    drop(first);

    for manner in [Manner::Endless, Manner::Silent, Manner::Binary] {
        let bad = Agent::start(lab.l7(1), manner);
        bad.wait_asked(5);
        let what = match manner {
            Manner::Endless => "an agent sends without an end",
            Manner::Silent => "an agent says nothing",
            Manner::Binary => "an agent sends what means nothing",
            Manner::Says(_) => "an agent speaks",
        };
        assert_eq!(l4.states_of("l7-1"), [Effective::Drain; 2], "what it said last: {what}");
        assert_no_busy_loop(l4, what);
        let status = l4.status();
        let reason = &member(vip(&status, "web", VIPS[0]), "l7-1").checks[1].reason;
        assert!(reason.len() < 300 && !reason.contains('\u{1b}'), "{what}: {reason:?}");
    }
    let last = Agent::start(lab.l7(1), Manner::Says("ready\n"));
    last.wait_asked(1);
    l4.wait_state("l7-1", Effective::Up, SOON);
}
