//! The data of records, from words to what goes over the wire.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};

use super::lex::Word;
use super::origin::Origins;
use super::problem::{Why, text};
use super::ttl;
use crate::name::unescape;
use crate::rtype::Rtype;

/// Bytes of a string at most (RFC 1035 section 3.3).
const LONGEST_STRING: usize = 255;

/// What a word of the data is, where the parser would not know it.
enum Field {
    Name,
    Ttl,
    Other,
}

fn field(rtype: Rtype, place: usize) -> Field {
    match (rtype, place) {
        (Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME, 0)
        | (Rtype::SOA, 0 | 1)
        | (Rtype::MX | Rtype::SVCB | Rtype::HTTPS, 1)
        | (Rtype::SRV, 3)
        | (Rtype::NAPTR, 5) => Field::Name,
        (Rtype::SOA, 3..=6) => Field::Ttl,
        _ => Field::Other,
    }
}

/// The data of a record of this type.
pub(super) fn rdata(rtype: Rtype, words: &[Word<'_>], origins: &Origins) -> Result<Box<[u8]>, Why> {
    let wrong = |why: String| Why::Data(rtype, why);
    match (rtype, words) {
        // Most records are these.
        (Rtype::A, [word]) => match address::<Ipv4Addr>(*word) {
            Some(address) => Ok(Box::new(address.octets())),
            None => Err(wrong(format!("`{}` is no IPv4 address", text(word.text)))),
        },
        (Rtype::AAAA, [word]) => match address::<Ipv6Addr>(*word) {
            Some(address) => Ok(Box::new(address.octets())),
            None => Err(wrong(format!("`{}` is no IPv6 address", text(word.text)))),
        },
        (_, []) => Err(wrong("there is none".into())),
        (_, [first, ..]) if first.is("\\#") && has_own_form(rtype) => Err(Why::Generic(rtype)),
        _ => {
            let line = line(rtype, words, origins)?;
            parse(&line).map_err(wrong)
        }
    }
}

/// Types whose data are looked into, and written in their own form alone: as with gdnsd.
const fn has_own_form(rtype: Rtype) -> bool {
    matches!(
        rtype,
        Rtype::A
            | Rtype::AAAA
            | Rtype::NS
            | Rtype::CNAME
            | Rtype::SOA
            | Rtype::PTR
            | Rtype::MX
            | Rtype::TXT
            | Rtype::SRV
            | Rtype::NAPTR
            | Rtype::HINFO
            | Rtype::CAA
            | Rtype::SVCB
            | Rtype::HTTPS
    )
}

fn address<A: FromStr>(word: Word<'_>) -> Option<A> {
    std::str::from_utf8(word.text).ok()?.parse().ok()
}

/// The record as a line that means the same everywhere: names end in dots, times are seconds.
fn line(rtype: Rtype, words: &[Word<'_>], origins: &Origins) -> Result<Vec<u8>, Why> {
    let mut line = format!(". 0 IN {rtype}").into_bytes();
    let is_generic = words.first().is_some_and(|word| word.is("\\#"));
    for (place, &word) in words.iter().enumerate() {
        line.push(b' ');
        match field(rtype, place) {
            Field::Name if !is_generic => {
                line.extend_from_slice(origins.name(word)?.to_string().as_bytes());
            }
            Field::Ttl if !is_generic => {
                let time = ttl::parse(word.text).ok_or_else(|| Why::Ttl(text(word.text)))?;
                line.extend_from_slice(time.to_string().as_bytes());
            }
            _ if rtype == Rtype::TXT && !is_generic => strings(word.text, &mut line)?,
            _ if word.is_quoted => {
                line.push(b'"');
                plain(word.text, &mut line);
                line.push(b'"');
            }
            _ => plain(word.text, &mut line),
        }
    }
    line.push(b'\n');
    Ok(line)
}

/// Text of which each byte is one that everybody reads alike: others by their numbers.
fn plain(text: &[u8], line: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'\\', Some((next @ (b' '..=b'~'), after))) => {
                line.extend_from_slice(&[b'\\', *next]);
                rest = after;
            }
            // What is escaped is itself.
            (b'\\', Some(_)) => {}
            (b' '..=b'~', _) => line.push(byte),
            _ => line.extend_from_slice(format!("\\{byte:03}").as_bytes()),
        }
    }
}

/// A text in quotes; as several strings if it is too long for one.
fn strings(mut rest: &[u8], line: &mut Vec<u8>) -> Result<(), Why> {
    line.push(b'"');
    let mut length = 0;
    while let Some((&byte, after)) = rest.split_first() {
        if length == LONGEST_STRING {
            line.extend_from_slice(b"\" \"");
            length = 0;
        }
        let after = match byte {
            b'\\' => {
                let (_, after) =
                    unescape(after).map_err(|error| Why::Data(Rtype::TXT, error.to_string()))?;
                after
            }
            _ => after,
        };
        plain(&rest[..rest.len() - after.len()], line);
        rest = after;
        length += 1;
    }
    line.push(b'"');
    Ok(())
}

fn parse(line: &[u8]) -> Result<Box<[u8]>, String> {
    let mut file = Zonefile::with_capacity(line.len());
    file.extend_from_slice(line);
    let record = match file.next_entry() {
        Ok(Some(Entry::Record(record))) => record,
        Ok(_) => return Err("it is no record".into()),
        // It says where, which is in our line and not in the file.
        Err(error) => {
            let error = error.to_string();
            let why = error.split_once(": ").map_or(&*error, |(_, why)| why);
            return Err(why.to_owned());
        }
    };
    let mut rdata = Vec::new();
    match record.data().compose_rdata(&mut rdata) {
        Ok(()) if rdata.len() <= usize::from(u16::MAX) => Ok(rdata.into()),
        _ => Err("it has more than 65535 bytes".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lex::{Entry as Line, Lexer};
    use super::*;
    use crate::name::Name;

    fn read(record: &str) -> Result<Vec<u8>, Why> {
        let origins = Origins::of(&Name::parse(b"example.org.", None).unwrap());
        let mut entry = Line::default();
        Lexer::new(record.as_bytes()).next(&mut entry).unwrap();
        let rtype = Rtype::parse(entry.words[0].text).unwrap();
        rdata(rtype, &entry.words[1..], &origins).map(Vec::from)
    }

    #[test]
    fn data_of_every_type_are_understood() {
        let within = b"\x03www\x07example\x03org\0".to_vec();
        for (record, expected) in [
            ("A 192.0.2.1", vec![192, 0, 2, 1]),
            (
                "AAAA 2001:db8::198.51.100.1",
                [&[0x20, 1, 0xd, 0xb8][..], &[0; 8], &[198, 51, 100, 1]].concat(),
            ),
            ("NS www", within.clone()),
            ("CNAME WWW.@Z", within.clone()),
            ("PTR www.example.org.", within.clone()),
            ("MX 10 www", [&[0, 10][..], &within].concat()),
            ("SRV 5 500 80 www", [&[0, 5, 1, 244, 0, 80][..], &within].concat()),
            ("TXT \"a b\" c", b"\x03a b\x01c".to_vec()),
            ("TXT \"\"", vec![0]),
            ("TXT \"\u{fc}\t\"", b"\x03\xc3\xbc\x09".to_vec()),
            ("TXT \"a\nb\\\nc\"", b"\x05a\nb\nc".to_vec()),
            ("CAA 0 issue \"\u{fc}\"", b"\0\x05issue\xc3\xbc".to_vec()),
            ("CAA 0 issue \"ca.example\"", b"\0\x05issueca.example".to_vec()),
            ("TYPE31337 \\# 3 01 02FF", vec![1, 2, 255]),
            ("TYPE31337 \\# 0", vec![]),
            (
                "SOA www www ( 1 2h 30M 3D 900 )",
                [
                    &within[..],
                    &within,
                    &[0, 0, 0, 1, 0, 0, 28, 32, 0, 0, 7, 8, 0, 3, 244, 128, 0, 0, 3, 132],
                ]
                .concat(),
            ),
            (
                "NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:i@example.org!\" .",
                b"\0\x64\0\x0a\x01u\x07E2U+sip\x18!^.*$!sip:i@example.org!\0".to_vec(),
            ),
            ("HTTPS 1 . alpn=h2", b"\0\x01\0\0\x01\0\x03\x02h2".to_vec()),
        ] {
            assert_eq!(read(record), Ok(expected), "{record}");
        }
    }

    #[test]
    fn long_texts_are_several_strings() {
        let long = "\\097".repeat(256);
        let data = read(&format!("TXT \"{long}\"")).unwrap();
        assert_eq!((data[0], data[1], data[256], data[257], data.len()), (255, b'a', 1, b'a', 258));
    }

    #[test]
    fn what_is_no_data_is_told() {
        for record in [
            "A 192.0.2.256",
            "A 192.0.2.1 192.0.2.2",
            "A",
            "AAAA 192.0.2.1",
            "MX www",
            "MX 10 a..b",
            "SRV 5 500 80",
            "TXT",
            "TXT \"\\999\"",
            "SOA www www 1 2 3 4",
            "SOA www www 1 2 x 4 5",
            "TYPE31337 \\# 3 0102",
            "TYPE31337 0102",
            "TYPE1 \\# 4 01020304",
            "TYPE15 \\# 4 000a0000",
            "CAA 0",
        ] {
            let why = read(record).expect_err(record).to_string();
            assert!(!why.is_empty(), "{record}");
            println!("{record}: {why}");
        }
    }
}
