//! The protocol's line: words between blanks or commas, then maybe `#` and text. Pure.
//!
//! HAProxy reads up to the first CR, LF or NUL, and ignores a line without such an end
//! (configuration manual, `agent-check`).

/// Most characters of a line: some load balancers read no more than a packet.
const LONGEST: usize = 200;

/// The first line of what a file or a program said; nothing if it is blank.
pub(super) fn first(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0));
    let line = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
    let line = line.trim();
    (!line.is_empty()).then(|| cut(line))
}

/// A line that says nothing, and why: nothing changes at the load balancer.
pub(super) fn nothing(why: &str) -> String {
    cut(&format!("# {why}"))
}

/// `down`, and why.
pub(super) fn down(why: &str) -> String {
    cut(&format!("down # {why}"))
}

/// The words with a weight, unless they have one.
pub(super) fn with_weight(line: &str, percent: u8) -> String {
    let (words, comment) = split(line);
    if words.split([' ', '\t', ',']).any(is_weight) {
        return line.into();
    }
    let parts = [words.trim_end(), &format!("{percent}%"), comment];
    cut(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Words, and what begins with `#` at the start of a word.
fn split(line: &str) -> (&str, &str) {
    let starts = |at: usize| line[..at].ends_with([' ', '\t', ',']) || at == 0;
    match line.match_indices('#').map(|(at, _)| at).find(|at| starts(*at)) {
        Some(at) => line.split_at(at),
        None => (line, ""),
    }
}

/// `75%`, `weight:10` or `weight:75%`.
fn is_weight(word: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let absolute = word.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("weight:"));
    absolute || word.strip_suffix('%').is_some_and(number)
}

/// Without control characters, and not too long.
fn cut(line: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    line.chars().map(clean).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_in_the_file_the_answer_is_one_short_line(
            bytes in prop::collection::vec(any::<u8>(), 0..500), percent in 0..=100_u8,
        ) {
            let line = first(&bytes).map(|line| with_weight(&line, percent)).unwrap_or_default();
            prop_assert!(line.chars().count() <= LONGEST);
            prop_assert!(!line.contains(char::is_control));
        }
    }

    #[test]
    fn a_line_ends_where_haproxy_sees_its_end() {
        for (bytes, line) in [
            (&b"UP\n"[..], Some("UP")),
            (b"UP", Some("UP")),
            (b" maint \r\nup\n", Some("maint")),
            (b"drain\0up", Some("drain")),
            (b"up 50%\tx", Some("up 50% x")),
            (b"up \x1b[2J", Some("up  [2J")),
            (b"\nup", None),
            (b"", None),
            (b"  \n", None),
        ] {
            assert_eq!(first(bytes).as_deref(), line, "{bytes:?}");
        }
        assert_eq!(first(&[b'x'; 5_000]).unwrap().len(), LONGEST);
        assert_eq!(first(b"\xff\xfe").as_deref(), Some("\u{fffd}\u{fffd}"));
    }

    #[test]
    fn a_weight_goes_before_the_text_and_only_where_there_is_none() {
        for (line, expected) in [
            ("up", "up 75%"),
            ("up # busy", "up 75% # busy"),
            ("up #", "up 75% #"),
            ("# nothing", "75% # nothing"),
            ("up 50%", "up 50%"),
            ("up,0%", "up,0%"),
            ("weight:10 up", "weight:10 up"),
            ("WEIGHT:10% up", "WEIGHT:10% up"),
            ("up a#b", "up a#b 75%"),
            ("up # 50% more", "up 75% # 50% more"),
            ("up %", "up % 75%"),
        ] {
            assert_eq!(with_weight(line, 75), expected, "{line}");
        }
    }
}
