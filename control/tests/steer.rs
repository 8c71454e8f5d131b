//! The loop that steers, with a dataplane that behaves as told.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin::{Reply as Answer, Request as Wish, Status};
use api::{Apply, Greeting, Heartbeat, Heartbeats, InForce, Reply, Request, Snapshot};
use config::SiteFile;
use control::admin::socket::Call;
use control::signals::Signal;
use control::site::Site;
use control::states::Store;
use control::steer::{self, Start};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

/// What is waited for comes far sooner.
const SOON: Duration = Duration::from_secs(30);

const SITE: &str = r#"
[site]
name = "test"
hash_key = "000102030405060708090a0b0c0d0e0f"
[[l4]]
name = "l4-1"
addresses = ["192.0.2.132"]
[[l7]]
name = "l7-1"
index = 1
addresses = ["192.0.2.140"]
[[service]]
name = "web"
vips = ["198.51.100.1"]
protocol = "tcp"
ports = [80]
check.command = { argv = ["/bin/sh", "-c", "test ! -e DOWN && echo >> ASKED"] }
check.interval = "100ms"
check.rise = 1
check.fall = 1
"#;

/// What becomes of a Snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    InForce,
    /// And the next is refused.
    InForceOnce,
    /// Unless it is forced.
    Refused,
    /// The connection that brought it ends.
    Lost,
    /// No answer comes while this is so.
    Building,
}

#[derive(Debug)]
struct Dataplane {
    has: Option<Snapshot>,
    taken: Taken,
}

/// A steering loop in a folder of its own.
struct World {
    folder: tempfile::TempDir,
    dataplane: Arc<Mutex<Dataplane>>,
    calls: mpsc::Sender<Call>,
    _signals: mpsc::Sender<Signal>,
}

impl World {
    fn start(taken: Taken) -> Self {
        Self::start_with(SITE, taken)
    }

    fn start_with(site: &str, taken: Taken) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("site.toml");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let text = site.replace("DOWN", &place("down")).replace("ASKED", &place("asked"));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .expect("a new folder");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("there is room");
        // The checks run as another user where tests run as root.
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .expect("it is ours");

        let site = Site::new(SiteFile::read(&path).expect("it is right"), "l4-1")
            .expect("it is in the file");
        let state_file = Store::path(folder.path(), "l4");
        let (store, _) = Store::open(state_file.clone());
        let (calls, requests) = mpsc::channel(4);
        let (_signals, heard) = mpsc::channel(1);
        let socket = folder.path().join("dataplane.sock");
        let dataplane = Arc::new(Mutex::new(Dataplane { has: None, taken }));
        serve(&socket, &dataplane);
        let start = Start {
            site,
            path,
            store: Arc::new(store),
            state_file,
            dataplane: socket,
            program: "/nonexistent/palier-control".into(),
            calls: requests,
        };
        tokio::spawn(steer::run(start, heard));
        Self { folder, dataplane, calls, _signals }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How often the node was asked.
    fn asked(&self) -> usize {
        std::fs::read(self.path("asked")).map_or(0, |lines| lines.len())
    }

    async fn call(&self, request: Wish) -> Answer {
        let (reply, answer) = oneshot::channel();
        assert!(self.calls.send(Call { request, uid: 0, stats: None, reply }).await.is_ok());
        answer.await.expect("the loop answers")
    }

    async fn status(&self) -> Status {
        match self.call(Wish::Status { brief: false }).await {
            Answer::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    async fn until(&self, what: &str, is: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + SOON;
        loop {
            let status = self.status().await;
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: {status:#?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn serve(socket: &Path, dataplane: &Arc<Mutex<Dataplane>>) {
    let listener = UnixListener::bind(socket).expect("a new folder");
    let dataplane = dataplane.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("it listens");
            let dataplane = dataplane.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let request = Request::parse(&line).expect("it speaks the protocol");
                    while matches!(request, Request::Apply(_))
                        && dataplane.lock().taken == Taken::Building
                    {
                        sleep(Duration::from_millis(5)).await;
                    }
                    let Some(reply) = dataplane.lock().answer(request) else { return };
                    let line = serde_json::to_string(&reply).expect("replies are JSON") + "\n";
                    // Who went needs no answer.
                    let _ = write.write_all(line.as_bytes()).await;
                }
            });
        }
    });
}

impl Dataplane {
    fn answer(&mut self, request: Request) -> Option<Reply> {
        let generation = self.has.as_ref().map(|has| has.generation);
        Some(match request {
            Request::Hello => Reply::Hello(Greeting {
                protocol: api::VERSION,
                hash: 1,
                program: "test".into(),
                started_ms: 0,
            }),
            Request::Snapshot => Reply::Snapshot(self.has.clone().map(|snapshot| {
                let generation = snapshot.generation;
                Box::new(InForce { generation, snapshot, key_fingerprint: "key".into() })
            })),
            Request::Apply(apply) => {
                let Apply { snapshot, force } = *apply;
                match self.taken {
                    Taken::Lost => {
                        self.taken = Taken::InForce;
                        return None;
                    }
                    Taken::Refused if !force => {
                        return Some(Reply::Refused { reasons: vec!["another key".into()] });
                    }
                    Taken::InForceOnce => self.taken = Taken::Refused,
                    Taken::InForce | Taken::Refused | Taken::Building => {}
                }
                let generation = snapshot.generation;
                self.has = Some(snapshot);
                Reply::Applied { generation }
            }
            Request::Heartbeats => {
                let workers = vec![Heartbeat { cpu: 2, heartbeat_ms: 1, generation }];
                Reply::Heartbeats(Heartbeats { generation, workers, bfd: vec![] })
            }
            Request::Stats => Reply::Error("no counters".into()),
            other => panic!("{other:?}"),
        })
    }
}

fn announces(status: &Status) -> bool {
    status.services[0].vips[0].announced
}

#[tokio::test]
async fn a_link_that_was_lost_alone_does_not_hold_the_probes_for_ever() {
    let world = World::start(Taken::InForce);
    world.until("it is up", announces).await;
    // The next Snapshot costs the link, and the watchdog notices nothing.
    world.dataplane.lock().taken = Taken::Lost;
    std::fs::write(world.path("down"), "").unwrap();
    world.until("it is down", |status| !announces(status)).await;
    world.until("link again", |s| s.dataplane.generation == s.dataplane.wanted).await;
    assert_eq!(world.status().await.counters["dataplane_lost"], 1);
    std::fs::remove_file(world.path("down")).unwrap();
    let before = world.asked();
    world.until("it is asked again", |_| world.asked() > before).await;
    world.until("it is up again", announces).await;
}

#[tokio::test]
async fn what_was_refused_is_offered_again_by_a_reload_and_announced_only_then() {
    let world = World::start(Taken::Refused);
    let refused = |status: &Status| !status.dataplane.refused.is_empty();
    let status = world.until("it is refused", refused).await;
    assert!(!announces(&status));
    assert_eq!(status.dataplane.generation, None);
    let done = world.call(Wish::Reload { force: true }).await;
    assert!(matches!(done, Answer::Done(_)), "{done:?}");
    world.until("it is taken", announces).await;
}

#[tokio::test]
async fn what_is_announced_stays_so_while_the_next_snapshot_is_built() {
    let world = World::start(Taken::InForce);
    let before = world.until("it is up", announces).await.dataplane.generation;
    world.dataplane.lock().taken = Taken::Building;
    let set = |state| Wish::SetState { node: "l4-1".into(), state };
    world.call(set(health::Admin::Drain)).await;
    let drained = world.until("the gate is shut", |status| !announces(status)).await;
    assert_eq!(drained.gate.reasons, ["operator: drain"]);
    world.call(set(health::Admin::Ready)).await;
    world.until("it is open again", announces).await;

    std::fs::write(world.path("down"), "").unwrap();
    let building = |status: &Status| status.dataplane.wanted > before;
    let first = world.until("one is on its way", building).await;
    assert!(first.gate.open, "{:?}", first.gate.reasons);
    assert_eq!(first.dataplane.generation, before, "it is not in force yet");
    std::fs::remove_file(world.path("down")).unwrap();
    let second = |status: &Status| status.dataplane.wanted > first.dataplane.wanted;
    world.until("another is wanted meanwhile", second).await;
    world.dataplane.lock().taken = Taken::InForceOnce;
    let refused = |status: &Status| !status.dataplane.refused.is_empty();
    let last = world.until("the second is refused", refused).await.dataplane;
    assert_eq!(last.generation, first.dataplane.wanted, "the first is in force");
    assert!(last.wanted > last.generation);
}

#[tokio::test]
async fn nobody_is_asked_through_the_tunnel_before_the_dataplane_knows_whom_it_is_for() {
    /// A new probe starts within a second.
    const WITHIN: Duration = Duration::from_millis(1500);
    let command = SITE.lines().find(|line| line.contains("check.command")).expect("it is there");
    let one = SITE.replace(command, "check.tcp = {}");
    let world = World::start_with(&one, Taken::Building);
    // This host has no address of an L4 node, so each probe tells of that.
    let asked = |status: &Status| -> Vec<bool> {
        let members = &status.services[0].vips[0].nodes;
        members.iter().map(|member| member.checks[0].reason != "not asked yet").collect()
    };
    let sent = |status: &Status| status.dataplane.wanted.is_some();
    world.until("the first Snapshot is on its way", sent).await;
    sleep(WITHIN).await;
    assert_eq!(asked(&world.status().await), [false]);
    world.dataplane.lock().taken = Taken::InForce;
    world.until("the first node is asked", |status| asked(status) == [true]).await;

    world.dataplane.lock().taken = Taken::Building;
    let second = "[[l7]]\nname = \"l7-2\"\nindex = 2\naddresses = [\"192.0.2.141\"]\n[[service]]";
    std::fs::write(world.path("site.toml"), one.replace("[[service]]", second)).unwrap();
    let done = world.call(Wish::Reload { force: false }).await;
    assert!(matches!(done, Answer::Done(_)), "{done:?}");
    sleep(WITHIN).await;
    assert_eq!(asked(&world.status().await), [true, false]);
    world.dataplane.lock().taken = Taken::InForce;
    world.until("the second is asked", |status| asked(status) == [true, true]).await;
}
