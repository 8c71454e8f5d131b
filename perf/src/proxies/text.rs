//! What the proxies and the server are told: the same of all, in the words of each.

use std::path::Path;

use super::{Rival, SERVER};
use crate::client::NAME;

/// palier's site file.
pub(super) fn palier(folder: &Path, logs: bool) -> String {
    let (folder, vip) = (folder.display(), Rival::Palier.plain().ip());
    let log = if logs {
        format!("access_log = {{ file = \"{folder}/palier.access\" }}")
    } else {
        String::new()
    };
    format!(
        r#"[site]
name = "perf"
hash_key = "70616c6965722770616c696572277321"

[proxy]
{log}

[[l7]]
name = "l7"
index = 1
addresses = ["198.51.100.4"]
workers = 1

[[service]]
name = "web"
vips = ["{vip}"]
protocol = "tcp"
ports = [80, 443]

[[pool]]
name = "server"
servers = ["{SERVER}"]
timeouts = {{ keep_alive = "60s" }}

[[frontend]]
name = "web"
service = "web"
pool = "server"
tls = {{ ports = [443], certificates = ["{folder}/www.pem"] }}
response_headers = {{ set = {{ X-Served-By = "palier" }} }}
"#
    )
}

/// HAProxy's. Its log goes where its output goes, which costs it least.
pub(super) fn haproxy(folder: &Path, logs: bool) -> String {
    let (folder, vip) = (folder.display(), Rival::HaProxy.plain().ip());
    let log = if logs { "log stdout format raw local0" } else { "" };
    format!(
        "global
  nbthread 1
  maxconn 4000
  {log}
  stats socket {folder}/haproxy.socket
defaults
  mode http
  log global
  option httplog
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
frontend web
  bind {vip}:80
  bind {vip}:443 ssl crt {folder}/www.pem
  option forwardfor
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
  http-response set-header X-Served-By haproxy
  default_backend server
backend server
  http-reuse always
  server one {SERVER}
"
    )
}

/// nginx's, as a proxy.
pub(super) fn nginx(folder: &Path, logs: bool) -> String {
    let vip = Rival::Nginx.plain().ip();
    let head = nginx_head(folder, "nginx");
    let folder = folder.display();
    let log = if logs {
        format!("{folder}/nginx.access combined buffer=64k flush=1s")
    } else {
        "off".to_owned()
    };
    format!(
        "{head}http {{
  access_log {log};
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
  client_body_temp_path {folder}/nginx.client;
  proxy_temp_path {folder}/nginx.proxy;
  proxy_max_temp_file_size 0;
  upstream server {{ server {SERVER}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    server_name {NAME};
    listen {vip}:80;
    listen {vip}:443 ssl;
    ssl_certificate {folder}/www.pem;
    ssl_certificate_key {folder}/www.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
    location / {{
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      add_header X-Served-By nginx;
    }}
    location /status {{ stub_status; }}
  }}
}}
"
    )
}

/// That of the server behind all of them.
pub(super) fn server(folder: &Path) -> String {
    let head = nginx_head(folder, "server");
    let folder = folder.display();
    format!(
        "{head}http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  open_file_cache max=10;
  server {{ listen {SERVER}; root {folder}; }}
}}
"
    )
}

/// What both of nginx's have: one process, as one CPU is what is measured.
fn nginx_head(folder: &Path, name: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
user root;
pid {folder}/{name}.pid;
error_log {folder}/{name}.error;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
"
    )
}
