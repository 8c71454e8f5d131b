//! The site file that the README shows.

use std::time::Duration;

use config::{QuorumLoss, assign, dataplane_flags};
use health::{Content, File, Http, Kind};

use crate::{good, problems};

/// The article's L4 layer.
pub(crate) const EXAMPLE: &str = include_str!("../../examples/site.toml");
const README: &str = include_str!("../../../../README.md");

#[test]
fn the_readme_shows_it_word_by_word() {
    assert!(README.contains(&format!("```toml\n{EXAMPLE}```\n")));
}

#[test]
fn the_readme_knows_every_key() {
    let every_key = include_str!("every_key.toml");
    let section = README.split("## The site file").nth(1).unwrap();
    for line in every_key.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        assert!(section.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn it_says_what_the_article_says() {
    let config = good(EXAMPLE);
    let [service] = config.services.as_slice() else { panic!("one service") };
    assert_eq!(service.vips.len(), 2);
    assert_eq!(service.ports, api::Ports::List(vec![80]));
    assert_eq!(service.nodes.iter().map(|member| member.weight).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!((service.quorum, service.hysteresis), (1, 0));
    assert_eq!((service.alpha, service.omega), (true, true));
    assert_eq!(service.on_quorum_loss, QuorumLoss::Withdraw);
    assert_eq!(service.down_hold, None);
    let [check] = service.checks.as_slice() else { panic!("one check") };
    assert_eq!((check.port, check.direct), (80, false));
    let timing = check.check.timing;
    assert_eq!((timing.interval, timing.timeout), (Duration::from_secs(5), Duration::from_secs(2)));
    let Kind::Http(Http { path, status, tls, .. }) = &check.check.kind else { panic!("HTTP") };
    assert_eq!(
        (path.as_str(), status.0.as_slice(), tls),
        ("/healthcheck", &[(200, 200)][..], &None)
    );
    for node in &config.l4 {
        let [check] = node.checks.as_slice() else { panic!("one check") };
        let disable = File { path: "/etc/lb/disable".into(), content: Content::Absent };
        assert_eq!(check.kind, Kind::File(disable));
    }
}

#[test]
fn its_forwarders_start_with_these_flags() {
    let config = good(EXAMPLE);
    assert_eq!(
        dataplane_flags(&config.l4[0]).unwrap(),
        ["--port", "0000:3b:00.0,queues=4", "--cores", "2-5", "--exception", "tap:palier0"]
    );
}

#[test]
fn its_indexes_can_be_left_out_and_are_written_back() {
    let without: String =
        EXAMPLE.split_inclusive('\n').filter(|line| !line.starts_with("index = ")).collect();
    assert_eq!(problems(&without).len(), 3);
    let assigned = assign(&without, &Default::default()).unwrap();
    assert_eq!(assigned.text, EXAMPLE);
}
