//! What names of a zone file are relative to.

use super::lex::Word;
use super::problem::{Why, text};
use crate::name::{Name, NameError};

/// The origins of the line that is read. As with gdnsd, `@Z` and `@F` stand for those that `$ORIGIN` does not
/// change, alone or as a name's last label.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    /// `@`: what `$ORIGIN` has said last.
    pub(super) current: Name,
    /// `@F`: that of the file at its beginning.
    pub(super) file: Name,
    /// `@Z`: the zone's name.
    pub(super) zone: Name,
}

impl Origins {
    /// Of a zone's own file.
    pub(super) fn of(zone: &Name) -> Self {
        Self { current: zone.clone(), file: zone.clone(), zone: zone.clone() }
    }

    /// Of a file that is included.
    pub(super) fn included(&self, origin: Name) -> Self {
        Self { current: origin.clone(), file: origin, zone: self.zone.clone() }
    }

    /// The name that a word is.
    pub(super) fn name(&self, word: Word<'_>) -> Result<Name, Why> {
        self.read(word).map_err(|error| Why::Name(text(word.text), error))
    }

    fn read(&self, word: Word<'_>) -> Result<Name, NameError> {
        let (relative, origin) = match word.text {
            b"@" => return Ok(self.current.clone()),
            b"@Z" | b"@z" => return Ok(self.zone.clone()),
            b"@F" | b"@f" => return Ok(self.file.clone()),
            [relative @ .., b'.', b'@', b'Z' | b'z'] => (relative, &self.zone),
            [relative @ .., b'.', b'@', b'F' | b'f'] => (relative, &self.file),
            relative => return Name::parse(relative, Some(&self.current)),
        };
        // A dot that is escaped ends no label.
        let is_escaped = relative.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1;
        if is_escaped || relative.ends_with(b".") {
            return Name::parse(word.text, Some(&self.current));
        }
        Name::parse(relative, Some(origin))
    }
}
