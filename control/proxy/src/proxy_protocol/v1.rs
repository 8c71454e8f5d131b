//! Version 1: one line of text (section 2.1).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Bad, Header, Read};

/// What it begins with.
const START: &[u8] = b"PROXY ";
/// Longest line, its end included.
const LONGEST: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Read>, Bad> {
    let known = bytes.len().min(START.len());
    if bytes[..known] != START[..known] {
        return Err(Bad::Absent);
    }
    let line = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return if line.len() < LONGEST { Ok(None) } else { Err(Bad::TooLong) };
    };
    let text = line[..end].strip_suffix(b"\r").ok_or(Bad::V1)?;
    let text = str::from_utf8(&text[START.len()..]).map_err(|_| Bad::V1)?;
    let header = header(text).ok_or(Bad::V1)?;
    Ok(Some(Read { header, length: end + 1 }))
}

/// What follows `PROXY `.
fn header(text: &str) -> Option<Header> {
    // Whatever follows UNKNOWN is to be ignored.
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Some(Header::Local);
    }
    // One space each, so that there is one way to write a header.
    let mut words = text.split(' ');
    let family = words.next()?;
    let mut address = || {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (address()?, address()?);
    let mut port = || port(words.next()?);
    let (source_port, destination_port) = (port()?, port()?);
    words.next().is_none().then_some(Header::Proxied {
        source: (source, source_port).into(),
        destination: (destination, destination_port).into(),
    })
}

/// A decimal without leading zeroes: `parse` would take `+1`, too.
fn port(word: &str) -> Option<u16> {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_shortest = word == "0" || !word.starts_with('0');
    (is_number && is_shortest).then(|| word.parse().ok())?
}

pub(super) fn build(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let Some((source, destination)) = ends else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let mut line = String::with_capacity(LONGEST);
    // A string takes all.
    let _ = write!(
        line,
        "PROXY {family} {} {} {} {}\r\n",
        text(source.ip()),
        text(destination.ip()),
        source.port(),
        destination.port()
    );
    line.into_bytes()
}

/// An address as the text wants it: a mapped one in hexadecimal, as all of version 1's IPv6.
fn text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
            let [.., high, low] = ip.segments();
            format!("::ffff:{high:x}:{low:x}")
        }
        IpAddr::V6(ip) => ip.to_string(),
    }
}
