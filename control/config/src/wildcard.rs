//! Patterns of names: `l7-*`, `edge-?`.

/// Whether a name contains a wildcard, and thus stands for several.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether `pattern` is all of `name`, a name of ASCII: `*` stands for any characters, `?` for one.
///
/// Time is at most the product of the lengths, whatever the pattern: after a mismatch only the last
/// `*` can take more.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    // Names are ASCII: one byte is one character.
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut last_star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => {
                let Some((star, from)) = last_star else { return false };
                last_star = Some((star, from + 1));
                p = star + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_match_what_a_shell_would() {
        for (pattern, name, expected) in [
            ("l7-1", "l7-1", true),
            ("l7-1", "l7-10", false),
            ("l7-*", "l7-", true),
            ("l7-*", "l7-12", true),
            ("l7-*", "l4-1", false),
            ("l7-?", "l7-1", true),
            ("l7-?", "l7-", false),
            ("l7-?", "l7-12", false),
            ("*-par-?", "l7-par-par-1", true),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxbc", false),
            ("**", "", true),
            ("?", "", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    /// What a pattern means, as short as it can be said.
    fn specification(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            ([b'*', rest @ ..], name) => {
                (0..=name.len()).any(|taken| specification(rest, &name[taken..]))
            }
            ([b'?', rest @ ..], [_, name @ ..]) => specification(rest, name),
            ([c, rest @ ..], [n, name @ ..]) => c == n && specification(rest, name),
            ([_, ..], []) => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_specification_says(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let expected = specification(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }
}
