//! A datagram, and maybe one back.

use super::{Context, Failure};
use crate::{Outcome, Report, Target, Udp, connection, reason};

/// The most of a reply that is received; the rest of it is cut off.
const MAX_REPLY: usize = 2048;

/// Without `expect` this does not end where the target is silent: that is for the deadline to judge.
pub(super) async fn run(udp: &Udp, target: &Target, context: &Context) -> Result<Report, Failure> {
    let socket = connection::udp(target, &context.ports)?;
    socket.send(&udp.payload).await?;
    let mut buffer = [0; MAX_REPLY];
    // An ICMP error about what was sent is this call's error.
    let length = socket.recv(&mut buffer).await?;
    let reply = &buffer[..length];
    let good = udp.expect.as_ref().is_none_or(|expect| reply.starts_with(expect));
    let outcome = if good { Outcome::Passed } else { Outcome::Failed };
    Ok(Report::new(outcome, format!("answered {}", reason::quote(reply))))
}
