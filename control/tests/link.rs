//! The link to the dataplane and the watchdog, against a socket that behaves as told.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Greeting, Heartbeat, Heartbeats, InForce, Reply, Request, Snapshot};
use control::dataplane::link::{self, Event, Wanted};
use control::dataplane::watchdog::{self, Pulse};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What is waited for comes far sooner.
const SOON: Duration = Duration::from_secs(20);

/// How the dataplane answers, one request after the other.
type Answer = Box<dyn FnMut(Request) -> Option<Reply> + Send>;

/// A dataplane that answers like that; a request without an answer ends the connection.
fn dataplane(socket: &Path, answer: Answer) -> JoinHandle<()> {
    // As a process that was killed leaves it.
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).expect("the folder is there");
    let answer = Arc::new(Mutex::new(answer));
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("it listens");
            let answer = answer.clone();
            connections.spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let reply =
                        (answer.lock())(Request::parse(&line).expect("it speaks the protocol"));
                    let Some(reply) = reply else { return };
                    let line = serde_json::to_string(&reply).expect("replies are JSON") + "\n";
                    // Who went needs no answer.
                    let _ = write.write_all(line.as_bytes()).await;
                }
            });
        }
    })
}

fn greeting(protocol: u32) -> Reply {
    Reply::Hello(Greeting { protocol, hash: 1, program: "test".into(), started_ms: 0 })
}

fn snapshot(generation: u64) -> Snapshot {
    Snapshot {
        generation,
        hash_key: None,
        addresses: vec![[192, 0, 2, 132].into()],
        tunnel_sources: vec![],
        nodes: vec![],
        services: vec![],
        routers: vec![],
        management: vec![],
        bfd: vec![],
        limits: api::Limits::default(),
        idle: api::IdleTimes::default(),
    }
}

fn wanted(generation: u64) -> Option<Wanted> {
    Some(Wanted { snapshot: Arc::new(snapshot(generation)), force: false })
}

async fn next(events: &mut mpsc::UnboundedReceiver<Event>) -> Event {
    timeout(SOON, events.recv()).await.expect("an event comes").expect("the link lives")
}

#[tokio::test]
async fn each_dataplane_that_appears_is_told_of_and_gets_what_is_wanted_then() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dataplane.sock");
    let (events, mut heard) = mpsc::unbounded_channel();
    let link = link::start(socket.clone(), events);
    assert!(matches!(next(&mut heard).await, Event::Lost(_)), "nobody is there: said once");

    let answer = |mut has: Option<u64>| -> Answer {
        Box::new(move |request| {
            Some(match request {
                Request::Hello => greeting(api::VERSION),
                Request::Snapshot => Reply::Snapshot(has.map(|generation| {
                    let key_fingerprint = format!("key of {generation}");
                    let snapshot = snapshot(generation);
                    Box::new(InForce { generation, snapshot, key_fingerprint })
                })),
                Request::Apply(apply) if apply.snapshot.generation % 2 == 0 => {
                    Reply::Refused { reasons: vec!["even".into()] }
                }
                Request::Apply(apply) => {
                    has = Some(apply.snapshot.generation);
                    Reply::Applied { generation: apply.snapshot.generation }
                }
                other => panic!("{other:?}"),
            })
        })
    };
    let first = dataplane(&socket, answer(Some(7)));
    let Event::Found(_, Some(found)) = next(&mut heard).await else { panic!("it is found") };
    assert_eq!(found.generation, 7);
    link.send_replace(wanted(9));
    assert!(matches!(next(&mut heard).await, Event::Applied(nine, _) if nine.generation == 9));
    link.send_replace(wanted(10));
    let Event::Refused(10, reasons) = next(&mut heard).await else { panic!("it is refused") };
    assert_eq!(reasons, ["even"]);

    first.abort();
    assert!(matches!(next(&mut heard).await, Event::Lost(_)));
    // Wanted of the one that went: the next one gets it only if control still says so.
    link.send_replace(wanted(11));
    let _second = dataplane(&socket, answer(None));
    assert!(matches!(next(&mut heard).await, Event::Found(_, None)));
    link.send_replace(wanted(13));
    let Event::Applied(_, key) = next(&mut heard).await else { panic!("it is applied") };
    assert_eq!(key, "key of 13", "asked for: the one that was found had none");
    // The same key again, then another one.
    link.send_replace(wanted(15));
    let Event::Applied(_, key) = next(&mut heard).await else { panic!("it is applied") };
    assert_eq!(key, "key of 13");
    let snapshot = Snapshot { hash_key: Some(api::HashKey::new([7; 16])), ..snapshot(17) };
    link.send_replace(Some(Wanted { snapshot: Arc::new(snapshot), force: true }));
    let Event::Applied(_, key) = next(&mut heard).await else { panic!("it is applied") };
    assert_eq!(key, "key of 17");
}

#[tokio::test]
async fn one_that_goes_away_whenever_it_is_sent_something_is_left_alone_longer_and_longer() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dataplane.sock");
    let answer = |request| match request {
        Request::Hello => Some(greeting(api::VERSION)),
        Request::Snapshot => Some(Reply::Snapshot(None)),
        _ => None,
    };
    let _dataplane = dataplane(&socket, Box::new(answer));
    let (events, mut heard) = mpsc::unbounded_channel();
    let link = link::start(socket.clone(), events);
    let start = Instant::now();
    for generation in 1..=5 {
        assert!(matches!(next(&mut heard).await, Event::Found(_, None)));
        link.send_replace(wanted(generation));
        assert!(matches!(next(&mut heard).await, Event::Lost(_)));
    }
    let pauses: u64 = [200, 400, 800, 1600].iter().sum();
    assert!(start.elapsed() >= Duration::from_millis(pauses), "{:?}", start.elapsed());
}

#[tokio::test]
async fn another_version_of_the_protocol_is_not_spoken_with() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dataplane.sock");
    let answer = |request| matches!(request, Request::Hello).then(|| greeting(api::VERSION + 1));
    let _dataplane = dataplane(&socket, Box::new(answer));
    let (events, mut heard) = mpsc::unbounded_channel();
    let _link = link::start(socket, events);
    let Event::Lost(why) = next(&mut heard).await else { panic!("it is not taken") };
    assert!(why.to_string().contains("version"), "{why}");
}

async fn pulse_is(pulse: &mut watch::Receiver<Pulse>, what: &str, is: fn(&Pulse) -> bool) {
    let seen = timeout(SOON, pulse.wait_for(is)).await.is_ok();
    assert!(seen, "{what}: {:?}", pulse.borrow());
}

fn is_silent(pulse: &Pulse, text: &str) -> bool {
    matches!(pulse, Pulse::Silent(why) if why.contains(text))
}

#[tokio::test]
async fn the_watchdog_tells_a_stale_worker_a_missing_snapshot_and_a_silent_process() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dataplane.sock");
    let state = Arc::new(Mutex::new((0_u64, None)));
    let told = state.clone();
    let running = dataplane(
        &socket,
        Box::new(move |request| {
            assert_eq!(request, Request::Heartbeats);
            let (heartbeat_ms, generation) = *told.lock();
            let workers = vec![Heartbeat { cpu: 2, heartbeat_ms, generation }];
            Some(Reply::Heartbeats(Heartbeats { generation, workers, bfd: vec![] }))
        }),
    );
    let (_building, is_building) = watch::channel(false);
    let (mut pulse, _) = watchdog::start(socket, is_building);
    pulse_is(&mut pulse, "no Snapshot", |p| is_silent(p, "no Snapshot")).await;
    *state.lock() = (3, Some(1));
    pulse_is(&mut pulse, "well", |p| matches!(p, Pulse::Beats(3))).await;
    *state.lock() = (700, Some(1));
    pulse_is(&mut pulse, "stale", |p| is_silent(p, "CPU 2 has not turned for 700 ms")).await;
    *state.lock() = (3, Some(1));
    pulse_is(&mut pulse, "well again", |p| matches!(p, Pulse::Beats(_))).await;
    running.abort();
    pulse_is(&mut pulse, "gone", |p| is_silent(p, "does not answer")).await;
}

/// A process that answers nothing is dead, but not while it builds what control has sent.
#[tokio::test(start_paused = true)]
async fn a_dataplane_that_builds_is_not_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dataplane.sock");
    // It accepts, and never answers.
    let _listener = UnixListener::bind(&socket).unwrap();
    let (building, is_building) = watch::channel(true);
    let (mut pulse, _) = watchdog::start(socket, is_building);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*pulse.borrow(), Pulse::Silent("not asked yet".into()));
    building.send_replace(false);
    pulse_is(&mut pulse, "silent", |p| is_silent(p, "no answer within 1s")).await;
}

/// Control may begin to wait for it just after it was asked for its heartbeats.
#[tokio::test(start_paused = true)]
async fn a_dataplane_that_begins_to_build_after_it_was_asked_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dataplane.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let (building, is_building) = watch::channel(false);
    let (mut pulse, _) = watchdog::start(socket, is_building);
    tokio::time::sleep(Duration::from_millis(500)).await;
    building.send_replace(true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*pulse.borrow(), Pulse::Silent("not asked yet".into()));
    // But not for ever.
    tokio::time::sleep(Duration::from_secs(90)).await;
    pulse_is(&mut pulse, "silent", |p| is_silent(p, "no answer within 1s")).await;
}
