//! A nameserver that says what a test wants.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use lab::Namespace;

/// What is said of a name.
#[derive(Clone, Debug)]
enum Word {
    /// These addresses, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// SERVFAIL.
    Broken,
}

/// A nameserver in a namespace, over UDP. Of names that it was told nothing of it says that there are none.
/// Its thread ends with the test's process.
#[derive(Debug)]
pub struct Zone {
    words: Arc<Mutex<BTreeMap<String, Word>>>,
    questions: Arc<AtomicUsize>,
}

impl Zone {
    /// One at this address.
    ///
    /// # Panics
    /// It cannot be bound.
    pub fn start(namespace: &Namespace, at: SocketAddr) -> Self {
        let socket = namespace.enter(|| UdpSocket::bind(at)).expect("nobody else is there");
        let zone = Self { words: Arc::default(), questions: Arc::default() };
        let (words, questions) = (Arc::clone(&zone.words), Arc::clone(&zone.questions));
        thread::spawn(move || {
            let mut message = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut message) {
                let words = words.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(answer) = answer(&message[..length], &words) {
                    questions.fetch_add(1, Relaxed);
                    // Whoever is gone asks again.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        zone
    }

    /// Says from now on that a name has these addresses, for so many seconds.
    pub fn say(&self, name: &str, addresses: &[IpAddr], ttl: u32) {
        self.put(name, Word::Addresses(addresses.to_vec(), ttl));
    }

    /// Says from now on that it cannot tell.
    pub fn break_down(&self, name: &str) {
        self.put(name, Word::Broken);
    }

    fn put(&self, name: &str, word: Word) {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), word);
    }

    /// Questions so far.
    pub fn questions(&self) -> usize {
        self.questions.load(Relaxed)
    }
}

/// The answer to a message of one question (RFC 1035 section 4).
fn answer(message: &[u8], words: &BTreeMap<String, Word>) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    let question = message.get(12..at + 4)?;
    let (code, addresses, ttl) = match words.get(&labels.join(".")) {
        Some(Word::Addresses(all, ttl)) => (0, all.as_slice(), *ttl),
        Some(Word::Broken) => (2, &[][..], 0),
        None => (3, &[][..], 0),
    };
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(v4), 1) => Some(v4.octets().to_vec()),
            (IpAddr::V6(v6), 28) => Some(v6.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut answer = message[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for record in records {
        // The name of the question, at offset 12.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend((record.len() as u16).to_be_bytes());
        answer.extend(record);
    }
    Some(answer)
}
