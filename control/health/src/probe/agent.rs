//! HAProxy's agent-check: connect, maybe send, read a line.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Context, Failure};
use crate::words::{self, Words};
use crate::{Agent, Outcome, Report, Target, connection, reason};

/// How long a line may be. An agent that sends more is not listened to.
const MAX_LINE: usize = 1024;

pub(super) async fn run(
    agent: &Agent,
    target: &Target,
    context: &Context,
) -> Result<Report, Failure> {
    let mut stream = connection::bare_tcp(target, &context.ports).await?;
    if let Some(send) = &agent.send {
        stream.write_all(send).await?;
    }
    let mut sent = Vec::with_capacity(MAX_LINE);
    loop {
        if let Some(line) = words::first_line(&sent) {
            return Ok(Words::parse(line).report(line));
        }
        let room = MAX_LINE - sent.len();
        if (&mut stream).take(room as u64).read_buf(&mut sent).await? == 0 {
            let reason = match sent.len() {
                0 => "the agent says nothing".to_owned(),
                _ => format!("a line without an end: {}", reason::quote(&sent)),
            };
            return Ok(Report::new(Outcome::Silent, reason));
        }
    }
}
