use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::unistd::{User, geteuid};

use super::*;
use crate::Command;
use Outcome::{Failed, Passed};

fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        user: "nobody".to_owned(),
        weight_by_exit_code: false,
    }
}

fn shell(script: &str) -> Command {
    command(&["/bin/sh", "-c", script])
}

fn target() -> SocketAddr {
    "[2001:db8::28c]:80".parse().unwrap()
}

async fn run_command(command: Command) -> Report {
    ask(Kind::Command(command), target()).await
}

/// Whether a process runs: exists, and is more than the memory of an exit code.
fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let (_, state) = stat.rsplit_once(") ").unwrap();
        !state.starts_with('Z')
    })
}

/// Whether a process is a child of ours that nobody waited for.
fn is_our_zombie(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let mut fields = rest.split(' ');
        fields.next() == Some("Z") && fields.next() == Some(&std::process::id().to_string())
    })
}

async fn until(what: impl Fn() -> bool) {
    let poll = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("it never came to pass");
}

/// A directory in which the command's user may write.
fn writable() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

/// The numbers of the processes that wrote them down here.
fn pids(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_exit_code_decides() {
    assert_report(&run_command(shell("exit 0")).await, Passed, "exit code 0");
    assert_report(&run_command(shell("exit 1")).await, Failed, "exit code 1");
    assert_report(&run_command(shell("exit 7")).await, Failed, "exit code 7");
    assert_report(&run_command(shell("kill -ABRT $$")).await, Failed, "killed by SIGABRT");
}

#[tokio::test]
async fn the_exit_code_may_be_a_weight() {
    for (code, outcome, weight) in [
        (0, Passed, Some(100)),
        (1, Failed, None),
        (2, Passed, Some(0)),
        (52, Passed, Some(50)),
        (255, Passed, Some(253)),
    ] {
        let command = Command { weight_by_exit_code: true, ..shell(&format!("exit {code}")) };
        let report = run_command(command).await;
        assert_eq!((report.outcome, report.weight), (outcome, weight), "{code}");
    }
}

#[tokio::test]
async fn the_first_line_it_says_is_the_reason() {
    let report = run_command(shell("echo; echo disk full; echo more; exit 3")).await;
    assert_report(&report, Failed, r#"exit code 3: "disk full""#);
    let report = run_command(shell("echo complaint >&2")).await;
    assert_report(&report, Passed, r#"exit code 0: "complaint""#);
    let report = run_command(shell("echo complaint >&2; echo result")).await;
    assert_report(&report, Passed, r#"exit code 0: "result""#);
}

#[tokio::test]
async fn it_knows_its_target_and_nothing_else() {
    let words = command(&["/bin/echo", "{node}", "[{address}]:{port}", "$HOME;"]);
    let report = run_command(words).await;
    assert_report(&report, Passed, r#"exit code 0: "l7-1 [2001:db8::28c]:80 $HOME;""#);

    let names = "env | cut -d= -f1 | sort | tr '\\n' ' '";
    let report = run_command(shell(names)).await;
    // PWD and the like are the shell's own.
    let names: Vec<&str> = report.reason.split(['"', ' ']).filter(|n| n.len() > 3).collect();
    let known = ["exit", "code", "PALIER_ADDRESS", "PALIER_NODE", "PALIER_PORT", "PATH"];
    assert!(names.iter().all(|name| known.contains(name) || *name == "SHLVL"), "{names:?}");
    let values = run_command(shell("echo $PALIER_NODE $PALIER_ADDRESS $PALIER_PORT; cat")).await;
    assert_report(&values, Passed, r#"exit code 0: "l7-1 2001:db8::28c 80""#);
}

#[tokio::test]
async fn root_runs_it_as_another_user() {
    let report = run_command(shell("echo $(id -u) $(id -g) $(id -G)")).await;
    if geteuid().is_root() {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let (uid, gid) = (nobody.uid, nobody.gid);
        assert_report(&report, Passed, &format!(r#"exit code 0: "{uid} {gid} {gid}""#));
        let stranger = Command { user: "no-such-user".to_owned(), ..shell("exit 0") };
        assert_report(&run_command(stranger).await, Failed, "there is no user no-such-user");
    } else {
        let own = format!("exit code 0: \"{} ", geteuid());
        assert!(report.reason.starts_with(&own), "{}", report.reason);
    }
}

#[tokio::test]
async fn what_cannot_be_run_says_so() {
    let report = run_command(command(&["/no/such/program"])).await;
    assert_report(&report, Failed, "cannot be run: no such file or directory");
    let report = run_command(command(&["/etc/passwd"])).await;
    assert_report(&report, Failed, "cannot be run: permission denied");
    assert_report(&run_command(command(&[])).await, Failed, "no program is named");
}

#[tokio::test]
async fn much_output_neither_blocks_it_nor_stays() {
    let flood = "head -c 10000000 /dev/zero | tr '\\0' x; head -c 10000000 /dev/zero >&2; exit 4";
    let report = run_command(shell(flood)).await;
    assert_report(&report, Failed, &format!("exit code 4: \"{}...\"", "x".repeat(80)));
}

#[tokio::test]
async fn the_deadline_ends_it() {
    let patient = probe(Kind::Command(shell("sleep 1000")), target(), Duration::from_millis(50));
    let report = run(&patient, &Context::new()).await;
    assert_report(&report, Failed, "no answer within 50ms");
}

#[tokio::test]
async fn nothing_is_left_of_a_stubborn_family_that_is_given_up() {
    let dir = writable();
    let file = dir.path().join("pids");
    // Each ignores what can be ignored, and the grandchild lost its parent.
    let script = format!(
        "trap '' TERM HUP INT; echo $$ >>{0}; (trap '' TERM; sleep 1000 & echo $! >>{0}); sleep 1000 & echo $! >>{0}; wait",
        file.display()
    );
    let probe = probe(Kind::Command(shell(&script)), target(), PATIENCE * 2);
    let context = Context::new();
    tokio::select! {
        report = run(&probe, &context) => panic!("it ended: {report:?}"),
        () = until(|| pids(&file).len() == 3) => {}
    }
    let family = pids(&file);
    until(|| !family.iter().any(|pid| lives(pid))).await;
    until(|| !is_our_zombie(&family[0])).await;
}

#[tokio::test]
async fn nothing_is_left_of_one_that_leaves_children_behind() {
    // The child holds the pipe open, which is not waited for either.
    let report = run_command(shell("sleep 1000 & echo $!")).await;
    assert_eq!(report.outcome, Passed);
    let pid = report.reason.split('"').nth(1).unwrap().to_owned();
    until(|| !lives(&pid)).await;
}
