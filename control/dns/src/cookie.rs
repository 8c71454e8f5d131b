//! Cookies: who has had an answer of ours before is who it says (RFC 7873, RFC 9018).

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::message::Cookie;

/// The only version that there is (RFC 9018 section 4.1).
const VERSION: u8 = 1;
/// Seconds that a cookie is good for, and that clocks of several servers may differ (RFC 9018 section 4.3).
const LIFETIME: i32 = 3600;
const AHEAD: i32 = 300;
/// Older than so many seconds a new one is given.
const RENEWAL: i32 = 1800;

/// What our cookies are made with: the same on all servers behind one address.
#[derive(Clone)]
pub struct Jar {
    secret: [u8; 16],
}

impl std::fmt::Debug for Jar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jar")
    }
}

impl Jar {
    /// Of this secret.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// Whether the asker has a cookie of ours, and what it gets. `now` is seconds since 1970, of which the last
    /// 32 bits count.
    pub(crate) fn judge(&self, cookie: &Cookie<'_>, asker: IpAddr, now: u32) -> (bool, [u8; 24]) {
        let age = self.age(cookie, asker, now);
        let is_ours = age.is_some_and(|age| (-AHEAD..=LIFETIME).contains(&age));
        let since = match age {
            // It keeps what it has.
            Some(age @ ..=RENEWAL) if is_ours => now.wrapping_sub(age as u32),
            _ => now,
        };
        let mut whole = [0; 24];
        whole[..8].copy_from_slice(&cookie.client);
        whole[8..].copy_from_slice(&self.bake(cookie.client, asker, since));
        (is_ours, whole)
    }

    /// How old a cookie of ours is; nothing if it is none.
    fn age(&self, cookie: &Cookie<'_>, asker: IpAddr, now: u32) -> Option<i32> {
        let (&[VERSION, 0, 0, 0, t0, t1, t2, t3], _) = cookie.server.split_first_chunk()? else {
            return None;
        };
        let since = u32::from_be_bytes([t0, t1, t2, t3]);
        let is_ours = self.bake(cookie.client, asker, since) == cookie.server;
        // Serial numbers (RFC 1982): it goes on after 2106.
        is_ours.then_some(now.wrapping_sub(since) as i32)
    }

    /// RFC 9018 section 4.4.
    fn bake(&self, client: [u8; 8], asker: IpAddr, since: u32) -> [u8; 16] {
        let mut server = [0; 16];
        server[0] = VERSION;
        server[4..8].copy_from_slice(&since.to_be_bytes());
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(&client);
        hasher.write(&server[..8]);
        match asker {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        server[8..].copy_from_slice(&hasher.finish().to_le_bytes());
        server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    }

    /// RFC 9018 appendix A.
    #[test]
    fn cookies_are_those_of_rfc_9018() {
        let jar = Jar::new(hex("e5e973e5a6b2a43f48e7dc849e37bfcf"));
        let asker = "198.51.100.100".parse().unwrap();
        let client = hex("2464c4abcf10c957");
        let new = Cookie { client, server: &[] };
        let expected: [u8; 24] = hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        assert_eq!(jar.judge(&new, asker, 1_559_731_985), (false, expected));
        let again = Cookie { client, server: &expected[8..] };
        let (is_ours, renewed) = jar.judge(&again, asker, 1_559_734_385);
        assert!(is_ours);
        assert_eq!(renewed, hex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77"));

        // One that another secret has made is renewed.
        let client = hex("22681ab97d52c298");
        let asker = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let old = Jar::new(hex("dd3bdf9344b678b185a6f5cb60fca715"));
        let expected: [u8; 24] = hex("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let new = Cookie { client, server: &[] };
        assert_eq!(old.judge(&new, asker, 1_559_741_817).1, expected);
        let jar = Jar::new(hex("445536bcd2513298075a5d379663c962"));
        let (is_ours, renewed) =
            jar.judge(&Cookie { client, server: &expected[8..] }, asker, 1_559_741_961);
        assert!(!is_ours);
        assert_eq!(renewed, hex("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
    }

    #[test]
    fn cookies_of_others_and_of_other_times_are_none() {
        let jar = Jar::new([7; 16]);
        let (asker, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let client = [1; 8];
        let now = u32::MAX - 10;
        let (_, whole) = jar.judge(&Cookie { client, server: &[] }, asker, now);
        let cookie = Cookie { client, server: &whole[8..] };
        for (asker, at, is_ours) in [
            (asker, now, true),
            (asker, now.wrapping_add(3600), true),
            (asker, now.wrapping_add(3601), false),
            (asker, now - 300, true),
            (asker, now - 301, false),
            (other, now, false),
        ] {
            assert_eq!(jar.judge(&cookie, asker, at).0, is_ours, "{asker} {at}");
        }
        assert_eq!(jar.judge(&cookie, asker, now.wrapping_add(60)).1, whole, "it keeps it");
        assert!(!jar.judge(&Cookie { client: [2; 8], ..cookie }, asker, now).0);
        let mut forged = whole;
        forged[23] ^= 1;
        assert!(!jar.judge(&Cookie { client, server: &forged[8..] }, asker, now).0);
        assert!(!jar.judge(&Cookie { client, server: &whole[8..16] }, asker, now).0);
    }
}
