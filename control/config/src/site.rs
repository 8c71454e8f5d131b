//! `[site]`

use std::time::Duration;

use api::{HashKey, IdleTimes, Limits};

use crate::duration::{DAY, MONTH, days};
use crate::name;
use crate::secret::{self, Secrets};
use crate::settings::{Peering, Reload, Site, Times};
use crate::table::Table;
use crate::value::Value;

/// Where the site's certificates are.
const PKI: &str = "/etc/palier/pki";
/// Highest port that leaves room for the roles after l4.
const LAST_PEER_PORT: u16 = u16::MAX - 2;
/// Longest idle time: what the forwarder's connection entries can tell apart.
const MAX_IDLE: Duration = days(21);

/// What services take over from the site if they do not say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    /// `down_hold`; nothing for `"never"`.
    pub(crate) down_hold: Option<Duration>,
    /// `drain_timeout`
    pub(crate) drain_timeout: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { down_hold: Some(seconds(10)), drain_timeout: seconds(60) }
    }
}

impl Defaults {
    /// `down_hold` and `drain_timeout`, in `[site]` or in a service.
    pub(crate) fn read(self, table: &mut Table<'_>) -> Self {
        let range = Duration::ZERO..=MONTH;
        Self {
            down_hold: table
                .or("down_hold", self.down_hold, |value| value.duration_or_never(range.clone())),
            drain_timeout: table
                .or("drain_timeout", self.drain_timeout, |value| value.duration(range.clone())),
        }
    }
}

/// The site, and what its services take over.
pub(crate) fn read(table: Table<'_>, secrets: &dyn Secrets) -> (Site, Defaults) {
    let mut table = table.called("site");
    let site = Site {
        name: table.required("name", name::read).unwrap_or_default(),
        hash_key: table
            .required("hash_key", |value| hash_key(value, secrets))
            .unwrap_or(HashKey::new([0; 16])),
        peering: peering(&mut table),
        reload: table.or("reload", Reload::default(), |value| {
            value.choice(&[("manual", Reload::Manual), ("auto", Reload::Auto)])
        }),
        management: table.or("management", vec![], |value| value.set(Value::prefix)),
        times: times(&mut table),
        limits: table.optional("limits", limits).unwrap_or_default(),
        idle: table.optional("idle", idle).unwrap_or_default(),
    };
    let defaults = Defaults::default().read(&mut table);
    table.finish();
    (site, defaults)
}

fn hash_key(value: &Value<'_>, secrets: &dyn Secrets) -> Option<HashKey> {
    let text = secret::read(value, secrets)?;
    let key = text.parse().map_err(|error: api::BadHashKey| value.problem(error.to_string()));
    key.ok()
}

fn peering(table: &mut Table<'_>) -> Option<Peering> {
    let port = table.optional("peer_port", |value| value.number(1..=LAST_PEER_PORT));
    let pki = table.take("pki");
    if let (Some(pki), None) = (&pki, table.peek("peer_port")) {
        pki.problem("this is of no use without `peer_port`");
    }
    let pki = pki.and_then(|value| value.path()).unwrap_or_else(|| PKI.into());
    port.map(|port| Peering { port, pki })
}

fn times(table: &mut Table<'_>) -> Times {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let mut time =
        |key, default, most| table.or(key, default, |value| value.duration(Duration::ZERO..=most));
    let default = Times::default();
    Times {
        join_time: time("join_time", default.join_time, DAY),
        removal_time: time("removal_time", default.removal_time, MONTH),
        startup_limit: time("startup_limit", default.startup_limit, minutes(5)),
        withdraw_grace: time("withdraw_grace", default.withdraw_grace, minutes(5)),
    }
}

fn limits(value: &Value<'_>) -> Option<Limits> {
    let mut table = value.table()?;
    let mut rate = |key, default| table.or(key, default, Value::rate);
    let default = Limits::default();
    let limits = Limits {
        insertions: rate("insertions", default.insertions),
        icmp: rate("icmp", default.icmp),
        icmp_source: rate("icmp_source", default.icmp_source),
        neighbor: rate("neighbor", default.neighbor),
        routing: rate("routing", default.routing),
        errors: rate("errors", default.errors),
        management: rate("management", default.management),
        other: rate("other", default.other),
    };
    table.finish();
    Some(limits)
}

fn idle(value: &Value<'_>) -> Option<IdleTimes> {
    let mut table = value.table()?;
    let mut time = |key, default| table.or(key, default, whole_seconds);
    let default = IdleTimes::default();
    let idle = IdleTimes {
        embryonic: time("embryonic", default.embryonic),
        open: time("open", default.open),
        closing: time("closing", default.closing),
        udp: time("udp", default.udp),
    };
    table.finish();
    Some(idle)
}

fn whole_seconds(value: &Value<'_>) -> Option<u32> {
    let time = value.duration(Duration::from_secs(1)..=MAX_IDLE)?;
    match (u32::try_from(time.as_secs()), time.subsec_nanos()) {
        (Ok(seconds), 0) => Some(seconds),
        (Ok(_) | Err(_), _) => value.is_not("a duration of whole seconds"),
    }
}
