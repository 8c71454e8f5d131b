//! What is written down of requests, and counted.

use std::path::{Path, PathBuf};

use super::*;

/// A proxy that writes a log into this folder.
fn logging(
    folder: &tempfile::TempDir,
    format: LogFormat,
    server: &Server,
) -> (Proxy, SocketAddr, PathBuf) {
    let mut frontend = frontend();
    http(&mut frontend).unique_id = Some("x-request-id".parse().unwrap());
    let mut settings = settings(frontend, vec![pool("p", &[server.address])]);
    let path = folder.path().join("access.log");
    settings.access_log = Some(AccessLog { format, to: LogTo::File(path.clone()), queue: 1000 });
    let address = settings.frontends[0].listen[0].address;
    (serve(2, &settings), address, path)
}

fn lines(path: &Path, count: usize) -> Vec<String> {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    wait_until("the lines are written", || read().lines().count() >= count);
    read().lines().map(str::to_owned).collect()
}

#[test]
fn each_answer_is_a_line_of_json_and_checks_are_none() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::named("hello"));
    let (proxy, address, path) = logging(&folder, LogFormat::Json, &server);
    let mut client = Client::connect(address);
    client.get("/healthcheck");
    client.ask("GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a\"b\r\n\r\n");
    client.ask("POST /upload HTTP/1.1\r\nHost: example.org\r\nContent-Length: 2\r\n\r\nhi");
    let all: Vec<serde_json::Value> =
        lines(&path, 2).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second] = all.as_slice() else { panic!("{all:?}") };
    for (key, value) in [
        ("client", "127.0.0.1"),
        ("frontend", "web"),
        ("host", "example.org"),
        ("method", "GET"),
        ("path", "/a?b=c"),
        ("pool", "p"),
        ("server", "p-0"),
        ("agent", "a\"b"),
    ] {
        assert_eq!(first[key], value, "{first}");
    }
    let (status, bytes) = (first["status"].as_u64(), first["bytes"].as_u64());
    assert_eq!((status, bytes, first["complete"].as_bool()), (Some(200), Some(5), Some(true)));
    assert!(first["server_us"].as_u64() <= first["total_us"].as_u64());
    assert!(first["time"].as_str().unwrap().ends_with('Z'));
    assert!(first["id"].as_str().unwrap().ends_with("-2"), "the check was the first");
    assert_eq!(
        (second["method"].as_str(), second["path"].as_str()),
        (Some("POST"), Some("/upload"))
    );

    wait_until("they are counted", || proxy.status().log_lines == 2);
    let status = proxy.status();
    assert_eq!((status.log_lines, status.log_lost), (2, 0));
    let web = &status.frontends[0];
    assert_eq!((web.connections, web.classes, web.bytes_out), (1, [0, 2, 0, 0, 0], 10));
    assert_eq!(web.times.counts.iter().sum::<u64>(), 2);
    let server = &status.pools[0].servers[0];
    let times = server.times.counts.iter().sum::<u64>();
    assert_eq!((server.requests, server.classes[1], times), (2, 2, 2));
}

#[test]
fn combined_lines_are_those_of_others_and_nobody_breaks_them() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::named("hello"));
    let (_proxy, address, path) = logging(&folder, LogFormat::Combined, &server);
    let mut client = Client::connect(address);
    let headers = "Host: a\r\nUser-Agent: x\"y\\z\r\nReferer: http://r/\r\n";
    client.ask(&format!("GET / HTTP/1.1\r\n{headers}\r\n"));
    client.ask("GET /old HTTP/1.0\r\nHost: a\r\n\r\n");
    let all = lines(&path, 2);
    assert!(all[1].contains("\"GET /old HTTP/1.0\" 200"), "{}", all[1]);
    let (start, rest) = all[0].split_once(" [").unwrap();
    let (date, rest) = rest.split_once("] ").unwrap();
    assert_eq!(start, "127.0.0.1 - -");
    assert_eq!(rest, r#""GET / HTTP/1.1" 200 5 "http://r/" "x\"y\\z""#);
    let form = |c: char| match c {
        c if c.is_ascii_digit() => '0',
        c if c.is_alphabetic() => 'a',
        c => c,
    };
    assert_eq!(date.chars().map(form).collect::<String>(), "00/aaa/0000:00:00:00 +0000");
}

#[test]
fn a_log_that_was_moved_away_is_opened_anew() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::named("hello"));
    let (proxy, address, path) = logging(&folder, LogFormat::Json, &server);
    let mut client = Client::connect(address);
    client.get("/first");
    lines(&path, 1);
    let old = folder.path().join("access.log.1");
    std::fs::rename(&path, &old).unwrap();
    proxy.reopen_log();
    client.get("/second");
    assert!(lines(&path, 1)[0].contains("/second"));
    assert_eq!(lines(&old, 1).len(), 1);
}

#[test]
fn a_log_that_nobody_can_write_is_told() {
    let mut settings = settings(frontend(), vec![]);
    let to = LogTo::File("/nonexistent/access.log".into());
    settings.access_log = Some(AccessLog { format: LogFormat::Json, to, queue: 1 });
    let error = Proxy::start(NonZeroUsize::MIN, &settings).unwrap_err().to_string();
    assert!(error.starts_with("the access log cannot be written: "), "{error}");
}

#[test]
fn half_an_answer_is_no_complete_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        super::server::read(&mut lines);
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf";
        let _ = std::io::Write::write_all(&mut stream, head);
    });
    let (_proxy, address, path) = logging(&folder, LogFormat::Json, &server);
    let mut client = Client::connect(address);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.is_closed());
    let line: serde_json::Value = serde_json::from_str(&lines(&path, 1)[0]).unwrap();
    assert_eq!((line["complete"].as_bool(), line["bytes"].as_u64()), (Some(false), Some(4)));
}

#[test]
fn who_hangs_up_before_the_answer_leaves_a_line() {
    let server = Server::raw(|mut stream| {
        let mut all = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut all);
    });
    let folder = tempfile::tempdir().unwrap();
    let (proxy, address, path) = logging(&folder, LogFormat::Json, &server);
    let mut client = Client::connect(address);
    client.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the server has it", || proxy.status().pools[0].servers[0].busy == 1);
    drop(client);
    let line: serde_json::Value = serde_json::from_str(&lines(&path, 1)[0]).unwrap();
    assert_eq!((line["status"].as_u64(), line["complete"].as_bool()), (Some(499), Some(false)));
    assert_eq!(line["path"], "/slow");
    assert_eq!(proxy.status().frontends[0].classes, [0, 0, 0, 1, 0]);
    assert_eq!(proxy.status().pools[0].servers[0].failed, 0);
}
