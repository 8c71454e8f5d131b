//! The text of a zone file, cut into entries and words (RFC 1035 section 5.1).

use super::problem::Why;

/// A word. What `\` escapes is still escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) text: &'t [u8],
    /// It stood in quotes, which are not part of it.
    pub(super) is_quoted: bool,
}

impl Word<'_> {
    pub(super) fn is(&self, other: &str) -> bool {
        !self.is_quoted && self.text.eq_ignore_ascii_case(other.as_bytes())
    }
}

/// A record or a directive: a line, or several in parentheses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    /// The line that it begins on, from 1.
    pub(super) line: usize,
    /// It begins with white space: its owner is that of the entry before.
    pub(super) is_indented: bool,
    pub(super) words: Vec<Word<'t>>,
}

/// Reads entries, one after the other.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        // Editors of another world begin files with it.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { text, at: 0, line: 1 }
    }

    /// The line that is read, for what is wrong with it.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Fills in the next entry that has words; whether there is one.
    pub(super) fn next(&mut self, entry: &mut Entry<'t>) -> Result<bool, Why> {
        entry.words.clear();
        let mut depth = 0;
        let mut begins = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 {
                        if !entry.words.is_empty() {
                            return Ok(true);
                        }
                        begins = self.at;
                    }
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => self.skip(|byte| byte != b'\n'),
                b'(' | b')' => {
                    self.at += 1;
                    depth += if byte == b'(' { 1 } else { -1 };
                    if depth < 0 {
                        return Err(Why::Closed);
                    }
                }
                _ => {
                    if entry.words.is_empty() {
                        entry.line = self.line;
                        entry.is_indented = begins < self.at;
                    }
                    entry.words.push(if byte == b'"' { self.quoted()? } else { self.word()? });
                }
            }
        }
        if depth > 0 { Err(Why::Open) } else { Ok(!entry.words.is_empty()) }
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len());
    }

    /// Up to what ends it, escaped bytes not counted.
    fn up_to(&mut self, ends: impl Fn(u8) -> bool, quoted: bool) -> Result<&'t [u8], Why> {
        let begin = self.at;
        loop {
            self.skip(|byte| byte != b'\\' && !ends(byte));
            if self.text.get(self.at) != Some(&b'\\') {
                return Ok(&self.text[begin..self.at]);
            }
            match self.text.get(self.at + 1) {
                None => return Err(Why::Backslash),
                Some(b'\n' | b'\r') if !quoted => return Err(Why::Backslash),
                Some(_) => {}
            }
            self.at += 2;
        }
    }

    fn word(&mut self) -> Result<Word<'t>, Why> {
        let ends = |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"');
        Ok(Word { text: self.up_to(ends, false)?, is_quoted: false })
    }

    fn quoted(&mut self) -> Result<Word<'t>, Why> {
        self.at += 1;
        let begin = self.at;
        self.up_to(|byte| byte == b'"', true)?;
        let text = &self.text[begin..self.at];
        // Lines within it are part of it.
        self.line += text.iter().filter(|&&byte| byte == b'\n').count();
        if self.text.get(self.at) != Some(&b'"') {
            return Err(Why::Quote);
        }
        self.at += 1;
        Ok(Word { text, is_quoted: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line, indentation and words of each entry; quoted ones in quotes.
    fn read(text: &str) -> Result<Vec<(usize, bool, Vec<String>)>, Why> {
        let mut lexer = Lexer::new(text.as_bytes());
        let (mut entry, mut all) = (Entry::default(), Vec::new());
        while lexer.next(&mut entry)? {
            let word = |word: &Word<'_>| {
                let text = String::from_utf8_lossy(word.text);
                if word.is_quoted { format!("{text:?}") } else { text.into_owned() }
            };
            all.push((entry.line, entry.is_indented, entry.words.iter().map(word).collect()));
        }
        Ok(all)
    }

    fn words(text: &str) -> Vec<String> {
        read(text).unwrap().into_iter().flat_map(|(_, _, words)| words).collect()
    }

    #[test]
    fn entries_are_lines_or_what_stands_in_parentheses() {
        let text = "; first\n\n@ SOA a b ( 1 ; serial\n  2\n 3 )\n\tA 192.0.2.1\r\n  \nx A 1";
        let soa = ["@", "SOA", "a", "b", "1", "2", "3"].map(str::to_owned).to_vec();
        let expected = vec![
            (3, false, soa),
            (6, true, ["A", "192.0.2.1"].map(str::to_owned).to_vec()),
            (8, false, ["x", "A", "1"].map(str::to_owned).to_vec()),
        ];
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn quotes_and_backslashes_take_meaning_away() {
        assert_eq!(
            words(r#"x TXT "a ; ( b" "" c\;\ d"e""#),
            ["x", "TXT", r#""a ; ( b""#, r#""""#, r"c\;\ d", r#""e""#]
        );
        assert_eq!(words(r#""a\"b""#), [r#""a\\\"b""#]);
        assert_eq!(words("a(b)c"), ["a", "b", "c"]);
        // Lines in quotes are counted, and part of what is quoted, as with gdnsd.
        let lines = read("x \"a\nb\\\nc\"\ny z").unwrap();
        assert_eq!((lines[0].0, lines[0].2[1].as_str()), (1, r#""a\nb\\\nc""#));
        assert_eq!((lines[1].0, lines[1].2[0].as_str()), (4, "y"));
    }

    #[test]
    fn what_has_no_end_is_told() {
        for (text, why) in [
            ("a ( b\n", Why::Open),
            ("a ) b", Why::Closed),
            ("a \"b\nc\n", Why::Quote),
            ("a \"b", Why::Quote),
            ("a b\\", Why::Backslash),
            ("a b\\\nc", Why::Backslash),
        ] {
            assert_eq!(read(text), Err(why), "{text:?}");
        }
    }
}
