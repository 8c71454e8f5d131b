//! Both versions, read, written, and compared with what two other implementations make of them.

use proptest::prelude::*;

use super::*;

fn ends(source: &str, destination: &str) -> (SocketAddr, SocketAddr) {
    (source.parse().unwrap(), destination.parse().unwrap())
}

fn proxied((source, destination): (SocketAddr, SocketAddr)) -> Header {
    Header::Proxied { source, destination }
}

const V4: (&str, &str) = ("192.0.2.1:50000", "198.51.100.1:443");
const V6: (&str, &str) = ("[2001:db8::1]:50000", "[2001:db8::2]:443");

fn samples() -> Vec<(Vec<u8>, Header)> {
    let extras = Extras {
        alpn: Some(b"http/1.1"),
        authority: Some("example.org"),
        unique_id: Some(b"0123"),
        tls: Some(Tls { version: "TLSv1.3", cipher: Some("TLS13_AES_128_GCM_SHA256") }),
    };
    let mut samples = Vec::new();
    for version in [Version::V1, Version::V2] {
        for (source, destination) in [V4, V6] {
            let ends = ends(source, destination);
            samples.push((build(version, Some(ends), &extras), proxied(ends)));
        }
        samples.push((build(version, None, &extras), Header::Local));
    }
    samples
}

#[test]
fn what_is_written_is_read_and_every_part_of_it_is_too_little() {
    for (bytes, header) in samples() {
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length]), Ok(None), "{length} of {bytes:?}");
        }
        let read = Read { header, length: bytes.len() };
        assert_eq!(parse(&bytes), Ok(Some(read)));
        // What follows is the client's.
        assert_eq!(parse(&[&bytes, &b"GET / HTTP/1.1\r\n"[..]].concat()), Ok(Some(read)));
    }
}

#[test]
fn addresses_of_two_families_are_told_as_ipv6_and_mapped_ones_as_ipv4() {
    let mixed = ends("192.0.2.1:1", "[2001:db8::2]:2");
    let text = build(Version::V1, Some(mixed), &Extras::default());
    assert_eq!(text, b"PROXY TCP6 ::ffff:c000:201 2001:db8::2 1 2\r\n");
    let read = parse(&text).unwrap().unwrap();
    assert_eq!(read.header, proxied(ends("[::ffff:192.0.2.1]:1", "[2001:db8::2]:2")));
    let mapped = ends("[::ffff:192.0.2.1]:1", "[::ffff:198.51.100.1]:2");
    let text = build(Version::V1, Some(mapped), &Extras::default());
    assert_eq!(text, b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n");
}

#[test]
fn version_1_takes_one_way_to_write_a_header() {
    for bad in [
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY UNKNOWNED\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(parse(bad.as_bytes()), Err(Bad::V1), "{bad}");
    }
    assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(Bad::Absent));
    assert_eq!(parse(b"PROXY\xffTCP4"), Err(Bad::Absent));
    let unknown = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(unknown.len(), 107);
    let read = Read { header: Header::Local, length: 107 };
    assert_eq!(parse(unknown.as_bytes()), Ok(Some(read)));
    assert_eq!(parse(unknown.replace('x', "xx").as_bytes()), Err(Bad::TooLong));
}

/// A header of version 2 with these bytes after the signature.
fn v2(rest: &[u8]) -> Vec<u8> {
    [v2::SIGNATURE, rest].concat()
}

#[test]
fn version_2_is_refused_where_it_is_not_the_protocols() {
    let mut ends = vec![192, 0, 2, 1, 198, 51, 100, 1, 0, 1, 0, 2];
    let with = |command: u8, family: u8, payload: &[u8]| {
        v2(&[&[command, family, 0, payload.len() as u8], payload].concat())
    };
    assert!(parse(&with(0x21, 0x11, &ends)).unwrap().is_some());
    for (command, family, payload) in [
        (0x11, 0x11, &ends[..]),
        (0x22, 0x11, &ends),
        (0x21, 0x41, &ends),
        (0x21, 0x11, &ends[1..]),
    ] {
        assert_eq!(parse(&with(command, family, payload)), Err(Bad::V2), "{command:x} {family:x}");
    }
    assert_eq!(parse(&v2(&[0x21, 0x11, 0xff, 0xff])), Err(Bad::TooLong));
    // LOCAL: whatever follows.
    let local = parse(&with(0x20, 0x99, &[1, 2, 3])).unwrap().unwrap();
    assert_eq!(local, Read { header: Header::Local, length: 19 });
    // A TLV that says that it is longer than its room.
    ends.extend([0x05, 0, 9, b'x']);
    assert_eq!(parse(&with(0x21, 0x11, &ends)), Err(Bad::V2));
}

#[test]
fn a_checksum_is_checked() {
    let mut payload = vec![192, 0, 2, 1, 198, 51, 100, 1, 0, 1, 0, 2, 0x05, 0, 1, b'x'];
    payload.extend([0x03, 0, 4]);
    // Reckoned by another implementation of CRC-32C over the header with zeroes in its place.
    let header = |crc: [u8; 4]| {
        v2(&[&[0x21, 0x11, 0, payload.len() as u8 + 4], &payload[..], &crc].concat())
    };
    let right = crc_of(&header([0; 4]));
    assert!(parse(&header(right.to_be_bytes())).unwrap().is_some());
    assert_eq!(parse(&header((right ^ 1).to_be_bytes())), Err(Bad::Checksum));
}

/// CRC-32C by table, as in RFC 3720's appendix; its check value is of "123456789".
fn crc_of(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|n| (0..8).fold(n, |c, _| if c & 1 == 1 { 0x82f6_3b78 ^ (c >> 1) } else { c >> 1 }))
        .collect();
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |c, b| table[((c ^ u32::from(*b)) & 0xff) as usize] ^ (c >> 8))
    };
    assert_eq!(crc(b"123456789"), 0xe306_9283);
    crc(bytes)
}

/// What `ppp` makes of a whole header: its addresses, if it takes it.
fn by_ppp(bytes: &[u8]) -> Option<Header> {
    use ppp::{HeaderResult, v1, v2};
    let header = match HeaderResult::parse(bytes) {
        HeaderResult::V1(Ok(header)) => match header.addresses {
            v1::Addresses::Tcp4(a) => proxied((
                (a.source_address, a.source_port).into(),
                (a.destination_address, a.destination_port).into(),
            )),
            v1::Addresses::Tcp6(a) => proxied((
                (a.source_address, a.source_port).into(),
                (a.destination_address, a.destination_port).into(),
            )),
            v1::Addresses::Unknown => Header::Local,
        },
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Proxy => {
            match header.addresses {
                v2::Addresses::IPv4(a) => proxied((
                    (a.source_address, a.source_port).into(),
                    (a.destination_address, a.destination_port).into(),
                )),
                v2::Addresses::IPv6(a) => proxied((
                    (a.source_address, a.source_port).into(),
                    (a.destination_address, a.destination_port).into(),
                )),
                v2::Addresses::Unspecified | v2::Addresses::Unix(_) => Header::Local,
            }
        }
        HeaderResult::V2(Ok(_)) => Header::Local,
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => return None,
    };
    Some(header)
}

/// The same by `proxy-header`.
fn by_proxy_header(bytes: &[u8]) -> Option<Header> {
    let (header, _) =
        proxy_header::ProxyHeader::parse(bytes, proxy_header::ParseConfig::default()).ok()?;
    Some(match header.proxied_address() {
        Some(address) => proxied((address.source, address.destination)),
        None => Header::Local,
    })
}

#[test]
fn others_read_what_is_written() {
    for (bytes, header) in samples() {
        assert_eq!(by_ppp(&bytes), Some(header), "{bytes:?}");
        assert_eq!(by_proxy_header(&bytes), Some(header), "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    /// A mutated header panics nobody, and what is taken is taken alike by those who take it.
    #[test]
    fn mutated_headers_are_refused_or_understood_as_others_do(
        which in 0..6usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut bytes, _) = samples().swap_remove(which);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(Some(Read { header, length })) = parse(&bytes) {
            prop_assert!(length <= bytes.len());
            let whole = &bytes[..length];
            // Datagram and Unix families are nothing to us, but addresses to them.
            let is_tcp = bytes[0] == b'P' || matches!(bytes[13], 0x11 | 0x21);
            if is_tcp {
                if let Some(theirs) = by_ppp(whole) {
                    prop_assert_eq!(theirs, header);
                }
                if let Some(theirs) = by_proxy_header(whole) {
                    prop_assert_eq!(theirs, header);
                }
            }
        }
    }
}
