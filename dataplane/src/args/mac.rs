//! Link addresses, as they are written.

use thiserror::Error;

/// The text is not the link address of one station.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum BadMac {
    #[error("`{0}` is not a link address (02:00:00:00:00:01)")]
    Malformed(String),
    #[error("`{0}` is not the link address of one station")]
    NotUnicast(String),
}

/// Six pairs of hexadecimal digits: a unicast address.
pub(super) fn parse(text: &str) -> Result<[u8; 6], BadMac> {
    let malformed = || BadMac::Malformed(text.into());
    let mut mac = [0; 6];
    let mut pairs = text.split(':');
    for byte in &mut mac {
        let pair = pairs.next().ok_or_else(malformed)?;
        if pair.len() != 2 || !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed())?;
    }
    if pairs.next().is_some() {
        return Err(malformed());
    }
    let is_group = mac[0] & 1 == 1;
    if is_group || mac == [0; 6] { Err(BadMac::NotUnicast(text.into())) } else { Ok(mac) }
}
