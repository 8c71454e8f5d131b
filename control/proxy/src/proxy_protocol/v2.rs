//! Version 2: a binary header with TLVs (section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Bad, Header, MAX, Read};

/// What it begins with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

const TLV_ALPN: u8 = 0x01;
const TLV_AUTHORITY: u8 = 0x02;
const TLV_CRC32C: u8 = 0x03;
const TLV_UNIQUE_ID: u8 = 0x05;
const TLV_SSL: u8 = 0x20;
const TLV_SSL_VERSION: u8 = 0x21;
const TLV_SSL_CIPHER: u8 = 0x23;
/// The client connected over TLS.
const CLIENT_SSL: u8 = 0x01;
/// Longest unique identifier.
const UNIQUE_ID: usize = 128;

/// What else is told of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras<'a> {
    /// Protocol that the client and we have agreed on (`h2`, `http/1.1`).
    pub alpn: Option<&'a [u8]>,
    /// Host name that the client named (SNI).
    pub authority: Option<&'a str>,
    /// Tells the connection apart from all others; its first 128 bytes.
    pub unique_id: Option<&'a [u8]>,
    /// How the client's connection is protected.
    pub tls: Option<Tls<'a>>,
}

/// The client's TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// `TLSv1.3`
    pub version: &'a str,
    /// `TLS13_AES_128_GCM_SHA256`
    pub cipher: Option<&'a str>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Read>, Bad> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(Bad::Absent);
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(None) };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) {
        return Err(Bad::V2);
    }
    if FIXED + length > MAX {
        return Err(Bad::TooLong);
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    // Of LOCAL all that follows is to be ignored, the family, too.
    let header = if command == LOCAL { Header::Local } else { proxied(family, payload)? };
    if command == PROXY {
        let tlvs = payload.get(addresses(family)..).ok_or(Bad::V2)?;
        check(&bytes[..FIXED + length], FIXED + addresses(family), tlvs)?;
    }
    Ok(Some(Read { header, length: FIXED + length }))
}

/// Bytes of a family's addresses; those of others are skipped with the rest.
const fn addresses(family: u8) -> usize {
    match family {
        TCP4 => 12,
        TCP6 => 36,
        // UDP over IPv4, IPv6; Unix sockets.
        0x12 => 12,
        0x22 => 36,
        0x31 | 0x32 => 216,
        _ => 0,
    }
}

fn proxied(family: u8, payload: &[u8]) -> Result<Header, Bad> {
    match family {
        TCP4 => {
            let ends = payload.first_chunk::<12>().ok_or(Bad::V2)?;
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *ends;
            Ok(Header::Proxied {
                source: (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([i, j])).into(),
                destination: (Ipv4Addr::new(e, f, g, h), u16::from_be_bytes([k, l])).into(),
            })
        }
        TCP6 => {
            let (source, rest) = payload.split_first_chunk::<16>().ok_or(Bad::V2)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or(Bad::V2)?;
            let [i, j, k, l] = *rest.first_chunk::<4>().ok_or(Bad::V2)?;
            Ok(Header::Proxied {
                source: (Ipv6Addr::from(*source), u16::from_be_bytes([i, j])).into(),
                destination: (Ipv6Addr::from(*destination), u16::from_be_bytes([k, l])).into(),
            })
        }
        // UNSPEC, and what a TCP listener has no use for.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Ok(Header::Local),
        _ => Err(Bad::V2),
    }
}

/// Whether the TLVs fill their room exactly, and the checksum, if there is one, is right. `offset` is where
/// they begin in the header.
fn check(header: &[u8], offset: usize, tlvs: &[u8]) -> Result<(), Bad> {
    let mut rest = tlvs;
    while !rest.is_empty() {
        let [kind, high, low, after @ ..] = rest else { return Err(Bad::V2) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = after.split_at_checked(length).ok_or(Bad::V2)?;
        if *kind == TLV_CRC32C {
            let told = <[u8; 4]>::try_from(value).map_err(|_| Bad::V2)?;
            let at = offset + (tlvs.len() - after.len()) - value.len();
            // Reckoned with zeroes in its own place.
            let mut zeroed = header.to_vec();
            zeroed[at..at + value.len()].fill(0);
            if crc32c(&zeroed) != u32::from_be_bytes(told) {
                return Err(Bad::Checksum);
            }
        }
        rest = after;
    }
    Ok(())
}

/// CRC-32C (Castagnoli), bit by bit: headers are short, and rarely checked.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

pub(super) fn build(ends: Option<(SocketAddr, SocketAddr)>, extras: &Extras<'_>) -> Vec<u8> {
    let mut header = Vec::with_capacity(128);
    header.extend_from_slice(SIGNATURE);
    let Some((source, destination)) = ends else {
        header.extend_from_slice(&[LOCAL, 0, 0, 0]);
        return header;
    };
    header.extend_from_slice(&[PROXY, if source.is_ipv4() { TCP4 } else { TCP6 }, 0, 0]);
    for end in [source, destination] {
        match end {
            SocketAddr::V4(end) => header.extend_from_slice(&end.ip().octets()),
            SocketAddr::V6(end) => header.extend_from_slice(&end.ip().octets()),
        }
    }
    for end in [source, destination] {
        header.extend_from_slice(&end.port().to_be_bytes());
    }
    extras.write(&mut header);
    let length = (header.len() - FIXED) as u16;
    header[FIXED - 2..FIXED].copy_from_slice(&length.to_be_bytes());
    header
}

impl Extras<'_> {
    fn write(&self, header: &mut Vec<u8>) {
        let Self { alpn, authority, unique_id, tls } = self;
        if let Some(alpn) = alpn {
            tlv(header, TLV_ALPN, alpn);
        }
        if let Some(authority) = authority {
            tlv(header, TLV_AUTHORITY, authority.as_bytes());
        }
        if let Some(id) = unique_id {
            tlv(header, TLV_UNIQUE_ID, &id[..id.len().min(UNIQUE_ID)]);
        }
        if let Some(Tls { version, cipher }) = tls {
            // Which parts follow; that no certificate was verified: not zero.
            let mut value = vec![CLIENT_SSL, 0, 0, 0, 1];
            tlv(&mut value, TLV_SSL_VERSION, version.as_bytes());
            if let Some(cipher) = cipher {
                tlv(&mut value, TLV_SSL_CIPHER, cipher.as_bytes());
            }
            tlv(header, TLV_SSL, &value);
        }
    }
}

/// Values are short: a host name has at most 253 bytes.
fn tlv(header: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let value = &value[..value.len().min(512)];
    header.push(kind);
    header.extend_from_slice(&(value.len() as u16).to_be_bytes());
    header.extend_from_slice(value);
}
