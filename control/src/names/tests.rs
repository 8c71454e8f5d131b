use config::Family;
use tokio::time::{advance, pause};

use super::*;

fn app() -> Host {
    Host { name: "app.example.org".into(), family: Family::Any }
}

/// Names that nobody answers for: what is learned is what a test says.
fn names() -> Names {
    let mut names = Names::default();
    names.look_up(&[&app()].into(), &["127.255.255.255:1".parse().unwrap()]);
    names
}

fn found(all: &[&str]) -> Answer {
    Answer::Found(all.iter().map(|one| one.parse().unwrap()).collect())
}

fn address(names: &Names) -> Option<String> {
    let address = Address::Named(app(), 80);
    let server =
        Server { name: "s".into(), address, weight: 1, backup: false, max_connections: None };
    names.address(&server).map(|at| at.to_string())
}

#[tokio::test]
async fn a_server_stays_where_it_is_while_its_name_says_so() {
    let mut names = names();
    assert!(!names.are_answered());
    assert_eq!(address(&names), None);
    assert!(names.learn(app(), found(&["192.0.2.1", "192.0.2.2"])));
    assert!(names.are_answered());
    assert_eq!(address(&names).as_deref(), Some("192.0.2.1:80"));
    assert!(!names.learn(app(), found(&["192.0.2.2", "192.0.2.1"])), "the order means nothing");
    assert!(names.learn(app(), found(&["192.0.2.2", "2001:db8::2"])));
    assert_eq!(address(&names).as_deref(), Some("192.0.2.2:80"));
    // What comes too late is of nobody.
    names.look_up(&BTreeSet::new(), &[]);
    assert!(!names.learn(app(), found(&["192.0.2.3"])));
}

#[tokio::test]
async fn silence_changes_nothing_and_a_name_that_is_gone_has_a_while() {
    pause();
    let mut names = names();
    let failed = || Answer::Failed("timeout".into());
    assert!(!names.learn(app(), failed()));
    assert!(names.are_answered(), "that nobody knows is an answer");
    names.learn(app(), found(&["192.0.2.1"]));
    assert_eq!(names.problems().count(), 0);
    assert!(!names.learn(app(), failed()));
    assert_eq!(names.problems().collect::<Vec<_>>(), ["app.example.org: timeout"]);
    advance(HOLD * 10).await;
    assert!(!names.learn(app(), failed()));

    assert!(!names.learn(app(), Answer::Gone));
    advance(HOLD - Duration::from_secs(1)).await;
    // It was back in between: the while begins again.
    assert!(!names.learn(app(), found(&["192.0.2.1"])));
    assert!(!names.learn(app(), Answer::Gone));
    advance(HOLD - Duration::from_secs(1)).await;
    assert!(!names.learn(app(), Answer::Gone));
    assert_eq!(address(&names).as_deref(), Some("192.0.2.1:80"));
    advance(Duration::from_secs(1)).await;
    assert!(names.learn(app(), Answer::Gone));
    assert_eq!(address(&names), None);
    assert!(names.problems().next().unwrap().contains("DNS has no address"));
}
