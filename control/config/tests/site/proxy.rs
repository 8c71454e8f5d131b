//! `[proxy]`, `[[pool]]` and `[[frontend]]`: every key, and what is wrong.

use std::time::Duration;

use ::proxy::balance::Method;
use ::proxy::proxy_protocol::Version;
use ::proxy::settings::*;
use config::{Address, Family, Host, Server};
use health::Kind;
use http::StatusCode;

use crate::{good, problems};

const EVERY_KEY: &str = include_str!("every_key.toml");
const SITE: &str = r#"
[site]
name = "par1"
hash_key = { file = "/etc/palier/hash.key" }
[[l4]]
name = "l4-1"
addresses = ["192.0.2.132"]
[[l7]]
name = "l7-1"
index = 1
addresses = ["192.0.2.140"]
[[service]]
name = "web"
vips = ["198.51.100.1"]
protocol = "tcp"
ports = [80, 443]
[[service]]
name = "dns"
vips = ["198.51.100.0/28"]
protocol = "udp"
ports = "any"
"#;
const POOL: &str = "[[pool]]\nname = \"p\"\nservers = [\"192.0.2.1:80\"]\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_key_of_a_pool() {
    let config = good(EVERY_KEY);
    let servers = &config.pools[0];
    let server = |name: &str, address: &str, weight, backup, limit| Server {
        name: name.into(),
        address: Address::At(address.parse().unwrap()),
        weight,
        backup,
        max_connections: Some(limit),
    };
    assert_eq!(
        servers.servers,
        [
            server("192.0.2.1:80", "192.0.2.1:80", 1, false, 100),
            server("b", "[2001:db8::1]:80", 2, true, 5),
            Server {
                name: "c".into(),
                address: Address::Named(
                    Host { name: "c.example.org".into(), family: Family::V6 },
                    8080
                ),
                weight: 1,
                backup: false,
                max_connections: Some(100),
            },
        ]
    );
    assert_eq!((servers.method, &servers.key), (Method::Hash, &Key::Cookie("sid".into())));
    assert_eq!(servers.send_proxy, Some(Version::V2));
    let sni = Some("backend.example".to_owned());
    let tls = ClientTls { verify: true, ca: Some("/etc/ca.pem".into()), sni };
    assert_eq!(servers.tls, Some(tls));
    assert_eq!((servers.retries, servers.retry_budget, servers.quorum), (3, 10, 2));
    let max_age = Some(seconds(3600));
    let affinity = Affinity { cookie: "SRV".into(), max_age, secure: true };
    assert_eq!(servers.affinity, Some(affinity));
    assert_eq!(servers.slow_start, seconds(30));
    assert_eq!(servers.queue, Queue { length: 7, timeout: seconds(2) });
    assert_eq!(servers.sorry, Some(1));
    let (connect, response, keep_alive, body) = (seconds(1), seconds(2), seconds(3), seconds(4));
    assert_eq!(servers.timeouts, ServerTimeouts { connect, response, body, keep_alive });
    let [http, agent] = servers.checks.as_slice() else { panic!("two checks") };
    assert!(matches!((&http.check.kind, http.port), (Kind::Http(_), None)));
    assert!(matches!((&agent.check.kind, agent.port), (Kind::Agent(_), Some(5555))));

    let sorry = &config.pools[1];
    assert_eq!((sorry.method, sorry.quorum, sorry.retry_budget), (Method::LeastConnections, 1, 20));
    assert_eq!(sorry.tls, Some(ClientTls { verify: false, ca: None, sni: None }));
    let nameservers = ["192.0.2.53:53", "[2001:db8::53]:5353"].map(|at| at.parse().unwrap());
    assert_eq!(config.proxy.nameservers, nameservers);
    let log = config.proxy.access_log.unwrap();
    assert_eq!((log.format, log.queue), (LogFormat::Combined, 5));
    assert_eq!(log.to, LogTo::File("/var/log/access.log".into()));
}

#[test]
fn every_key_of_a_frontend() {
    let config = good(EVERY_KEY);
    let main = &config.frontends[0];
    assert_eq!(
        (main.service, &main.ports[..], &main.tls_ports[..]),
        (1, &[80, 443][..], &[443][..])
    );
    let file = |chain: &str, key: &str| CertificateFiles { chain: chain.into(), key: key.into() };
    let tls = ServerTls {
        certificates: vec![file("/etc/a.pem", "/etc/a.pem"), file("/etc/b.pem", "/etc/b.key")],
        min_version: TlsVersion::V1_3,
        ciphers: vec!["TLS13_AES_256_GCM_SHA384".into()],
    };
    assert_eq!(main.tls, Some(tls));
    assert_eq!(main.accept_proxy, ["192.0.2.0/24".parse().unwrap()]);
    let timeouts = ClientTimeouts {
        idle: seconds(1),
        handshake: seconds(2),
        header: seconds(3),
        body: seconds(4),
        tunnel: seconds(5),
        total: Some(seconds(6)),
    };
    assert_eq!(main.timeouts, timeouts);
    assert_eq!(main.limits, HeaderLimits { count: 50, bytes: 16_384 });
    assert_eq!(main.max_connections, Some(5000));
    let Mode::Http(http) = &main.mode else { panic!("HTTP") };
    assert_eq!(http.health_uri.as_deref(), Some("/healthcheck"));
    assert_eq!(http.trusted_proxies, ["192.0.2.5".parse().unwrap()]);
    assert_eq!(http.unique_id.as_ref().unwrap(), "x-request-id");
    let text = |name: &str, value: &str| (name.parse().unwrap(), value.parse().unwrap());
    let request = HeaderEdits {
        remove: vec!["x-secret".parse().unwrap()],
        set: vec![text("x-real-ip", "{client}")],
        add: vec![],
    };
    assert_eq!(http.request_headers, request);
    let hsts = text("strict-transport-security", "max-age=300");
    assert_eq!(http.response_headers.add, [hsts]);
    let page = &http.error_pages[0];
    assert_eq!(
        (page.status, page.file.to_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("/etc/503.html"))
    );

    let host = |names: &[&str]| Condition::Host(names.iter().map(|&name| name.into()).collect());
    let header = |name: &str, value| Condition::Header(name.parse().unwrap(), value);
    let to = "https://www.example.org{path}".to_owned();
    let api = Route {
        rewrite: Some(Rewrite { strip: "/api".into(), put: "/v2".into() }),
        ..Route::new(
            vec![
                Condition::Path("/api/v1".into()),
                Condition::PathPrefix("/api".into()),
                Condition::PathPattern("^/api/v[0-9]".parse().unwrap()),
                Condition::Method(vec![http::Method::GET, http::Method::HEAD]),
                header("x-beta", ValueMatch::Any),
                header("x-a", ValueMatch::Prefix("b".into())),
                Condition::Not(Box::new(host(&["old.example.org"]))),
            ],
            Action::Pool(1),
        )
    };
    let robots = Action::Answer(StatusCode::OK, "Disallow: /".into());
    let routes = [
        Route::new(
            vec![host(&["example.org", "*.example.org"])],
            Action::Redirect(StatusCode::PERMANENT_REDIRECT, to),
        ),
        api,
        Route::new(vec![Condition::Path("/robots.txt".into())], robots),
        Route::new(vec![], Action::Pool(0)),
    ];
    assert_eq!(http.routes, routes);
    let raw = TcpRoute { hosts: vec!["db.example.org".into()], pool: 0 };
    assert_eq!(config.frontends[1].mode, Mode::Tcp(vec![raw]));
}

/// What is wrong with a pool and a frontend that have these lines.
#[track_caller]
fn wrong(pool: &str, frontend: &str, expected: &[&str]) {
    let base = "name = \"f\"\nservice = \"web\"\n";
    let text = format!("{SITE}{POOL}{pool}\n[[frontend]]\n{base}{frontend}\n");
    let found: Vec<String> = problems(&text)
        .iter()
        .map(|line| line.splitn(3, ':').nth(2).unwrap_or(line).trim().to_owned())
        .collect();
    assert_eq!(found, expected, "{pool} | {frontend}");
}

#[test]
fn what_the_cases_start_from_is_good() {
    wrong("", "pool = \"p\"", &[]);
}

#[test]
fn wrong_pools_are_told() {
    let pool = |lines: &str, expected: &str| wrong(lines, "pool = \"p\"", &[expected]);
    pool(
        "balance = \"roundrobin\"",
        "pool p: balance: \"roundrobin\" is not one of \"round_robin\", \"least_connections\" or \"random_two\" (did you mean \"round_robin\"?)",
    );
    pool(
        "balance = { hash = \"cookie\" }",
        "pool p: balance.hash: \"cookie\" is not one of \"source\"",
    );
    pool("quorum = 2", "pool p: quorum: there are 1 servers: it is never reached");
    pool(
        "retry_budget = 20",
        "pool p: retry_budget: 20 is not a share of all requests from \"0%\" to \"100%\"",
    );
    pool(
        "retry_budget = \"101%\"",
        "pool p: retry_budget: \"101%\" is not a share of all requests from \"0%\" to \"100%\"",
    );
    pool("sorry_pool = \"p\"", "pool p: sorry_pool: a pool is not its own");
    pool(
        "sorry_pool = \"q\"",
        "pool p: sorry_pool: \"q\" is not the name of a [[pool]] (did you mean \"p\"?)",
    );
    pool("send_proxy = 2", "pool p: send_proxy: 2 is not one of \"v1\" or \"v2\"");
    pool(
        "tls = { verify = false, ca = \"/a\" }",
        "pool p: tls.ca: this is of no use with `verify = false`",
    );
    pool(
        "affinity = { cookie = \"a b\" }",
        "pool p: affinity.cookie: \"a b\" is not the name of a cookie",
    );
    pool("check.http = { direct = true }", "pool p: check.http: `direct` is unknown");
    pool(
        "[[pool]]\nname = \"p\"\nservers = [\"192.0.2.1:80\"]",
        "pool p: another [[pool]] has this name",
    );
    pool(
        "[[pool]]\nname = \"q\"\nservers = []",
        "pool q: servers: the list is empty: it needs at least one",
    );
    for wrong in
        ["192.0.2.1", "192.0.2.300:80", "a..b:80", "-a:80", "a:0", "a b:80", "0.0.0.0:80", "[::1]"]
    {
        pool(
            &format!("[[pool]]\nname = \"q\"\nservers = [\"{wrong}\"]"),
            &format!(
                "pool q: servers: \"{wrong}\" is not ADDRESS:PORT or NAME:PORT, as \"192.0.2.1:80\", \"[2001:db8::1]:80\" or \"app.example.org:80\""
            ),
        );
    }
    pool(
        "[[pool]]\nname = \"q\"\nservers = [{ address = \"192.0.2.1:80\", family = \"v4\" }]",
        "pool q: servers.family: an address is of its family: `family` is for names",
    );
    pool(
        "[[pool]]\nname = \"q\"\nservers = [\"192.0.2.1:80\", \"192.0.2.1:80\"]",
        "pool q: servers: another server has the name 192.0.2.1:80",
    );
    pool(
        "[[pool]]\nname = \"q\"\nservers = [{ address = \"192.0.2.1:80\", weight = 0 }]",
        "pool q: servers: every server is a backup or has weight 0: nobody would take requests",
    );
    pool(
        "[[pool]]\nname = \"q\"\nservers = [{ address = \"192.0.2.1:80\", weight = 257 }]",
        "pool q: servers.weight: 257 is not a number from 0 to 256",
    );
}

#[test]
fn wrong_frontends_are_told() {
    let frontend = |lines: &str, expected: &str| wrong("", lines, &[expected]);
    frontend("", "frontend f: neither `pool` nor a `route`: requests have nowhere to go");
    frontend(
        "pool = \"q\"",
        "frontend f: pool: \"q\" is not the name of a [[pool]] (did you mean \"p\"?)",
    );
    let f = |lines: &str, expected: &str| frontend(&format!("pool = \"p\"\n{lines}"), expected);
    f("ports = [81]", "frontend f: ports: the service does not take port 81");
    f(
        "tls = { certificates = [] }",
        "frontend f: tls.certificates: the list is empty: it needs at least one",
    );
    f(
        "tls = { certificates = [\"a.pem\"] }",
        "frontend f: tls.certificates: \"a.pem\" is not an absolute path",
    );
    f(
        "tls = { ports = [8443], certificates = [\"/a.pem\"] }",
        "frontend f: tls.ports: the frontend does not listen on port 8443",
    );
    f(
        "tls = { min_version = \"1.1\", certificates = [\"/a.pem\"] }",
        "frontend f: tls.min_version: \"1.1\" is not one of \"1.2\" or \"1.3\" (did you mean \"1.2\"?)",
    );
    f(
        "health_uri = \"healthcheck\"",
        "frontend f: health_uri: \"healthcheck\" is not a path that begins with `/`, without query or blanks",
    );
    f(
        "mode = \"tcp\"\nhealth_uri = \"/h\"",
        "frontend f: health_uri: this is for `mode = \"http\"`",
    );
    f("mode = \"tcp\"\nroute = [{ pool = \"p\" }]", "frontend f: route: `sni` is missing");
    f(
        "route = [{ path = \"/a\" }]",
        "frontend f: route: it needs `pool`, `redirect` or `answer`, and one of them alone",
    );
    f(
        "route = [{ pool = \"p\", redirect = \"/a\" }]",
        "frontend f: route: it needs `pool`, `redirect` or `answer`, and one of them alone",
    );
    f(
        "route = [{ redirect = { to = \"https://{hots}/\" } }]",
        "frontend f: route.redirect.to: \"https://{hots}/\" is not a URL, in which {scheme}, {host} and {path} may stand",
    );
    f(
        "route = [{ redirect = { to = \"/a\", status = 200 } }]",
        "frontend f: route.redirect.status: 200 is not a status of redirects: 301, 302, 303, 307 or 308",
    );
    f(
        "route = [{ pool = \"p\", host = \"Example.org\" }]",
        "frontend f: route.host: \"Example.org\" is not a host in lower case without port, or *.HOST for all below it",
    );
    f(
        "route = [{ pool = \"p\", path_regex = \"(\" }]",
        "frontend f: route.path_regex: \"(\" is not a regular expression: unclosed group",
    );
    f(
        "route = [{ pool = \"p\", method = \"get\" }]",
        "frontend f: route.method: \"get\" is not a method, as \"GET\"",
    );
    f(
        "request_headers = { set = { \"X A\" = \"1\" } }",
        "frontend f: request_headers.set.X A: this is not the name of a header",
    );
    f(
        "request_headers = { set = { X-A = \"{cleint}\" } }",
        "frontend f: request_headers.set.X-A: \"{cleint}\" is not a header's value, in which {client}, {host}, {scheme} and {unique_id} may stand",
    );
    f(
        "response_headers = { remove = [\"Content-Length\"] }",
        "frontend f: response_headers.remove: `content-length` says where a message ends: it cannot be changed",
    );
    f(
        "error_page = { status = 200, file = \"/etc/200.html\" }",
        "frontend f: error_page.status: 200 is not a number from 400 to 599",
    );
    f(
        "header_limits = { bytes = 10 }",
        "frontend f: header_limits.bytes: 10 is not a number from 8192 to 1048576",
    );
    let twice =
        "pool = \"p\"\n[[frontend]]\nname = \"f\"\nservice = \"web\"\nports = [80]\npool = \"p\"";
    let told = [
        "frontend f: another [[frontend]] has this name",
        "frontend f: frontend \"f\" listens on port 80 of 198.51.100.1",
    ];
    wrong("", twice, &told);
}

#[test]
fn services_that_cannot_be_listened_on_are_told() {
    let text = format!("{SITE}{POOL}[[frontend]]\nname = \"f\"\nservice = \"dns\"\npool = \"p\"\n");
    let found = problems(&text);
    let says = |text: &str| assert!(found.iter().any(|line| line.contains(text)), "{found:?}");
    says("frontend f: service: service dns is not of TCP");
    says("198.51.100.0/28 is not one address: it cannot be listened on");
    says(
        "frontend f: the service takes a range of ports: say by `ports` which of them are for this",
    );
    let text = format!("{SITE}[proxy]\naccess_log = {{ format = \"clf\" }}\n");
    assert!(problems(&text)[0].contains("proxy: access_log.format: \"clf\" is not one of"));
    let text = format!("{SITE}[proxy]\nnameservers = [\"ns.example.org\"]\n");
    assert!(
        problems(&text)[0].contains("proxy: nameservers: \"ns.example.org\" is not an address")
    );
}
