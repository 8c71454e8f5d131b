//! What an operator says of a check, parsed and complete: nothing here is checked again.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A check of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// What is asked.
    pub kind: Kind,
    /// How often, and how many answers decide.
    pub timing: Timing,
}

impl Check {
    /// What its answers are counted by: [`Check::timing`], but an agent's word holds at once, as
    /// with HAProxy. It is a statement, not a sample.
    pub fn counting(&self) -> Timing {
        match self.kind {
            Kind::Agent(_) => Timing {
                rise: NonZeroU32::MIN,
                fall: NonZeroU32::MIN,
                fall_mode: FallMode::Consecutive,
                ..self.timing
            },
            Kind::Http(_)
            | Kind::Tcp(_)
            | Kind::Tls(_)
            | Kind::Dns(_)
            | Kind::Udp(_)
            | Kind::Icmp
            | Kind::File(_)
            | Kind::Command(_) => self.timing,
        }
    }
}

/// When a target is asked, and how many answers change what is thought of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// From the start of one probe to the start of the next, while nothing changes.
    pub interval: Duration,
    /// The same while the state is about to change: some answers in a row speak against it.
    pub fast_interval: Duration,
    /// The same after the first failure of a target that is up.
    pub retry_delay: Duration,
    /// Deadline of one probe, its connection included; at most `interval`.
    pub timeout: Duration,
    /// Successes in a row that take a target up.
    pub rise: NonZeroU32,
    /// Failures that take it down, or refusals that drain it.
    pub fall: NonZeroU32,
    /// How failures are counted.
    pub fall_mode: FallMode,
    /// State before there were answers enough.
    pub initial: Initial,
}

impl Default for Timing {
    fn default() -> Self {
        const TWO: NonZeroU32 = NonZeroU32::new(2).expect("not zero");
        const THREE: NonZeroU32 = NonZeroU32::new(3).expect("not zero");
        Self {
            interval: Duration::from_secs(2),
            fast_interval: Duration::from_millis(500),
            retry_delay: Duration::from_millis(500),
            timeout: Duration::from_secs(1),
            rise: TWO,
            fall: THREE,
            fall_mode: FallMode::Consecutive,
            initial: Initial::FirstCheck,
        }
    }
}

/// How failures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FallMode {
    /// A success forgets them (HAProxy, Keepalived).
    Consecutive,
    /// Only so many successes in a row forget them (gdnsd's `ok_thresh`): a target that fails every
    /// other time goes down.
    Cumulative {
        /// Successes in a row that forget all failures.
        clear_after: NonZeroU32,
    },
}

/// State of a target that was not yet asked often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initial {
    /// The first answer decides, alone.
    FirstCheck,
    /// Up until `fall` failures.
    Up,
    /// Down until `rise` successes.
    Down,
}

/// What is asked of a target, and which answers are good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An HTTP request.
    Http(Http),
    /// A TCP connection, and maybe a word there and back.
    Tcp(Tcp),
    /// A TLS handshake.
    Tls(Tls),
    /// HAProxy's agent-check.
    Agent(Agent),
    /// A DNS question over UDP.
    Dns(Dns),
    /// A datagram.
    Udp(Udp),
    /// An ICMP echo request.
    Icmp,
    /// A file on this host.
    File(File),
    /// A program on this host.
    Command(Command),
}

/// An HTTP/1.1 request, `Connection: close`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Http {
    /// HTTPS with these settings.
    pub tls: Option<Tls>,
    /// `GET` unless said.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `Host`; the target's address if not set.
    pub host: Option<String>,
    /// Statuses that mean up.
    pub status: StatusSet,
    /// Statuses that refuse: the node answers, and wants no new connections.
    pub drain_status: StatusSet,
    /// What the body has to have, within its first 64 KiB.
    pub body: Option<BodyMatch>,
}

/// Ranges of HTTP statuses, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusSet(pub Vec<(u16, u16)>);

impl StatusSet {
    /// Whether a status is among them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// What a body has to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BodyMatch {
    /// These characters.
    Contains(String),
    /// A match of this regular expression, which compiles.
    Regex(String),
}

/// A TCP connection; with neither, that it is made is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// Sent once connected.
    pub send: Option<Vec<u8>>,
    /// Has to come, among the first 64 KiB.
    pub expect: Option<Vec<u8>>,
}

/// How a TLS server is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// Server name to send, and to verify; without it none is sent and the address is verified.
    pub sni: Option<String>,
    /// Whether the certificate is verified.
    pub verify: bool,
    /// PEM file of the authorities that are trusted; the system's if not set.
    pub ca: Option<PathBuf>,
}

/// HAProxy's agent-check: connect, maybe send, read a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Agent {
    /// Sent once connected (`agent-send`).
    pub send: Option<Vec<u8>>,
}

/// A DNS question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dns {
    /// Name asked for, absolute.
    pub name: String,
    /// Type asked for, by number (A is 1, SOA is 6).
    pub qtype: u16,
    /// Response codes that are good: NOERROR alone unless said.
    pub rcodes: Vec<u8>,
    /// Whether there has to be an answer record.
    pub answer: bool,
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Udp {
    /// Sent; may be empty.
    pub payload: Vec<u8>,
    /// The reply has to begin with it. Without it, silence until the deadline is good too: only an
    /// ICMP error is bad.
    pub expect: Option<Vec<u8>>,
}

/// A file on this host. `{node}` in its path stands for the target's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// Absolute.
    pub path: PathBuf,
    /// What of it counts.
    pub content: Content,
}

/// What of a file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Up while it exists: a ready file.
    Exists,
    /// Up while it does not: a disable file.
    Absent,
    /// Its words: as an agent's line, or lines `NAME => WORDS` where NAME is the target's name or
    /// address. A target that no line names, and a file that is not there, count as given here.
    Words {
        /// Whether that is up.
        missing_up: bool,
    },
}

/// A program on this host, without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// Program (absolute path) and arguments. `{node}`, `{address}` and `{port}` stand for the
    /// target's.
    pub argv: Vec<String>,
    /// User to run it as, if we are root: `nobody` unless said.
    pub user: String,
    /// Whether exit codes 2 to 255 mean up with a weight of (code - 2) percent (Keepalived's
    /// `misc_dynamic`); otherwise any code but 0 is a failure.
    pub weight_by_exit_code: bool,
}

impl Kind {
    /// Its name in the site file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Http(Http { tls: None, .. }) => "http",
            Self::Http(Http { tls: Some(_), .. }) => "https",
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Agent(_) => "agent",
            Self::Dns(_) => "dns",
            Self::Udp(_) => "udp",
            Self::Icmp => "icmp",
            Self::File(_) => "file",
            Self::Command(_) => "command",
        }
    }

    /// Whether it may speak to others than this host: to do so is all a command may be there for.
    pub const fn leaves_this_host(&self) -> bool {
        match self {
            Self::Http(_)
            | Self::Tcp(_)
            | Self::Tls(_)
            | Self::Agent(_)
            | Self::Dns(_)
            | Self::Udp(_)
            | Self::Icmp
            | Self::Command(_) => true,
            Self::File(_) => false,
        }
    }

    /// Whether its packets can go through the tunnel, to a VIP: the others speak to the node itself,
    /// or to this host.
    pub const fn can_be_tunnelled(&self) -> bool {
        match self {
            Self::Http(_) | Self::Tcp(_) | Self::Tls(_) | Self::Dns(_) | Self::Udp(_) => true,
            Self::Agent(_) | Self::Icmp | Self::File(_) | Self::Command(_) => false,
        }
    }
}
