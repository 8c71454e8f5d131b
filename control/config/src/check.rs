//! `check` in `[[service]]` and `[[l4]]`: a table, or a list of tables, each of one or more kinds with
//! their common timing.

mod dns;
mod host;
mod http;
mod stream;
mod timing;
pub(crate) mod tls;
mod udp;

use health::{Check, Kind};

use crate::settings::{AddressCheck, PoolCheck, ServiceCheck};
use crate::table::Table;
use crate::value::Value;

/// Where a check goes that names no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultPort {
    /// To this one, the service's first.
    Port(u16),
    /// To the one that requests go to.
    OfServer,
    /// The service has `ports = "any"`.
    Missing,
    /// There is no service whose it could be.
    Unsaid,
    /// The service's ports could not be read, which was told.
    Untold,
}

/// Whether a kind has a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// The service's first, if it names none.
    OfService,
    /// The same, and none is no harm.
    Spare,
    /// Its own.
    Own,
    /// There is none.
    No,
}

/// A kind of check: its key, how its options are read, and whether it has a port.
type Reader = (&'static str, fn(&mut Table<'_>) -> Option<Kind>, Port);

/// Kinds that speak to a node.
const OF_NODE: [Reader; 8] = [
    ("http", http::plain, Port::OfService),
    ("https", http::secure, Port::OfService),
    ("tcp", stream::tcp, Port::OfService),
    ("tls", tls::read, Port::OfService),
    ("agent", stream::agent, Port::Own),
    ("dns", dns::read, Port::OfService),
    ("udp", udp::read, Port::OfService),
    ("icmp", |_| Some(Kind::Icmp), Port::No),
];
/// Kinds that look at this host.
const OF_HOST: [Reader; 2] =
    [("file", host::file, Port::No), ("command", host::command, Port::Spare)];

/// What a table asks, and at which port.
type Asked = (Check, u16);

/// The checks of a service's nodes.
pub(crate) fn of_service(value: &Value<'_>, default: DefaultPort) -> Vec<ServiceCheck> {
    let mut checks = Vec::new();
    for value in value.one_or_more() {
        let Some(mut table) = value.table() else { continue };
        let asked = kinds(&mut table, OF_NODE.iter().chain(&OF_HOST), default);
        let direct = table.take("direct");
        let wanted = direct.as_ref().and_then(Value::boolean);
        for (check, port) in asked {
            let tunnelled = check.kind.can_be_tunnelled();
            if let (Some(direct), Some(false), false) = (&direct, wanted, tunnelled) {
                let kind = check.kind.name();
                direct.problem(format!(
                    "`{kind}` is always direct: move it to a check of its own, or leave this out"
                ));
            }
            let direct = wanted == Some(true) || !tunnelled;
            checks.push(ServiceCheck { check, port, direct });
        }
        table.finish();
    }
    checks
}

/// The checks of addresses that resolvers give.
pub(crate) fn of_addresses(value: &Value<'_>, default: DefaultPort) -> Vec<AddressCheck> {
    let mut checks = Vec::new();
    for value in value.one_or_more() {
        let Some(mut table) = value.table() else { continue };
        table.refuse(&["direct"], "checks of addresses always are: leave it out");
        let asked = kinds(&mut table, OF_NODE.iter().chain(&OF_HOST), default);
        table.finish();
        checks.extend(asked.into_iter().map(|(check, port)| AddressCheck { check, port }));
    }
    checks
}

/// The checks of a pool's servers.
pub(crate) fn of_pool(value: &Value<'_>) -> Vec<PoolCheck> {
    let mut checks = Vec::new();
    for value in value.one_or_more() {
        let Some(mut table) = value.table() else { continue };
        table.refuse(&["direct"], "this is for the checks of a service");
        let asked = kinds(&mut table, OF_NODE.iter().chain(&OF_HOST), DefaultPort::OfServer);
        table.finish();
        let own = |port: u16| (port != 0).then_some(port);
        checks.extend(asked.into_iter().map(|(check, port)| PoolCheck { check, port: own(port) }));
    }
    checks
}

/// The checks of an L7 node itself: of this host, and agents on it, with their ports.
pub(crate) fn of_l7(value: &Value<'_>) -> Vec<(Check, u16)> {
    let mut checks = Vec::new();
    for value in value.one_or_more() {
        let Some(mut table) = value.table() else { continue };
        let own = |key: &str| key == "agent";
        let network: Vec<_> =
            OF_NODE.map(|(key, ..)| key).into_iter().filter(|k| !own(k)).collect();
        let told = network.iter().any(|key| table.peek(key).is_some());
        table.refuse(&network, "an L7 node is checked by `agent`, `file` and `command` alone");
        table.refuse(&["direct"], "this is for the checks of a service");
        if !told {
            let readers = OF_NODE.iter().filter(|(key, ..)| own(key)).chain(&OF_HOST);
            checks.extend(kinds(&mut table, readers, DefaultPort::Untold));
        }
        table.finish();
    }
    checks
}

/// The checks of an L4 node itself.
pub(crate) fn of_host(value: &Value<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    for value in value.one_or_more() {
        let Some(mut table) = value.table() else { continue };
        let network = OF_NODE.map(|(key, ..)| key);
        let told = network.iter().any(|key| table.peek(key).is_some());
        table.refuse(&network, "an L4 node is checked by `file` and `command` alone");
        table.refuse(&["direct"], "this is for the checks of a service");
        if !told {
            let asked = kinds(&mut table, OF_HOST.iter(), DefaultPort::Untold);
            checks.extend(asked.into_iter().map(|(check, _)| check));
        }
        table.finish();
    }
    checks
}

/// Every kind of one table.
fn kinds<'r>(
    table: &mut Table<'_>,
    readers: impl Iterator<Item = &'r Reader> + Clone,
    default: DefaultPort,
) -> Vec<Asked> {
    let timing = timing::read(table);
    let mut asked = Vec::new();
    let mut named = false;
    for &(key, read, port) in readers.clone() {
        let Some(value) = table.take(key) else { continue };
        named = true;
        let Some(mut options) = value.options() else { continue };
        let port = port.read(&mut options, default);
        let kind = read(&mut options);
        options.finish();
        if let (Some(kind), Some(port)) = (kind, port) {
            asked.push((Check { kind, timing }, port));
        }
    }
    if !named {
        let keys: Vec<_> = readers.map(|(key, ..)| format!("`{key}`")).collect();
        table.problem(format!("it names no kind of check: {}", keys.join(", ")));
    }
    asked
}

impl Port {
    /// The port of a check with these options; 0 if it has none.
    fn read(self, options: &mut Table<'_>, default: DefaultPort) -> Option<u16> {
        let own = match self {
            Self::No => return Some(0),
            Self::Own => return options.required("port", Value::port),
            Self::OfService | Self::Spare => options.take("port"),
        };
        match (own, default, self) {
            (Some(own), _, _) => own.port(),
            (None, DefaultPort::Port(port), _) => Some(port),
            (None, DefaultPort::Missing, Self::OfService) => {
                options.problem("`port` is missing: `ports = \"any\"` names none to check");
                None
            }
            (None, DefaultPort::Unsaid, Self::OfService) => {
                options.problem("`port` is missing: there is no `service` whose it could be");
                None
            }
            (
                None,
                DefaultPort::Missing
                | DefaultPort::Unsaid
                | DefaultPort::Untold
                | DefaultPort::OfServer,
                _,
            ) => Some(0),
        }
    }
}
