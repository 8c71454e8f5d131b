//! The link address of a station, as an operator writes it.

use packet::Mac;
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
    let mac: Mac = text.parse().map_err(|_| BadMac::Malformed(text.into()))?;
    if mac.is_multicast() || mac == Mac::default() {
        return Err(BadMac::NotUnicast(text.into()));
    }
    Ok(mac.0)
}
