//! A server behind the L7 nodes: nginx, which is told by the PROXY protocol who the client is and writes
//! that to its log, a plain HTTP server, and an agent that says what the server wants to be.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::address::{self, Addresses};
use crate::l4::PALIERCTL;
use crate::process::Process;
use crate::{Error, Namespace, Server, program, wait_until};

/// Where nginx expects PROXY headers.
pub const PROXIED_PORT: u16 = 80;
/// Where the plain server listens.
pub const PLAIN_PORT: u16 = 8080;
/// Where the agent answers.
pub const AGENT_PORT: u16 = 5555;

/// How long nginx may take to start or to stop.
const LIMIT: Duration = Duration::from_secs(20);

/// A server.
#[derive(Debug)]
pub struct Backend {
    number: usize,
    name: String,
    namespace: Namespace,
    folder: PathBuf,
    nginx: Mutex<Option<Process>>,
    agent: Mutex<Option<Process>>,
    plain: Server,
}

impl Backend {
    pub(crate) fn start(number: usize, namespace: Namespace, lab: &Path) -> Result<Self, Error> {
        let name = format!("server-{number}");
        let folder = lab.join(&name);
        let system = Error::system("a server of the lab");
        fs::create_dir_all(folder.join("www")).map_err(system)?;
        let write = |file: &str, text: &str| {
            fs::write(folder.join(file), text).map_err(Error::system("a server of the lab"))
        };
        write("nginx.conf", &configuration(&folder, &name))?;
        write("agent", "up ready 100%\n")?;
        write("www/index.html", &format!("{name}\n"))?;
        write("www/healthcheck", "well\n")?;
        let plain = Server::on(&namespace, &name, PLAIN_PORT, &[])?;
        let (nginx, agent) = Default::default();
        let backend = Self { number, name, namespace, folder, nginx, agent, plain };
        backend.start_nginx()?;
        let mut command = backend.namespace.command(program::find(PALIERCTL)?);
        command.args(["agent", "--listen", &format!("[::]:{AGENT_PORT}"), "--file"]);
        command.arg(backend.folder.join("agent"));
        let log = backend.folder.join("agent.log");
        *lock(&backend.agent) = Some(Process::start(PALIERCTL, &backend.name, &mut command, &log)?);
        Ok(backend)
    }

    /// Starts nginx, and returns once it listens.
    ///
    /// # Errors
    /// It ended instead; its last words are in the error.
    pub fn start_nginx(&self) -> Result<(), Error> {
        let mut command = self.namespace.command("nginx");
        command.arg("-c").arg(self.folder.join("nginx.conf")).arg("-p").arg(&self.folder);
        let log = self.folder.join("nginx.log");
        let mut process = Process::start("nginx", &self.name, &mut command, &log)?;
        let address = (self.addresses().v4, PROXIED_PORT);
        process.wait_ready(LIMIT, |_| {
            self.namespace.enter(|| std::net::TcpStream::connect(address).is_ok())
        })?;
        *lock(&self.nginx) = Some(process);
        Ok(())
    }

    /// Stops nginx: connections are refused, and those that are open end.
    ///
    /// # Panics
    /// It does not run, or does not end.
    pub fn stop_nginx(&self) {
        let process = lock(&self.nginx).take();
        // With SIGTERM its workers end at once; the master waits for them.
        process.expect("nginx runs").terminate(LIMIT);
    }

    /// Has the agent say these words from now on: `drain`, `maint`, `ready up 50%`.
    ///
    /// # Panics
    /// They cannot be written.
    pub fn say(&self, words: &str) {
        let new = self.folder.join("agent.new");
        let written = fs::write(&new, format!("{words}\n"))
            .and_then(|()| fs::rename(&new, self.folder.join("agent")));
        written.unwrap_or_else(|error| panic!("the agent's file of {}: {error}", self.name));
    }

    /// What the agent says now.
    pub fn said(&self) -> String {
        let text = fs::read_to_string(self.folder.join("agent")).unwrap_or_default();
        text.trim().to_owned()
    }

    /// Lines of nginx's log: client, and what it asked for, with the status of the answer.
    pub fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("access.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Requests that nginx has answered, health checks apart.
    pub fn requests(&self) -> usize {
        self.log().iter().filter(|line| !line.contains("/healthcheck")).count()
    }

    /// Empties nginx's log.
    pub fn clear_log(&self) {
        // nginx appends: what comes next stands at the beginning.
        let _ = fs::File::create(self.folder.join("access.log"));
    }

    /// Waits until nginx has answered a request whose log line has this in it, and returns the line.
    ///
    /// # Panics
    /// None comes.
    pub fn wait_logged(&self, part: &str) -> String {
        let mut found = None;
        wait_until(&format!("{} logs {part}", self.name), LIMIT, || {
            found = self.log().into_iter().find(|line| line.contains(part));
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// The plain HTTP server.
    pub fn plain(&self) -> &Server {
        &self.plain
    }

    /// Its name: `server-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where it is.
    pub fn addresses(&self) -> Addresses {
        address::server(self.number)
    }
}

fn lock(process: &Mutex<Option<Process>>) -> MutexGuard<'_, Option<Process>> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}

/// nginx as the article has it: the client is who the PROXY header says.
fn configuration(folder: &Path, name: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/nginx.pid;\n\
         error_log {folder}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
           log_format real '$remote_addr $proxy_protocol_server_addr \"$request\" $status \
             \"$http_x_forwarded_proto\" $connection $connection_requests';\n\
           access_log {folder}/access.log real;\n\
           client_body_temp_path {folder}/body;\n\
           proxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi;\n\
           uwsgi_temp_path {folder}/uwsgi;\n\
           scgi_temp_path {folder}/scgi;\n\
           keepalive_requests 1000000;\n\
           server {{\n\
             listen [::]:{PROXIED_PORT} default ipv6only=off proxy_protocol;\n\
             root {folder}/www;\n\
             set_real_ip_from 0.0.0.0/0;\n\
             set_real_ip_from ::/0;\n\
             real_ip_header proxy_protocol;\n\
             add_header X-Node {name} always;\n\
             location = /whoami {{ return 200 \"$remote_addr\\n\"; }}\n\
           }}\n\
         }}\n"
    )
}
