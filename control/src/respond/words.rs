//! Operators' words to the nodes that serve zones, among the node states: `force/PATTERN` says that what the
//! pattern matches is up, or down; `challenge/NAME/TEXT` has a text be answered at a name for ten minutes, as ACME
//! wants it (RFC 8555 section 8.4).

use std::net::IpAddr;

use admin::{Entry, Said, States};
use dns::Name;

/// Milliseconds that a text is answered.
pub(super) const CHALLENGE_MS: u64 = 600_000;
/// Bytes of a pattern, and of a text: those of one character string of a TXT record.
const LONGEST: usize = 255;

/// A text that is answered at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Where.
    pub(super) name: Name,
    /// What.
    pub(super) text: String,
}

/// The subject of a word about what a pattern matches. An address alone is all of its checks.
///
/// # Errors
/// It is no pattern; why.
pub(super) fn force(pattern: &str) -> Result<String, String> {
    let pattern = match pattern.parse::<IpAddr>() {
        Ok(address) => format!("{address}/*"),
        Err(_) => pattern.to_owned(),
    };
    let is_told = |c: char| c.is_whitespace() || c.is_control();
    if pattern.is_empty() || pattern.len() > LONGEST || pattern.contains(is_told) {
        return Err(format!(
            "`{pattern}` is no pattern: an ADDRESS, ADDRESS/CHECK or PLUGIN/RESOURCE/DATACENTER, with `*` and `?`"
        ));
    }
    Ok(format!("force/{pattern}"))
}

/// The pattern of such a subject.
pub(super) fn pattern(subject: &str) -> Option<&str> {
    subject.strip_prefix("force/")
}

/// The subject of a text at a name.
///
/// # Errors
/// The one or the other is none; why.
pub(super) fn challenge(name: &str, text: &str) -> Result<String, String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let subject = format!("challenge/{name}/{text}");
    match parse_challenge(&subject) {
        Some(_) => Ok(subject),
        None if host(&name).is_none() => {
            Err(format!("`{name}` is not the name of a host: _acme-challenge.example.org"))
        }
        None => Err(format!(
            "`{text}` is not what an ACME client gives: letters, digits, `-`, `_`, `=`, {LONGEST} at most"
        )),
    }
}

/// What a subject says is answered.
pub(super) fn parse_challenge(subject: &str) -> Option<Challenge> {
    let (name, text) = subject.strip_prefix("challenge/")?.split_once('/')?;
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
    let is_text = (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_known);
    let name = host(name).filter(|_| is_text)?;
    Some(Challenge { name, text: text.to_owned() })
}

/// A name without a dot at its end.
fn host(name: &str) -> Option<Name> {
    let name = Name::parse(name.as_bytes(), Some(&Name::root())).ok()?;
    (name != Name::root()).then_some(name)
}

/// Whether an entry is one of these, and has not run out. `now_ms` is milliseconds since 1970.
pub fn is_worth_keeping(subject: &str, entry: &Entry, now_ms: u64) -> bool {
    let is_pattern =
        pattern(subject).is_some_and(|pattern| force(pattern).as_deref() == Ok(subject));
    match entry.said {
        Some(Said::Auto | Said::Up { .. } | Said::Down { .. }) => is_pattern,
        Some(Said::Answered | Said::Withdrawn) => {
            parse_challenge(subject).is_some() && now_ms < entry.at_ms.saturating_add(CHALLENGE_MS)
        }
        None => false,
    }
}

/// The texts that are answered now.
pub(super) fn challenges(
    states: &States,
    now_ms: u64,
) -> impl Iterator<Item = (Challenge, &Entry)> {
    let answered = move |(subject, entry): (&String, &'_ Entry)| {
        let holds =
            entry.said == Some(Said::Answered) && now_ms < entry.at_ms.saturating_add(CHALLENGE_MS);
        holds.then(|| parse_challenge(subject)).flatten()
    };
    states.iter().filter_map(move |(subject, entry)| Some((answered((subject, entry))?, entry)))
}

/// What was forced, and how, in the order in which it was said: of several that match the last one holds.
pub(super) fn forced(states: &States) -> Vec<(&str, &Entry)> {
    let said = states.iter().filter_map(|(subject, entry)| {
        let holds = matches!(entry.said, Some(Said::Up { .. } | Said::Down { .. }));
        Some((pattern(subject).filter(|_| holds)?, entry))
    });
    let mut said: Vec<_> = said.collect();
    said.sort_by_key(|(pattern, entry)| (entry.at_ms, *pattern));
    said
}

#[cfg(test)]
mod tests {
    use health::Admin;

    use super::*;

    fn entry(at_ms: u64, said: Said) -> Entry {
        let by = "uid 0 on dns-1".into();
        Entry { version: 1, at_ms, state: Admin::Ready, by, weight: None, said: Some(said) }
    }

    #[test]
    fn subjects_are_told_from_others() {
        assert_eq!(force("198.51.100.1").unwrap(), "force/198.51.100.1/*");
        assert_eq!(force("2001:DB8:0::1").unwrap(), "force/2001:db8::1/*");
        assert_eq!(force("metafo/www/par?").unwrap(), "force/metafo/www/par?");
        for bad in ["", "a b", "a\n", &"x".repeat(256)] {
            assert!(force(bad).is_err(), "{bad:?}");
        }
        let subject = challenge("_ACME-challenge.Example.org.", "abc-_9=").unwrap();
        assert_eq!(subject, "challenge/_acme-challenge.example.org/abc-_9=");
        for (name, text) in [("a..b", "x"), ("a", ""), ("a", "ä"), ("a", "b/c"), ("", "x y")] {
            assert!(challenge(name, text).is_err(), "{name} {text}");
        }
    }

    #[test]
    fn what_others_say_is_kept_if_it_can_be() {
        let keep = |subject: &str, said| is_worth_keeping(subject, &entry(1000, said), 2000);
        assert!(keep("force/x", Said::Auto) && keep("force/x", Said::Down { ttl: Some(1) }));
        assert!(
            !keep("force/", Said::Auto)
                && !keep("x", Said::Auto)
                && !keep("force/x", Said::Answered)
        );
        let long = format!("force/{}", "x".repeat(256));
        assert!(!keep(&long, Said::Auto) && !keep("force/2001:DB8::1", Said::Auto));
        assert!(keep("challenge/a.b/c", Said::Withdrawn) && !keep("challenge/a.b/c", Said::Auto));
        assert!(
            !keep("challenge/a..b/c", Said::Answered) && !keep("challenge/a.b", Said::Answered)
        );
        let late = entry(1000, Said::Answered);
        assert!(is_worth_keeping("challenge/a/b", &late, 600_999));
        assert!(!is_worth_keeping("challenge/a/b", &late, 601_000));
    }

    #[test]
    fn the_last_word_stands_last_and_texts_run_out() {
        let down = Said::Down { ttl: None };
        let states: States = [
            ("force/a", entry(3, down)),
            ("force/b", entry(1, down)),
            ("force/c", entry(2, Said::Auto)),
            ("challenge/x.y/1", entry(5, Said::Answered)),
            ("challenge/x.y/2", entry(6, Said::Answered)),
            ("challenge/x.y/3", entry(7, Said::Withdrawn)),
            ("dns-1", entry(1, down)),
        ]
        .map(|(subject, entry)| (subject.to_owned(), entry))
        .into();
        let patterns: Vec<_> = forced(&states).into_iter().map(|(pattern, _)| pattern).collect();
        assert_eq!(patterns, ["b", "a"]);
        let texts = |now| -> Vec<_> { challenges(&states, now).map(|(one, _)| one.text).collect() };
        assert_eq!(texts(10), ["1", "2"]);
        assert_eq!(texts(CHALLENGE_MS + 5), ["2"]);
    }
}
