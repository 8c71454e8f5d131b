//! What takes long, or much: run by `scripts/test --long`.

use std::io::{Read, Write};

use super::tls::{Folder, secure};
use super::*;

const GIGABYTE: u64 = 1 << 30;

/// A line of `/proc/self/status`, in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
}

#[test]
#[ignore = "it moves two gigabytes"]
fn a_gigabyte_goes_each_way_in_constant_memory() {
    let server = Server::raw(|mut stream| {
        let mut lines = std::io::BufReader::with_capacity(1 << 16, stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            std::io::BufRead::read_line(&mut lines, &mut head).unwrap();
        }
        if head.starts_with("POST") {
            let came = std::io::copy(&mut lines.take(GIGABYTE), &mut std::io::sink()).unwrap();
            stream.write_all(&super::server::ok(&came.to_string())).unwrap();
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            std::io::copy(&mut std::io::repeat(b'.').take(GIGABYTE), &mut stream).unwrap();
        }
    });
    let (_proxy, address) = start(frontend(), vec![pool("p", &[server.address])]);
    let both_ways = |address| {
        let mut client = Client::connect(address);
        client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let down = (&mut client.stream).take(GIGABYTE);
        assert_eq!(std::io::copy(&mut { down }, &mut std::io::sink()).unwrap(), GIGABYTE);
        let mut client = Client::connect(address);
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {GIGABYTE}\r\n\r\n");
        client.say(head);
        std::io::copy(&mut std::io::repeat(b'.').take(GIGABYTE), &mut client.stream).unwrap();
        assert_eq!(client.hear().unwrap().text(), GIGABYTE.to_string());
    };
    // What client and server need themselves.
    both_ways(server.address);
    let before = memory("VmHWM");
    both_ways(address);
    let more = memory("VmHWM") - before;
    println!("{more} KiB more at most");
    assert!(more < 16 * 1024, "{more} KiB more");
}

/// Clients in a process of their own, as descriptors are few: they connect, and ask once they are told to.
const CLIENTS_SCRIPT: &str = r#"
import socket, ssl, sys
count, port, is_tls = int(sys.argv[1]), int(sys.argv[3]), sys.argv[4] == "true"
clients = [socket.create_connection((sys.argv[2], port)) for _ in range(count)]
print("connected", flush=True)
sys.stdin.readline()
if is_tls:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    clients = [context.wrap_socket(client) for client in clients]
for client in clients:
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.recv(4096).startswith(b"HTTP/1.1 200")
print("answered", flush=True)
sys.stdin.readline()
"#;

/// KiB that each of so many clients costs before its first byte, and between requests.
fn cost_of_rest(clients: usize, mut frontend: Frontend) -> [f64; 2] {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let server = Server::named("a");
    frontend.timeouts.idle = 10 * SOON;
    let tls = frontend.tls.is_some();
    let (proxy, address) = start(frontend, vec![pool("p", &[server.address])]);
    let start = memory("VmRSS");

    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut process = Command::new("python3")
        .args(["-c", CLIENTS_SCRIPT, &clients.to_string(), &ip, &port, &tls.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = process.stdin.take().unwrap();
    let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "connected");
    wait_until("all of them are accepted", || proxy.open() >= clients);
    let silent = memory("VmRSS");
    orders.write_all(b"ask\n").unwrap();
    assert_eq!(said.next().unwrap().unwrap(), "answered");
    let kept = memory("VmRSS");
    assert!(proxy.open() >= clients);
    if !tls {
        assert_eq!(Client::connect(address).get("/").status, 200, "others are served");
    }
    drop(orders);
    assert!(process.wait().unwrap().success());
    let each = [silent, kept].map(|now| (now - start) as f64 / clients as f64);
    println!("KiB a connection: {:.1} before the first byte, {:.1} kept alive", each[0], each[1]);
    each
}

#[test]
#[ignore = "it makes ten thousand connections"]
fn ten_thousand_clients_rest_at_little_cost() {
    let [silent, kept] = cost_of_rest(10_000, frontend());
    assert!(silent < 12.0 && kept < 22.0);
}

#[test]
#[ignore = "it makes thousands of connections"]
fn with_tls_they_do_not_cost_much_more() {
    let certificates = Folder::new();
    certificates.issue("a.pem", &["a"]);
    let [silent, kept] = cost_of_rest(4000, secure(certificates.tls(&["a.pem"])));
    assert!(silent < 12.0 && kept < 30.0);
}
