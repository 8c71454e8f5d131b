use tokio::io::AsyncReadExt as _;

use super::*;
use crate::{Admin, Agent};
use Outcome::{Failed, Passed, Silent};

fn agent() -> Kind {
    Kind::Agent(Agent::default())
}

#[tokio::test]
async fn an_agent_has_its_say() {
    let report = ask(agent(), saying(b"up ready 75%\r\n").await).await;
    assert_report(&report, Passed, r#""up ready 75%""#);
    assert_eq!((report.admin, report.weight), (Some(Admin::Ready), Some(75)));
    let report = ask(agent(), saying(b"down #disk full\n").await).await;
    assert_report(&report, Failed, r#""down #disk full""#);
    let report = ask(agent(), saying(b"drain\0").await).await;
    assert_eq!((report.outcome, report.admin), (Silent, Some(Admin::Drain)));
}

#[tokio::test]
async fn the_first_line_is_enough_and_may_come_in_pieces() {
    let address = server(|mut stream| async move {
        let mut question = [0; 5];
        stream.read_exact(&mut question).await.unwrap();
        assert_eq!(&question, b"l7-1\n");
        for piece in [&b"do"[..], b"wn 5", b"0%\nup\n"] {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        // It does not close.
        wait_for_end(stream).await;
    })
    .await;
    let report = ask(Kind::Agent(Agent { send: Some(b"l7-1\n".to_vec()) }), address).await;
    assert_report(&report, Failed, r#""down 50%""#);
    assert_eq!(report.weight, Some(50));
}

#[tokio::test]
async fn an_agent_that_says_nothing_of_use_changes_nothing() {
    let unheard = |report: &Report, reason: &str| {
        assert_report(report, Silent, reason);
        assert_eq!((report.admin, report.weight), (None, None));
    };
    unheard(&ask(agent(), saying(b"").await).await, "the agent says nothing");
    let cut = ask(agent(), saying(b"down").await).await;
    unheard(&cut, r#"a line without an end: "down""#);
    let (_bound, dead) = refusing();
    unheard(&ask(agent(), dead).await, "connection refused");
    unheard(&ask_in_vain(agent(), slow().await).await, "no answer within 50ms");
    let other = ask(agent(), saying(b"HTTP/1.1 400\r\n").await).await;
    unheard(&other, r#""HTTP/1.1 400", of which "HTTP/1.1" is no known word"#);
}

#[tokio::test]
async fn an_agent_that_sends_megabytes_is_not_listened_to() {
    let address = endless(b"", &[b'u'; 65_536]).await;
    let report = ask(agent(), address).await;
    assert_eq!(report.outcome, Silent);
    assert_eq!(report.reason, format!("a line without an end: \"{}...\"", "u".repeat(80)));
}
