//! Messages in words, for operators.

use std::fmt::Write as _;

use domain::base::Message;
use domain::base::iana::Rtype;
use domain::rdata::AllRecordData;

/// A reply, a line each: its code and flags, then its records as zone files have them, by section. What is no
/// message is said to be none.
pub fn in_words(reply: &[u8]) -> Vec<String> {
    read(reply).unwrap_or_else(|| vec!["this is no message".to_owned()])
}

fn read(reply: &[u8]) -> Option<Vec<String>> {
    let message = Message::from_octets(reply).ok()?;
    let header = message.header();
    let mut head = header.rcode().to_string();
    for (is_set, flag) in [(header.aa(), " aa"), (header.tc(), " tc")] {
        head.push_str(if is_set { flag } else { "" });
    }
    let mut lines = vec![head];
    let (_, answer, authority, additional) = message.sections().ok()?;
    for (name, section) in
        [("answer", answer), ("authority", authority), ("additional", additional)]
    {
        for record in section {
            let record = record.ok()?;
            let rtype = record.rtype();
            if rtype == Rtype::OPT {
                continue;
            }
            let (owner, ttl) = (record.owner().to_string(), record.ttl().as_secs());
            let record = record.into_record::<AllRecordData<_, _>>().ok()??;
            let mut line = String::new();
            // A String takes all.
            let _ = write!(line, "{name}: {owner}. {ttl} {rtype} {}", record.data());
            lines.push(line);
        }
    }
    Some(lines)
}
