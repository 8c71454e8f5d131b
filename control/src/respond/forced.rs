//! What operators force: that a check of an address is up, or down, whatever it says itself. By `palierctl force`,
//! and by a file in the form of gdnsd's `admin_state`: lines `PATTERN => UP` or `PATTERN => DOWN/TTL`. Pure.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use admin::{Said, States};
use dns::resolve::{Health, Standing};

use super::choice::Aim;
use super::words;

/// What a pattern was forced to, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) pattern: String,
    /// [`Said::Up`] or [`Said::Down`].
    pub(super) said: Said,
    pub(super) by: String,
    pub(super) at_ms: u64,
}

/// The rules, in the order in which they count: those of the file, then what was typed, the last word last.
pub(super) fn rules(file: &[Rule], states: &States) -> Vec<Rule> {
    let typed = words::forced(states).into_iter().filter_map(|(pattern, entry)| {
        let (pattern, by) = (pattern.to_owned(), entry.by.clone());
        Some(Rule { pattern, said: entry.said?, by, at_ms: entry.at_ms })
    });
    file.iter().cloned().chain(typed).collect()
}

/// The rule that holds of something: the last that matches.
pub(super) fn rule<'r>(rules: &'r [Rule], name: &str) -> Option<&'r Rule> {
    rules.iter().rev().find(|rule| matches(rule.pattern.as_bytes(), name.as_bytes()))
}

/// What holds of each check, in place of what it says itself.
pub(super) fn apply(rules: &[Rule], aims: &[Aim], Health(found): Health) -> Health {
    if rules.is_empty() {
        return Health(found);
    }
    let one = |(aim, found): (&Aim, Standing)| match rule(rules, &aim.name()).map(|rule| rule.said)
    {
        Some(Said::Up { ttl }) => Standing { is_up: true, ttl: ttl.unwrap_or(found.ttl) },
        Some(Said::Down { ttl }) => Standing { is_up: false, ttl: ttl.unwrap_or(found.ttl) },
        Some(Said::Auto | Said::Answered | Said::Withdrawn) | None => found,
    };
    Health(aims.iter().zip(found).map(one).collect())
}

/// Whether a name is what a pattern says: `*` is any text, `?` any character.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on if what follows the last star fails.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => (p, n) = (p + 1, n + 1),
            Some(_) | None => {
                let Some((at, taken)) = star else { return false };
                (p, n, star) = (at + 1, taken + 1, Some((at, taken + 1)));
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// A file of rules, read again whenever it is another one.
#[derive(Debug, Default)]
pub(super) struct File {
    path: Option<PathBuf>,
    /// What it was when it was read.
    stamp: Option<(SystemTime, u64)>,
    pub(super) rules: Vec<Rule>,
    /// Why what it says now does not hold: what it said before does.
    pub(super) problem: Option<String>,
}

impl File {
    /// Looks at the file; whether something else holds now.
    pub(super) fn look(&mut self, path: Option<&Path>) -> bool {
        if self.path.as_deref() != path {
            *self = Self { path: path.map(Path::to_owned), ..Self::default() };
        }
        let Some(path) = path else { return false };
        let found = path.metadata().and_then(|it| Ok((it.modified()?, it.len()))).ok();
        if found == self.stamp {
            return false;
        }
        self.stamp = found;
        let text = match (found, std::fs::read_to_string(path)) {
            // Without a file nothing is forced.
            (None, _) => Ok(String::new()),
            (Some(_), read) => read.map_err(|error| error.to_string()),
        };
        let by = path.display().to_string();
        match text.and_then(|text| parse(&text, &by)) {
            Ok(rules) => {
                self.problem = None;
                std::mem::replace(&mut self.rules, rules) != self.rules
            }
            Err(why) => {
                tracing::error!(path = by, why, "what was forced by this file before stays forced");
                self.problem = Some(format!("{by}: {why}: what it said before holds"));
                false
            }
        }
    }
}

/// The rules of a text.
///
/// # Errors
/// The first line that is none.
fn parse(text: &str, by: &str) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim().trim_end_matches(',');
        if line.is_empty() {
            continue;
        }
        let wrong = || format!("line {number} is not PATTERN => UP or PATTERN => DOWN/SECONDS");
        let (pattern, state) = line.split_once("=>").ok_or_else(wrong)?;
        let (state, ttl) = match state.trim().split_once('/') {
            Some((state, ttl)) => (state, Some(ttl.parse().map_err(|_| wrong())?)),
            None => (state.trim(), None),
        };
        let said = match state.to_ascii_uppercase().as_str() {
            "UP" => Said::Up { ttl },
            "DOWN" => Said::Down { ttl },
            _ => return Err(wrong()),
        };
        let pattern = pattern.trim().trim_matches('"');
        let subject = words::force(pattern).map_err(|_| wrong())?;
        let pattern = words::pattern(&subject).unwrap_or(pattern).to_owned();
        rules.push(Rule { pattern, said, by: by.to_owned(), at_ms: 0 });
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("198.51.100.1/http", "198.51.100.1/http", true),
            ("198.51.100.1/*", "198.51.100.1/http", true),
            ("198.51.100.1/*", "198.51.100.10/http", false),
            ("*/http", "2001:db8::1/http", true),
            ("198.51.100.?/*", "198.51.100.7/", true),
            ("*1*1*", "x1y1", true),
            ("*1*1*", "x1y2", false),
            ("", "", true),
            ("", "a", false),
            ("**", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        // However many stars there are it takes no time.
        assert!(!matches(&b"*a".repeat(100), &b"a".repeat(99)));
    }

    #[test]
    fn a_file_is_gdnsds() {
        let text = "# by hand\n198.51.100.1 => DOWN\n  */http => UP/30 # soon\n\"2001:DB8::1/tcp\" => down,\n";
        let said: Vec<_> =
            parse(text, "f").unwrap().into_iter().map(|rule| (rule.pattern, rule.said)).collect();
        let expected = [
            ("198.51.100.1/*", Said::Down { ttl: None }),
            ("*/http", Said::Up { ttl: Some(30) }),
            ("2001:DB8::1/tcp", Said::Down { ttl: None }),
        ];
        assert_eq!(said, expected.map(|(pattern, said)| (pattern.to_owned(), said)));
        for (text, line) in [("\nx UP", 2), ("x => MAYBE", 1), ("x => UP/y", 1), (" => UP", 1)] {
            let why = parse(text, "f").unwrap_err();
            assert!(why.starts_with(&format!("line {line} is not")), "{why}");
        }
    }

    #[test]
    fn the_last_rule_that_matches_holds() {
        let aims = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
            .map(|address| Aim { address: address.parse().unwrap(), check: None });
        let found = Health(vec![Standing { is_up: true, ttl: 9 }; 3]);
        let rules = parse("* => DOWN\n192.0.2.2 => UP\n192.0.2.3 => DOWN/5", "f").unwrap();
        let Health(forced) = apply(&rules, &aims, found);
        let down = |ttl| Standing { is_up: false, ttl };
        assert_eq!(forced, [down(9), Standing { is_up: true, ttl: 9 }, down(5)]);
    }
}
