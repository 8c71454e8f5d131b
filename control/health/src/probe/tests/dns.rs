use std::str::FromStr as _;

use domain::base::iana::{Class, Rcode};
use domain::base::{Message, MessageBuilder, Name, Ttl};
use domain::rdata::A;

use super::*;
use crate::Dns;
use Outcome::{Failed, Passed};

fn dns() -> Dns {
    Dns { name: "www.example.org.".to_owned(), qtype: 1, rcodes: vec![0], answer: false }
}

/// How a server replies.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    rcode: u8,
    records: usize,
    truncated: bool,
    /// Sent before the right reply.
    nonsense: Option<Nonsense>,
}

#[derive(Clone, Copy, Debug)]
enum Nonsense {
    WrongId,
    WrongName,
    NotAResponse,
    Cut,
    Empty,
}

async fn server(v6: bool, manner: Manner) -> SocketAddr {
    let socket = UdpSocket::bind(localhost(v6)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_octets(&buffer[..length]).unwrap();
            assert!(query.header().rd() && !query.header().qr());
            if let Some(nonsense) = manner.nonsense {
                // It says something bad, which must not be believed.
                let bad = Manner { rcode: 2, ..manner };
                let mut reply = reply(query, bad, matches!(nonsense, Nonsense::WrongName));
                match nonsense {
                    Nonsense::WrongId => reply[0] ^= 0xff,
                    Nonsense::NotAResponse => reply[2] &= 0x7f,
                    Nonsense::Cut => reply.truncate(20),
                    Nonsense::Empty => reply.clear(),
                    Nonsense::WrongName => {}
                }
                socket.send_to(&reply, from).await.unwrap();
            }
            socket.send_to(&reply(query, manner, false), from).await.unwrap();
        }
    });
    address
}

fn reply(query: Message<&[u8]>, manner: Manner, other_name: bool) -> Vec<u8> {
    let question = query.sole_question().unwrap();
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(query.header().id());
    builder.header_mut().set_qr(true);
    builder.header_mut().set_tc(manner.truncated);
    builder.header_mut().set_rcode(Rcode::checked_from_int(manner.rcode).unwrap());
    let mut builder = builder.question();
    let spelled = if other_name { "mail.example.org" } else { "WWW.example.ORG" };
    let name = Name::<Vec<u8>>::from_str(spelled).unwrap();
    builder.push((&name, question.qtype(), question.qclass())).unwrap();
    let mut builder = builder.answer();
    for _ in 0..manner.records {
        let data = A::from_octets(192, 0, 2, 1);
        builder.push((&name, Class::IN, Ttl::from_secs(60), data)).unwrap();
    }
    builder.finish()
}

async fn asked(dns: Dns, manner: Manner) -> Report {
    ask(Kind::Dns(dns), server(false, manner).await).await
}

#[tokio::test]
async fn a_server_that_answers_is_well() {
    for v6 in [false, true] {
        let address = server(v6, Manner::default()).await;
        assert_report(&ask(Kind::Dns(dns()), address).await, Passed, "NOERROR");
    }
}

#[tokio::test]
async fn response_codes_are_judged() {
    let refused = Manner { rcode: 5, ..Manner::default() };
    assert_report(&asked(dns(), refused).await, Failed, "REFUSED");
    let nxdomain = Manner { rcode: 3, ..Manner::default() };
    assert_report(&asked(dns(), nxdomain).await, Failed, "NXDOMAIN");
    let tolerant = Dns { rcodes: vec![0, 3], ..dns() };
    assert_report(&asked(tolerant, nxdomain).await, Passed, "NXDOMAIN");
}

#[tokio::test]
async fn an_answer_record_may_be_required() {
    let strict = Dns { answer: true, ..dns() };
    let empty = asked(strict.clone(), Manner::default()).await;
    assert_report(&empty, Failed, "NOERROR without an answer record");
    let full = Manner { records: 2, ..Manner::default() };
    assert_report(&asked(strict.clone(), full).await, Passed, "NOERROR");
    // The record did not fit.
    let truncated = Manner { truncated: true, ..Manner::default() };
    assert_report(&asked(strict, truncated).await, Passed, "NOERROR");
}

#[tokio::test]
async fn what_answers_another_question_is_passed_over() {
    use Nonsense::{Cut, Empty, NotAResponse, WrongId, WrongName};
    for nonsense in [WrongId, WrongName, NotAResponse, Cut, Empty] {
        let manner = Manner { nonsense: Some(nonsense), ..Manner::default() };
        let report = asked(dns(), manner).await;
        assert_eq!(report.outcome, Passed, "{nonsense:?}: {}", report.reason);
    }
}

#[tokio::test]
async fn the_dead_refuse_and_the_slow_run_out_of_time() {
    let (_bound, address) = unreachable().await;
    assert_report(&ask(Kind::Dns(dns()), address).await, Failed, "connection refused");
    let silent = UdpSocket::bind(localhost(false)).await.unwrap();
    let report = ask_in_vain(Kind::Dns(dns()), silent.local_addr().unwrap()).await;
    assert_report(&report, Failed, "no answer within 50ms");
}

#[tokio::test]
async fn an_impossible_name_says_so() {
    let (_bound, address) = unreachable().await;
    let impossible = Dns { name: "a..b".to_owned(), ..dns() };
    let report = ask(Kind::Dns(impossible), address).await;
    assert_eq!(report.outcome, Failed);
    assert!(report.reason.starts_with("a..b is no DNS name: "), "{}", report.reason);
}
