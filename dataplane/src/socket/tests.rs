use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, io, thread};

use crossbeam::channel::{Receiver, unbounded};
use tempfile::TempDir;

use super::*;

/// A server in a directory of its own, and what arrives there.
struct Fixture {
    directory: TempDir,
    calls: Receiver<Call>,
    server: Server,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        let directory = TempDir::new().unwrap();
        let (requests, calls) = unbounded();
        let listener = Listener::bind(&directory.path().join("run")).unwrap();
        let server = serve_within(limits, listener, requests).unwrap();
        Self { directory, calls, server }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("run/dataplane.sock")
    }

    fn client(&self) -> Client {
        Client::connect(&self.path())
    }

    /// Answers so many calls with this text, on a thread.
    fn answer(&self, times: usize, text: &'static str) -> JoinHandle<Vec<Request>> {
        let calls = self.calls.clone();
        thread::spawn(move || {
            let mut requests = Vec::new();
            for Call { request, reply } in calls.iter().take(times) {
                requests.push(request);
                reply.send(Reply::Error(text.into())).unwrap();
            }
            requests
        })
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next line, without its newline; empty at the end.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').into()
    }
}

#[test]
fn a_line_in_is_a_line_out_in_order() {
    let fixture = Fixture::new(LIMITS);
    let answers = fixture.answer(3, "heard");
    let mut client = fixture.client();
    client.say(b"{\"stats\": {}}\n{\"hello\": {}}\n");
    assert_eq!(client.hear(), r#"{"error":"heard"}"#);
    assert_eq!(client.hear(), r#"{"error":"heard"}"#);
    client.say(b"{\"snapshot\": {}}\n");
    assert_eq!(client.hear(), r#"{"error":"heard"}"#);
    assert_eq!(answers.join().unwrap(), [Request::Stats, Request::Hello, Request::Snapshot]);
}

#[test]
fn the_last_line_needs_no_newline() {
    let fixture = Fixture::new(LIMITS);
    let answers = fixture.answer(1, "heard");
    let mut client = fixture.client();
    client.say(b"{\"stats\": {}}");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.hear(), r#"{"error":"heard"}"#);
    assert_eq!(client.hear(), "");
    assert_eq!(answers.join().unwrap(), [Request::Stats]);
}

#[test]
fn a_bad_line_gets_an_error_and_the_connection_goes_on() {
    let fixture = Fixture::new(Limits { line: 100, ..LIMITS });
    let mut client = fixture.client();
    let too_long = [vec![b' '; 5_000_000], b"\n".into()].concat();
    for (line, error) in [
        (&b"stats\n"[..], "not a request: expected value at line 1 column 1"),
        (b"\n", "not a request: EOF while parsing a value at line 1 column 0"),
        (b"{\"stats\": \xff}\n", "not a request: not UTF-8"),
        (b"{\"reboot\": {}}\n", "not a request: unknown field `reboot`"),
        (&too_long, "the line is longer than 100 bytes"),
    ] {
        client.say(line);
        let heard = client.hear();
        assert!(heard.starts_with(&format!(r#"{{"error":"{error}"#)), "{heard}");
    }
    let answers = fixture.answer(1, "heard");
    let exactly = format!("{:<100}\n", r#"{"stats": {}}"#);
    client.say(exactly.as_bytes());
    assert_eq!(client.hear(), r#"{"error":"heard"}"#);
    assert_eq!(answers.join().unwrap(), [Request::Stats]);
}

#[test]
fn an_overlong_line_that_ends_with_the_stream_is_told_too() {
    let fixture = Fixture::new(Limits { line: 10, ..LIMITS });
    let mut client = fixture.client();
    client.say(b"{\"stats\": {}}");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.hear(), r#"{"error":"the line is longer than 10 bytes"}"#);
    assert_eq!(client.hear(), "");
}

#[test]
fn one_connection_too_many_is_told_so_and_a_free_place_is_taken_again() {
    let fixture = Fixture::new(Limits { connections: 2, ..LIMITS });
    let _answers = fixture.answer(1_000_000, "heard");
    let asked = |client: &mut Client| {
        client.say(b"{\"stats\": {}}\n");
        client.hear()
    };
    let (mut first, mut second) = (fixture.client(), fixture.client());
    assert_eq!(asked(&mut first), r#"{"error":"heard"}"#);
    assert_eq!(asked(&mut second), r#"{"error":"heard"}"#);
    let mut third = fixture.client();
    assert_eq!(third.hear(), r#"{"error":"2 connections are open, which is the most"}"#);
    assert_eq!(third.hear(), "");

    drop(first);
    // Its thread may need a moment to notice.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut next = fixture.client();
        // Fails if it was refused and closed meanwhile.
        let _ = next.0.get_mut().write_all(b"{\"stats\": {}}\n");
        if next.hear() == r#"{"error":"heard"}"# {
            break;
        }
        assert!(Instant::now() < deadline, "the place is never free again");
        thread::yield_now();
    }
    assert_eq!(asked(&mut second), r#"{"error":"heard"}"#);
}

#[test]
fn a_client_that_never_reads_is_let_go() {
    let fixture = Fixture::new(Limits { patience: Duration::from_millis(50), ..LIMITS });
    let calls = fixture.calls.clone();
    let answers = thread::spawn(move || {
        let Call { reply, .. } = calls.recv().unwrap();
        // More than the kernel buffers for a socket.
        reply.send(Reply::Error("x".repeat(8 << 20))).unwrap();
    });
    let mut client = fixture.client();
    client.say(b"{\"stats\": {}}\n");
    answers.join().unwrap();
    // The other side is closed: once that is so, writing fails, while it would have blocked or
    // succeeded before.
    client.0.get_ref().set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match client.0.get_mut().write(b"\n") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Ok(_) | Err(_) => assert!(Instant::now() < deadline, "the client still has its place"),
        }
        thread::yield_now();
    }
}

#[test]
fn a_request_that_nobody_answers_gets_an_error() {
    let mut fixture = Fixture::new(LIMITS);
    let mut client = fixture.client();
    client.say(b"{\"stats\": {}}\n");
    drop(fixture.calls.recv().unwrap());
    let stopping = r#"{"error":"no answer: the process is stopping"}"#;
    assert_eq!(client.hear(), stopping);

    fixture.calls = crossbeam::channel::never();
    client.say(b"{\"stats\": {}}\n");
    assert_eq!(client.hear(), stopping);
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_server() {
    let fixture = Fixture::new(LIMITS);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.path()), 0o600);
    assert_eq!(mode(fixture.path().parent().unwrap()), 0o755);
    let path = fixture.path();
    let Fixture { directory: _directory, server, .. } = fixture;
    assert!(path.exists());
    drop(server);
    assert!(!path.exists());
}

#[test]
fn a_listener_that_never_served_removes_its_socket_too() {
    let directory = TempDir::new().unwrap();
    drop(Listener::bind(directory.path()).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_stale_socket_is_replaced() {
    let directory = TempDir::new().unwrap();
    // Std leaves the file where it is, as a killed process does.
    drop(UnixListener::bind(directory.path().join("dataplane.sock")).unwrap());
    let listener = Listener::bind(directory.path()).unwrap();
    let (requests, calls) = unbounded();
    let _server = serve(listener, requests).unwrap();
    let mut client = Client::connect(&directory.path().join("dataplane.sock"));
    client.say(b"{\"hello\": {}}\n");
    assert_eq!(calls.recv().unwrap().request, Request::Hello);
}

#[test]
fn a_socket_on_which_somebody_listens_is_left_alone() {
    let fixture = Fixture::new(LIMITS);
    let run_dir = fixture.path().parent().unwrap().to_owned();
    let error = Listener::bind(&run_dir).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error}");
    assert!(error.to_string().ends_with("is palier-dataplane running already?"));
    fixture.client().say(b"{}\n");
}

#[test]
fn a_socket_whose_queue_is_full_is_in_use_too() {
    let directory = TempDir::new().unwrap();
    let _listener = Listener::bind(directory.path()).unwrap();
    // Nobody accepts, so each try stays in the queue, until that is full and connecting would block.
    for _ in 0..30 {
        let error = Listener::bind(directory.path()).unwrap_err();
        assert!(matches!(error, Error::InUse(_)), "{error}");
    }
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("dataplane.sock");
    fs::write(&path, "precious").unwrap();
    let error = Listener::bind(directory.path()).unwrap_err();
    assert!(matches!(error, Error::NotASocket(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let error = Listener::bind(&path).unwrap_err();
    assert!(matches!(error, Error::Directory { .. }), "{error}");
}
