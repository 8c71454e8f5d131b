//! Whatever happens to a file on its way, reading it ends, and with a clear answer.

use config::{EdgeAcl, Running, assign, breaking, dataplane_flags, restart_needed};
use proptest::prelude::*;

use crate::example::EXAMPLE;
use crate::{KEY, parse};

const EVERY_KEY: &str = include_str!("every_key.toml");

/// Reads a text in every way there is.
fn read(text: &str) {
    match parse(text) {
        Ok(config) => {
            let before = parse(EXAMPLE).unwrap();
            let running = Running { dataplane: &config, control: &config };
            let _ = (breaking(&before, &config), restart_needed(running, &before, "l4-1"));
            let _ = EdgeAcl::new(&config).nftables();
            let _: Vec<_> = config.l4.iter().map(dataplane_flags).collect();
        }
        Err(problems) => {
            let lines = text.split('\n').count();
            for problem in problems.iter() {
                assert!((1..=lines).contains(&problem.line), "{problem}");
                assert!(!problem.to_string().contains(['\n', '\r', '\x1b']), "{problem:?}");
                assert!(!problem.to_string().contains(KEY), "{problem}");
            }
        }
    }
    if let Ok(assigned) = assign(text, &Default::default()) {
        let again = assign(&assigned.text, &Default::default()).unwrap();
        assert_eq!(again.text, assigned.text);
    }
}

#[test]
fn a_file_that_was_cut_off_is_read_to_its_end() {
    for text in [EXAMPLE, EVERY_KEY] {
        for (end, _) in text.char_indices() {
            read(&text[..end]);
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), "a.".repeat(100_000)]
    {
        read(&text);
        assert!(parse(&text).is_err());
    }
}

/// What replaces a byte: much that means something in TOML.
const BYTES: &[u8] = b"\"'[]{}=.,#\n\r\t -_*?!0129azAZ\\/:\0\x1b";

proptest! {
    #[test]
    fn a_file_with_wrong_bytes_is_read_to_its_end(
        which in 0..2_usize,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = [EXAMPLE, EVERY_KEY][which].as_bytes().to_vec();
        for (place, byte, how) in places {
            let (place, byte) = (place.index(bytes.len()), *byte.get(BYTES));
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
        }
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_file_with_lines_in_another_order_is_read_to_its_end(
        which in 0..2_usize,
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
    ) {
        let mut lines: Vec<&str> = [EXAMPLE, EVERY_KEY][which].lines().collect();
        for (a, b) in swaps {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        read(&lines.join("\n"));
    }

    #[test]
    fn values_of_another_kind_are_told(
        line in any::<prop::sample::Index>(),
        value in prop::sample::select(vec!["1", "-1", "true", "\"\"", "\"\\u0000\"", "[]", "{}", "[[]]", "1.5", "1979-05-27", "99999999999999999999999999999999999999999", "\"é\""]),
    ) {
        let with_value: Vec<_> = EVERY_KEY.lines().filter(|l| l.contains(" = ")).collect();
        let line = line.get(&with_value);
        let (key, _) = line.split_once(" = ").unwrap();
        read(&EVERY_KEY.replacen(line, &format!("{key} = {value}"), 1));
    }
}
