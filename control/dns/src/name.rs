//! Domain names as they go over the wire, in lower case: what zones are searched by.

use std::fmt;

use thiserror::Error;

/// Bytes of a name at most, its root's included (RFC 1035 section 2.3.4).
pub const LONGEST_NAME: usize = 255;
/// Bytes of a label at most.
const LONGEST_LABEL: usize = 63;

/// A name: labels with their lengths before them, the root's last, letters in lower case (RFC 4343 section 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Two dots in a row, or one at the beginning.
    #[error("a label is empty")]
    EmptyLabel,
    /// Of 63 bytes at most.
    #[error("a label has more than 63 bytes")]
    LongLabel,
    /// Of 255 bytes at most, lengths included.
    #[error("it has more than 255 bytes")]
    Long,
    /// `\` with nothing that it could mean.
    #[error("`\\` is followed by neither a character nor a number of three digits up to 255")]
    Escape,
    /// Without a dot at its end, where nothing can be added.
    #[error("it does not end in a dot")]
    Relative,
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads a name as zone files have it (RFC 1035 section 5.1); one without a dot at its end stands below
    /// `origin`.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn parse(text: &[u8], origin: Option<&Self>) -> Result<Self, NameError> {
        if text == b"." {
            return Ok(Self::root());
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::with_capacity(LONGEST_LABEL);
        let mut rest = text;
        let mut is_absolute = false;
        while let Some((&first, after)) = rest.split_first() {
            is_absolute = first == b'.';
            rest = after;
            if is_absolute {
                push_label(&mut wire, &label)?;
                label.clear();
                continue;
            }
            let (byte, after) = if first == b'\\' { unescape(after)? } else { (first, after) };
            rest = after;
            label.push(byte);
        }
        if is_absolute {
            wire.push(0);
        } else {
            push_label(&mut wire, &label)?;
            wire.extend_from_slice(&origin.ok_or(NameError::Relative)?.0);
        }
        if wire.len() > LONGEST_NAME {
            return Err(NameError::Long);
        }
        wire.make_ascii_lowercase();
        Ok(Self(wire.into()))
    }

    /// The name that `wire` begins with, and how long it was; nothing if it is none, or points elsewhere.
    pub fn read(wire: &[u8]) -> Option<(Self, usize)> {
        let length = length(wire)?;
        Some((Self(wire[..length].to_ascii_lowercase().into()), length))
    }

    /// As it goes over the wire.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is `other`, or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        suffixes(&self.0).any(|suffix| suffix == &*other.0)
    }
}

/// As zone files have it, with a dot at its end.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &*self.0;
        if rest == [0] {
            return f.write_str(".");
        }
        while let Some((&length @ 1.., after)) = rest.split_first() {
            let (label, after) = after.split_at(usize::from(length));
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(byte))?;
                    }
                    b'!'..=b'~' => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
            rest = after;
        }
        Ok(())
    }
}

/// The byte behind a `\`, and what follows it.
pub(crate) fn unescape(text: &[u8]) -> Result<(u8, &[u8]), NameError> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let number = [a, b, c].iter().fold(0, |all, digit| all * 10 + u16::from(*digit - b'0'));
            Ok((u8::try_from(number).map_err(|_| NameError::Escape)?, rest))
        }
        [b'0'..=b'9', ..] | [] => Err(NameError::Escape),
        [byte, rest @ ..] => Ok((*byte, rest)),
    }
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), NameError> {
    match label.len() {
        0 => Err(NameError::EmptyLabel),
        length @ 1..=LONGEST_LABEL => {
            wire.push(length as u8);
            wire.extend_from_slice(label);
            Ok(())
        }
        _ => Err(NameError::LongLabel),
    }
}

/// Bytes of the name that this begins with; nothing if it is none, or points elsewhere.
pub(crate) fn length(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1).filter(|&length| length <= LONGEST_NAME),
            label @ 1..=63 => at += 1 + usize::from(label),
            _ => return None,
        }
    }
}

/// A name, its parent, and so on to the root: of a name as it goes over the wire.
pub(crate) fn suffixes<'n>(wire: &'n [u8]) -> impl Iterator<Item = &'n [u8]> {
    let parent = |name: &&'n [u8]| -> Option<&'n [u8]> {
        let (&length @ 1.., rest) = name.split_first()? else { return None };
        rest.get(usize::from(length)..)
    };
    std::iter::successors(Some(wire), parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes(), None).unwrap()
    }

    #[test]
    fn names_are_read_and_written() {
        let origin = name("Example.ORG.");
        assert_eq!(origin.wire(), b"\x07example\x03org\0");
        let relative = Name::parse(b"WWW", Some(&origin)).unwrap();
        assert_eq!(relative.to_string(), "www.example.org.");
        assert_eq!(name(".").wire(), b"\0");
        for text in ["a\\.b.c.", "\\000\\255.", "\\@.\\;.", "*.wild."] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("\\097.").to_string(), "a.");
    }

    #[test]
    fn what_is_no_name_is_told() {
        let origin = name("o.");
        let long_label = "a".repeat(64);
        let long = "a.".repeat(128);
        for (text, expected) in [
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("", NameError::EmptyLabel),
            (&long_label, NameError::LongLabel),
            (&long, NameError::Long),
            ("a\\", NameError::Escape),
            ("a\\256", NameError::Escape),
            ("a\\25", NameError::Escape),
        ] {
            assert_eq!(Name::parse(text.as_bytes(), Some(&origin)), Err(expected), "{text}");
        }
        assert_eq!(Name::parse(b"a", None), Err(NameError::Relative));
        assert!(Name::parse("a.".repeat(127).as_bytes(), None).is_ok());
    }

    #[test]
    fn a_name_is_within_itself_and_those_above_by_whole_labels() {
        let below = name("a.example.org.");
        for (above, is_within) in
            [("example.org.", true), (".", true), ("a.example.org.", true), ("ample.org.", false)]
        {
            assert_eq!(below.is_within(&name(above)), is_within, "{above}");
        }
        assert!(!name("org.").is_within(&below));
    }

    #[test]
    fn bytes_that_are_no_name_are_none() {
        assert_eq!(Name::read(b"\x01A\0rest"), Some((name("a."), 3)));
        for bytes in [&b"\x01a"[..], b"\xc0\x0c", b"\x40", b"", b"\x05abc\0"] {
            assert_eq!(Name::read(bytes), None);
        }
        let long = [[1, b'a'].repeat(127), vec![1, b'b', 0]].concat();
        assert_eq!(Name::read(&long), None);
    }
}
