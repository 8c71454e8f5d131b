//! A client's resolver: asks one server after the other, and keeps what they answer for as long as it lives.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::Namespace;
use crate::message::{Message, question};

/// How long a server may take before another one is asked.
const PATIENCE: Duration = Duration::from_millis(500);

/// It.
#[derive(Debug)]
pub struct Resolver {
    namespace: Namespace,
    servers: Vec<SocketAddr>,
    /// The server that answered last, which is asked first.
    good: usize,
    kept: HashMap<(String, u16), Kept>,
    id: u16,
}

#[derive(Clone, Debug)]
struct Kept {
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl Resolver {
    pub(crate) fn new(namespace: Namespace, servers: Vec<SocketAddr>) -> Self {
        Self { namespace, servers, good: 0, kept: HashMap::new(), id: 0 }
    }

    /// The addresses of a name, as they are kept or asked for now; none if nobody answers, or there are none.
    pub fn resolve(&mut self, name: &str, rtype: u16) -> Vec<IpAddr> {
        let key = (name.to_owned(), rtype);
        if let Some(kept) = self.kept.get(&key).filter(|kept| Instant::now() < kept.until) {
            return kept.addresses.clone();
        }
        self.kept.remove(&key);
        for turn in 0..self.servers.len() {
            let server = (self.good + turn) % self.servers.len();
            let Some(message) = self.ask(self.servers[server], name, rtype) else { continue };
            self.good = server;
            let all: Vec<IpAddr> =
                message.addresses().iter().filter_map(|address| address.parse().ok()).collect();
            let ttl = Duration::from_secs(message.ttl().unwrap_or(0).into());
            let kept = Kept { addresses: all.clone(), until: Instant::now() + ttl };
            self.kept.insert(key, kept);
            return all;
        }
        Vec::new()
    }

    /// What a server answers, if it does in time.
    pub fn ask(&mut self, server: SocketAddr, name: &str, rtype: u16) -> Option<Message> {
        self.id = self.id.wrapping_add(1);
        let asked = question(self.id, name, rtype).edns(1232).finish();
        let reply = self.namespace.enter(|| {
            let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).ok()?;
            socket.set_read_timeout(Some(PATIENCE)).ok()?;
            socket.connect(server).ok()?;
            socket.send(&asked).ok()?;
            let mut reply = vec![0; 4096];
            let length = socket.recv(&mut reply).ok()?;
            reply.truncate(length);
            Some(reply)
        })?;
        Message::parse(&reply).filter(|message| message.id == self.id)
    }
}
