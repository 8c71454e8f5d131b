use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The site's 128-bit key of the flow hash: a secret, as whoever knows it can aim flows at one node.
///
/// Written as 32 hexadecimal digits. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

/// The text is not a hash key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a hash key is 32 hexadecimal digits (`openssl rand -hex 16` makes one)")]
pub struct BadHashKey;

impl HashKey {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(secret)")
    }
}

impl FromStr for HashKey {
    type Err = BadHashKey;

    fn from_str(text: &str) -> Result<Self, BadHashKey> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadHashKey);
        }
        let value = u128::from_str_radix(text, 16).map_err(|_| BadHashKey)?;
        Ok(Self(value.to_be_bytes()))
    }
}

impl Serialize for HashKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", u128::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for HashKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_and_debug_hides_it() {
        let text = "000102030405060708090a0b0c0d0eff";
        let key: HashKey = text.parse().unwrap();
        assert_eq!(key.bytes()[15], 0xff);
        assert_eq!(serde_json::to_string(&key).unwrap(), format!("\"{text}\""));
        assert!(!format!("{key:?}").contains("0e"));
    }

    #[test]
    fn anything_but_32_digits_is_refused() {
        for bad in
            ["", "00", "+00102030405060708090a0b0c0d0eff", "000102030405060708090a0b0c0d0exx"]
        {
            assert_eq!(bad.parse::<HashKey>(), Err(BadHashKey), "{bad}");
        }
    }
}
