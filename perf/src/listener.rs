//! A router that listens, as little of one as is needed: it counts the IPv4 prefixes that it is told.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Its autonomous system.
pub const AS: u16 = 65_010;

/// Takes one session, and counts.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    prefixes: Arc<AtomicUsize>,
}

impl Listener {
    /// One at an address of its own on loopback: 127.0.1.NUMBER.
    ///
    /// # Errors
    /// There is no port to be had.
    pub fn start(number: u8) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 1, number), 0))?;
        let address = listener.local_addr()?;
        let prefixes = Arc::new(AtomicUsize::new(0));
        let counted = prefixes.clone();
        // It ends with the session.
        thread::spawn(move || {
            let taken = listener.accept().and_then(|(stream, _)| take(stream, number, &counted));
            if let Err(error) = taken {
                eprintln!("router {number}: {error}");
            }
        });
        Ok(Self { address, prefixes })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Prefixes that it was told, less those that were taken back.
    pub fn prefixes(&self) -> usize {
        self.prefixes.load(Relaxed)
    }
}

fn take(mut stream: TcpStream, number: u8, prefixes: &AtomicUsize) -> io::Result<()> {
    // Version 4, hold time 240 s, without capabilities: IPv4 unicast alone.
    let [high, low] = AS.to_be_bytes();
    let open = [4, high, low, 0, 240, 192, 0, 2, number, 0];
    stream.write_all(&message(1, &open))?;
    stream.write_all(&message(4, &[]))?;
    let mut header = [0; 19];
    loop {
        if let Err(error) = stream.read_exact(&mut header) {
            return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(error) };
        }
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let mut body = vec![0; length.saturating_sub(header.len())];
        stream.read_exact(&mut body)?;
        if header[18] == 2 {
            let (gone, told) = count(&body).ok_or(io::ErrorKind::InvalidData)?;
            prefixes.fetch_add(told, Relaxed);
            prefixes.fetch_sub(gone, Relaxed);
        }
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).expect("ours are short");
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

/// Host routes in an UPDATE: withdrawn, and announced.
fn count(body: &[u8]) -> Option<(usize, usize)> {
    /// Length, and four bytes.
    const HOST: usize = 5;
    let length =
        |at: usize| Some(usize::from(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?)));
    let withdrawn = length(0)?;
    let attributes = length(2 + withdrawn)?;
    let told = body.len().checked_sub(4 + withdrawn + attributes)?;
    Some((withdrawn / HOST, told / HOST))
}
