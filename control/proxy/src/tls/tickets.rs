//! Session tickets (RFC 5077, RFC 8446 section 4.6.1) that every core and every node of a site can read: their
//! keys follow from a secret of the site and from time, so nothing has to be told to anybody.
//!
//! A ticket is `period (8) | nonce (12) | sealed state and tag`. A key is used for one period to make tickets,
//! and for one more to read them; one period ahead is read too, for clocks that differ.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;

/// How long tickets are made with one key, and may be used.
const PERIOD: Duration = Duration::from_secs(6 * 3600);
/// Bytes of the period in front.
const NUMBER: usize = 8;

/// What keys of tickets follow from: 32 bytes or more that nobody else knows.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret(Vec<u8>);

impl TicketSecret {
    /// This.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    pub(super) fn ticketer(&self) -> Arc<dyn ProducesTickets> {
        let root = Salt::new(HKDF_SHA256, b"palier tls tickets 1").extract(&self.0);
        Arc::new(Ticketer { root, random: SystemRandom::new() })
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(..)")
    }
}

struct Ticketer {
    root: Prk,
    random: SystemRandom,
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer(..)")
    }
}

impl Ticketer {
    fn key(&self, period: u64) -> Option<LessSafeKey> {
        let number = period.to_be_bytes();
        let info = [&number[..]];
        let key = self.root.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(key)))
    }

    fn seal(&self, plain: &[u8], period: u64) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let number = period.to_be_bytes();
        let mut sealed = plain.to_vec();
        let key = self.key(period)?;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(number),
            &mut sealed,
        )
        .ok()?;
        Some([&number[..], &nonce, &sealed].concat())
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (number, rest) = ticket.split_first_chunk::<NUMBER>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let period = u64::from_be_bytes(*number);
        if period.abs_diff(now) > 1 {
            return None;
        }
        let mut sealed = sealed.to_vec();
        let key = self.key(period)?;
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(*number), &mut sealed)
            .ok()?;
        Some(plain.to_vec())
    }
}

/// The period of this moment.
fn period() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() / PERIOD.as_secs()
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        PERIOD.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, period())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, period())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticketer(secret: &[u8]) -> Ticketer {
        let root = Salt::new(HKDF_SHA256, b"palier tls tickets 1").extract(secret);
        Ticketer { root, random: SystemRandom::new() }
    }

    #[test]
    fn a_ticket_is_read_by_whoever_has_the_secret_for_two_periods() {
        let (one, other) = (ticketer(b"the site's"), ticketer(b"the site's"));
        let ticket = one.seal(b"state", 1000).unwrap();
        for (now, read) in [(998, false), (999, true), (1000, true), (1001, true), (1002, false)] {
            assert_eq!(other.open(&ticket, now).is_some(), read, "{now}");
        }
        assert_eq!(other.open(&ticket, 1000).unwrap(), b"state");
        assert_eq!(ticketer(b"another's").open(&ticket, 1000), None);
    }

    #[test]
    fn what_was_changed_or_cut_is_no_ticket() {
        let one = ticketer(b"the site's");
        let ticket = one.seal(b"state", 1000).unwrap();
        for place in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[place] ^= 1;
            assert_eq!(one.open(&changed, 1000), None, "{place}");
            assert_eq!(one.open(&ticket[..place], 1000), None, "{place}");
        }
        assert_ne!(one.seal(b"state", 1000).unwrap(), ticket, "a nonce is used once");
    }
}
