//! The PROXY protocol with those who speak it: HAProxy and nginx, in front of us and behind us.

use std::net::Ipv6Addr;
use std::process::{Child, Command, Stdio};

use super::tls::{Folder, ask, secure, trusting};
use super::*;
use crate::proxy_protocol::Version;

const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

/// HAProxy or nginx, as a child with a folder.
struct Relay {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Relay {
    /// Waits until it accepts connections there.
    fn start(program: &str, configuration: &str, arguments: &[&str], at: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("relay.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(&file).current_dir(&folder).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!("{program}: {error} (scripts/setup installs it)");
        });
        let mut relay = Self { child, _folder: folder };
        wait_until(program, || {
            assert!(relay.child.try_wait().unwrap().is_none(), "{program} has ended");
            std::net::TcpStream::connect(at).is_ok()
        });
        relay
    }

    fn haproxy(text: &str, at: SocketAddr) -> Self {
        let times =
            "timeout client 20s\n timeout server 20s\n timeout connect 20s\n timeout check 5s";
        let configuration = format!("defaults\n mode http\n {times}\n{text}");
        Self::start("haproxy", &configuration, &["-db", "-q", "-f"], at)
    }

    fn nginx(text: &str, at: SocketAddr) -> Self {
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr emerg;
            load_module /usr/lib/nginx/modules/ngx_stream_module.so;
            events {{}}
            {text}"
        );
        Self::start("nginx", &configuration, &["-p", ".", "-e", "stderr", "-c"], at)
    }
}

/// A port of `::1` where nobody listens; the kernel hands out none of these by itself.
fn free_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + std::process::id() as u16 % 200 * 100;
    let mut ports = std::iter::from_fn(|| Some(first + CALLS.fetch_add(1, Relaxed) % 100));
    let is_free = |port: &u16| std::net::TcpListener::bind((V6, *port)).is_ok();
    ports.find(is_free).unwrap()
}

/// Where clients of the other family come.
fn v6() -> SocketAddr {
    (V6, free_port()).into()
}

/// A pool of one server, which wants to be told by this version.
fn telling(server: SocketAddr, version: Version) -> Pool {
    let mut pool = pool("p", &[server]);
    pool.send_proxy = Some(version);
    pool
}

/// A frontend of connections as they are.
fn plain() -> Frontend {
    let route = TcpRoute { hosts: vec![], pool: 0 };
    Frontend { mode: Mode::Tcp(vec![route]), ..frontend() }
}

/// HAProxy that answers with what it was told of its client.
fn telling_haproxy(at: SocketAddr) -> Relay {
    let told = "%[src] %[src_port] %[dst] %[dst_port]";
    let more = "%[fc_pp_authority] %[fc_pp_unique_id]";
    Relay::haproxy(
        &format!(
            "frontend f\n bind {at} accept-proxy\n http-request return status 200 content-type \
             text/plain lf-string \"{told} {more}\"\n"
        ),
        at,
    )
}

/// nginx that does.
fn telling_nginx(at: SocketAddr) -> Relay {
    let told = "$proxy_protocol_addr $proxy_protocol_port";
    let told = format!("{told} $proxy_protocol_server_addr $proxy_protocol_server_port");
    Relay::nginx(
        &format!(
            "http {{ access_log off; server {{
                listen {at} proxy_protocol;
                location / {{ return 200 \"{told}\"; }}
            }} }}"
        ),
        at,
    )
}

#[test]
fn haproxy_and_nginx_understand_what_they_are_told() {
    let (haproxy, nginx) = (free_address(), free_address());
    let (_haproxy, _nginx) = (telling_haproxy(haproxy), telling_nginx(nginx));
    for server in [haproxy, nginx] {
        for version in [Version::V1, Version::V2] {
            for mut frontend in [frontend(), plain()] {
                // A client of the other family, too.
                let v6 = v6();
                frontend.listen.push(Listen { address: v6, tls: false });
                let (_proxy, v4) = start(frontend, vec![telling(server, version)]);
                for address in [v4, v6] {
                    let mut client = Client::connect(address);
                    let own = client.stream.local_addr().unwrap();
                    let (us, port) = (address.ip(), address.port());
                    let expected = format!("{} {} {us} {port}", own.ip(), own.port());
                    // Again over the same connection: it is still the same client's.
                    for _ in 0..2 {
                        let told = client.get("/").text();
                        assert_eq!(told.trim_end(), expected, "{version:?} to {server}");
                    }
                }
            }
        }
    }
}

#[test]
fn haproxy_learns_names_and_ids_of_tls_clients() {
    let at = free_address();
    let _haproxy = telling_haproxy(at);
    let folder = Folder::new();
    let trust = trusting(&[folder.issue("a.pem", &["example.org"])]);
    let mut frontend = secure(folder.tls(&["a.pem"]));
    http(&mut frontend).unique_id = Some("X-Request-Id".parse().unwrap());
    let (_proxy, address) = start(frontend, vec![telling(at, Version::V2)]);
    let told = ask(address, &trust);
    let words: Vec<_> = told.lines().last().unwrap().split(' ').collect();
    let [client, _, _, port, authority, id] = words[..] else { panic!("{told}") };
    assert_eq!((client, port), ("127.0.0.1", address.port().to_string().as_str()), "{told}");
    assert_eq!(authority, "example.org");
    assert!(!id.is_empty(), "{told}");
}

/// What our server is told of a client at a relay, and where that client is.
fn told_by(relay: SocketAddr, server: &Server) -> (String, String) {
    let mut client = Client::connect(relay);
    let own = client.stream.local_addr().unwrap().ip().to_string();
    assert_eq!(client.get("/").text(), "a");
    let head = server.heads().pop().unwrap();
    let told = head.lines().find_map(|line| line.strip_prefix("x-forwarded-for: "));
    (told.unwrap_or_default().to_owned(), own)
}

/// A frontend that takes what relays on this machine tell it.
fn believing() -> Frontend {
    Frontend { accept_proxy: vec!["127.0.0.0/8".parse().unwrap()], ..frontend() }
}

#[test]
fn what_haproxy_tells_of_clients_is_understood() {
    let server = Server::named("a");
    let (proxy, address) = start(believing(), vec![pool("p", &[server.address])]);
    for options in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
        // It asks by itself, too, for nobody.
        "send-proxy check check-send-proxy inter 100",
        "send-proxy-v2 check check-send-proxy inter 50",
    ] {
        let at = free_address();
        let v6 = v6();
        let _haproxy = Relay::haproxy(
            &format!(
                "listen l\n bind {at}\n bind {v6}\n unique-id-format %[uuid]\n option httpchk\n \
                 http-check send meth GET uri /healthcheck hdr Host a\n server s {address} {options}\n"
            ),
            at,
        );
        for at in [at, v6] {
            let (told, own) = told_by(at, &server);
            assert_eq!(told, own, "{options}");
        }
        if options.contains("check") {
            let connections = || proxy.status().frontends[0].connections;
            let before = connections();
            wait_until("it checks", || connections() > before + 5);
            // A server whose checks fail three times gets nothing more.
            let (told, own) = told_by(at, &server);
            assert_eq!(told, own, "{options}");
        }
    }
    assert_eq!(proxy.status().frontends[0].refused, 0, "every header was good");
}

#[test]
fn what_nginx_tells_of_clients_is_understood() {
    let server = Server::named("a");
    let (proxy, address) = start(believing(), vec![pool("p", &[server.address])]);
    let (at, v6) = (free_address(), v6());
    let _nginx = Relay::nginx(
        &format!(
            "stream {{ server {{
                listen {at}; listen {v6};
                proxy_pass {address}; proxy_protocol on;
            }} }}"
        ),
        at,
    );
    for at in [at, v6] {
        let (told, own) = told_by(at, &server);
        assert_eq!(told, own);
    }
    // The relay's own first connections, which said nothing.
    assert!(proxy.status().frontends[0].refused <= 1);
}
