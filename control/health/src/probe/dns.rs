//! A DNS question over UDP (RFC 1035).

use std::str::FromStr as _;

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, Question, Rtype};

use super::{Context, Failure};
use crate::{Dns, Outcome, Report, Target, connection};

/// Longest answer without EDNS (RFC 1035, section 2.3.4). A cut one is an answer too.
const MAX_ANSWER: usize = 512;

pub(super) async fn run(dns: &Dns, target: &Target, context: &Context) -> Result<Report, Failure> {
    let query = Query::new(dns)?;
    let socket = connection::udp(target, &context.ports)?;
    socket.send(&query.message).await?;
    let mut buffer = [0; MAX_ANSWER];
    loop {
        // What does not answer this question is late or forged: the deadline goes on.
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = query.answer_in(&buffer[..length]) {
            return Ok(judge(dns, answer));
        }
    }
}

/// A question, and its number.
struct Query {
    id: u16,
    question: Question<Name<Vec<u8>>>,
    message: Vec<u8>,
}

/// What of an answer counts.
struct Answer {
    rcode: Rcode,
    records: u16,
    truncated: bool,
}

impl Query {
    fn new(dns: &Dns) -> Result<Self, Failure> {
        let name = Name::<Vec<u8>>::from_str(&dns.name)
            .map_err(|e| Failure::Check(format!("{} is no DNS name: {e}", dns.name)))?;
        let question = Question::new_in(name, Rtype::from_int(dns.qtype));
        let id = fastrand::u16(..);
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        // Authoritative servers ignore it, resolvers need it.
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        builder.push(&question).expect("a vector has room for one question");
        Ok(Self { id, question, message: builder.finish() })
    }

    /// The answer, if these bytes are one to this query.
    fn answer_in(&self, bytes: &[u8]) -> Option<Answer> {
        let message = Message::from_octets(bytes).ok()?;
        let header = message.header();
        let question = message.sole_question().ok()?;
        // Names are compared without regard to case (RFC 4343).
        let ours = header.qr() && header.id() == self.id && question == self.question;
        ours.then(|| Answer {
            rcode: header.rcode(),
            records: message.header_counts().ancount(),
            truncated: header.tc(),
        })
    }
}

fn judge(dns: &Dns, answer: Answer) -> Report {
    let Answer { rcode, records, truncated } = answer;
    if !dns.rcodes.contains(&rcode.to_int()) {
        return Report::new(Outcome::Failed, rcode.to_string());
    }
    // A truncated answer may have lost its records on the way here.
    if dns.answer && records == 0 && !truncated {
        return Report::new(Outcome::Failed, format!("{rcode} without an answer record"));
    }
    Report::new(Outcome::Passed, rcode.to_string())
}
