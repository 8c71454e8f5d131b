//! Times to live as zone files have them: seconds, or numbers with units (`1h30m`).

/// Seconds at most (RFC 2181 section 8).
pub const LONGEST_TTL: u32 = (1 << 31) - 1;

/// Seconds; nothing if it is no time, or none that goes over the wire.
pub(super) fn parse(text: &[u8]) -> Option<u32> {
    let (mut all, mut number) = (0_u64, None::<u64>);
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                let digits = number.unwrap_or(0).checked_mul(10)?;
                number = Some(digits.checked_add(u64::from(byte - b'0'))?);
            }
            _ => all = all.checked_add(number.take()?.checked_mul(unit(byte)?)?)?,
        }
    }
    // What comes last may have no unit.
    let all = match number {
        Some(seconds) => all.checked_add(seconds)?,
        None if text.is_empty() => return None,
        None => all,
    };
    u32::try_from(all).ok().filter(|&all| all <= LONGEST_TTL)
}

fn unit(byte: u8) -> Option<u64> {
    Some(match byte.to_ascii_lowercase() {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        b'w' => 604_800,
        _ => return None,
    })
}

/// The most and the least of a dynamic record, `MAX[/MIN]`: half of the most if that is all that is said.
pub(super) fn parse_range(text: &[u8]) -> Option<(u32, u32)> {
    match text.iter().position(|&byte| byte == b'/') {
        None => parse(text).map(|most| (most, most / 2)),
        Some(slash) => {
            let (most, least) = (parse(&text[..slash])?, parse(&text[slash + 1..])?);
            // None is half, as with gdnsd.
            let least = if least == 0 { most / 2 } else { least };
            (least <= most).then_some((most, least))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("7200", Some(7200)),
            ("30M", Some(1800)),
            ("3D", Some(259_200)),
            ("1w2d3h4m5s", Some(788_645)),
            ("1h30", Some(3630)),
            ("2147483647", Some(LONGEST_TTL)),
            ("2147483648", None),
            ("99999999999999999999w", None),
            ("", None),
            ("h", None),
            ("1x", None),
            ("-1", None),
            ("1hm", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn of_a_range_the_least_may_go_without_saying() {
        for (text, expected) in [
            ("60", Some((60, 30))),
            ("600/10", Some((600, 10))),
            ("1h/1m", Some((3600, 60))),
            ("300/0", Some((300, 150))),
            ("10/20", None),
            ("10/", None),
            ("/10", None),
        ] {
            assert_eq!(parse_range(text.as_bytes()), expected, "{text}");
        }
    }
}
