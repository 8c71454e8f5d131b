//! A TCP connection, and maybe a word there and back.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Context, Failure};
use crate::{Outcome, Report, Target, Tcp, connection, reason};

/// How much is searched for what is expected.
const MAX_ANSWER: usize = 64 * 1024;

pub(super) async fn run(tcp: &Tcp, target: &Target, context: &Context) -> Result<Report, Failure> {
    let mut stream = connection::tcp(target, &context.ports).await?;
    if let Some(send) = &tcp.send {
        stream.write_all(send).await?;
    }
    let Some(expect) = &tcp.expect else {
        return Ok(Report::new(Outcome::Passed, "connected"));
    };

    let mut answer = Vec::new();
    loop {
        // Where the new bytes may complete what the old ones began.
        let seam = answer.len().saturating_sub(expect.len());
        let room = MAX_ANSWER - answer.len();
        if (&mut stream).take(room as u64).read_buf(&mut answer).await? == 0 {
            let reason = format!("answer lacks {}", reason::quote(expect));
            return Ok(Report::new(Outcome::Failed, reason));
        }
        if contains(&answer[seam..], expect) {
            let reason = format!("answered {}", reason::quote(expect));
            return Ok(Report::new(Outcome::Passed, reason));
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}
