//! Asking DNS for one name, again and again.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use config::{Family, Host};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// An answer is not asked for again before, whatever its TTL says.
const SHORTEST: Duration = Duration::from_secs(1);
/// Nor later: names of the hosts file have no TTL, and long ones are a caching nameserver's to keep.
const LONGEST: Duration = Duration::from_secs(300);
/// After a failure it is asked again soon, then less and less often.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How long a nameserver may take, and how often all of them are asked before that is a failure.
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its addresses, those to be preferred first.
    Found(Vec<IpAddr>),
    /// There is no such name, or no address of its family.
    Gone,
    /// Nobody knows.
    Failed(String),
}

/// Begins to ask for a name, and tells every answer.
pub(super) fn begin(
    host: Host,
    nameservers: Arc<[SocketAddr]>,
    tell: mpsc::UnboundedSender<(Host, Answer)>,
) -> AbortHandle {
    let asking = async move {
        let mut pause = FIRST_PAUSE;
        loop {
            let (answer, wait) = match once(&host, &nameservers).await {
                Ok((addresses, ttl)) => {
                    pause = FIRST_PAUSE;
                    (Answer::Found(addresses), ttl.clamp(SHORTEST, LONGEST))
                }
                Err(error) => {
                    let is_gone = error.is_no_records_found();
                    let answer =
                        if is_gone { Answer::Gone } else { Answer::Failed(error.to_string()) };
                    let longer = (pause * 2).min(LAST_PAUSE);
                    (answer, std::mem::replace(&mut pause, longer))
                }
            };
            if tell.send((host.clone(), answer)).is_err() {
                return;
            }
            sleep(wait).await;
        }
    };
    tokio::spawn(asking).abort_handle()
}

/// A name's addresses, and for how long they hold. Files of the system are read anew each time: they change.
async fn once(
    host: &Host,
    nameservers: &[SocketAddr],
) -> Result<(Vec<IpAddr>, Duration), NetError> {
    let mut builder = if nameservers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let own = nameservers.iter().copied().map(nameserver).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), own);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.ip_strategy = match host.family {
        Family::Any => LookupIpStrategy::Ipv6AndIpv4,
        Family::V4 => LookupIpStrategy::Ipv4Only,
        Family::V6 => LookupIpStrategy::Ipv6Only,
    };
    (options.timeout, options.attempts) = (PATIENCE, ATTEMPTS);
    let found = builder.build()?.lookup_ip(host.name.as_str()).await?;
    let ttl = found.valid_until().saturating_duration_since(Instant::now().into_std());
    Ok((found.iter().collect(), ttl))
}

fn nameserver(at: SocketAddr) -> NameServerConfig {
    let at_its_port = |mut connection: ConnectionConfig| {
        connection.port = at.port();
        connection
    };
    let both = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at_its_port);
    NameServerConfig::new(at.ip(), true, both.into())
}
