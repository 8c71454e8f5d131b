//! A control, or a dataplane, that answers as it is told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What is asked and what was answered; ends with the test.
pub(crate) struct Fake {
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Fake {
    /// Answers each request with what `answer` makes of it, for as long as the test runs.
    pub(crate) fn serve(
        path: &Path,
        answer: impl Fn(&Value) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, log) = (answer.clone(), log.clone());
                thread::spawn(move || converse(stream.unwrap(), &*answer, &log));
            }
        });
        Self { asked }
    }

    /// Answers with these lines, one after the other; then closes connections.
    pub(crate) fn lines(path: &Path, lines: impl IntoIterator<Item = String>) -> Self {
        let lines: Mutex<VecDeque<String>> = Mutex::new(lines.into_iter().collect());
        Self::serve(path, move |_| lines.lock().unwrap().pop_front().unwrap_or_default())
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

/// An empty answer closes the connection.
fn converse(stream: UnixStream, answer: &dyn Fn(&Value) -> String, log: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        let request = serde_json::from_str(&line).unwrap();
        let reply = answer(&request);
        log.lock().unwrap().push(request);
        if reply.is_empty() || writeln!(stream, "{reply}").is_err() {
            return;
        }
        line.clear();
    }
}

/// `palierctl` with the sockets in `dir`, on 80 columns.
pub(crate) fn palierctl(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palierctl"));
    command.arg("--run-dir").arg(dir).args(arguments);
    command.env_remove("NO_COLOR").env("COLUMNS", "80").stdin(Stdio::null());
    command
}

/// Its end: exit code, standard output, standard error.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    ended(palierctl(dir, arguments).output().unwrap())
}

/// The same of one that has run.
pub(crate) fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
