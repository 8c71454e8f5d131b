//! A node that serves zones: what it serves, and what dynamic records say.

use admin::{
    CheckOfAddress, DnsStatus, ForcedStatus, MemberOfResolver, ResolverStatus, Said, ZoneStatus,
};

use super::Page;
use crate::text::{Cell, Table, Tone, ago, human_ms};

impl Page {
    /// The whole of it.
    pub(super) fn dns(&self, status: &DnsStatus) -> String {
        let parts = [
            self.alarms(&status.alarms),
            self.dns_head(status),
            self.zones(&status.zones),
            self.resolvers(&status.resolvers),
            self.forced(&status.forced),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n")
    }

    fn dns_head(&self, status: &DnsStatus) -> String {
        let mut table = Table::plain();
        let mut line = |name: &str, tone, text: String| {
            table.row([Cell::new(Tone::Strong, name), Cell::new(tone, text)]);
        };
        let DnsStatus { site, node, role, program, uptime_ms, file, .. } = status;
        let up = human_ms(*uptime_ms);
        let text = format!("{node} ({role}) of {site}, palier-control {program} for {up}");
        line("node", Tone::Plain, text);
        self.file(file, &mut line);
        let (tone, word) = match (status.is_answering, &status.waiting) {
            (true, None) => (Tone::Good, "answers".to_owned()),
            (true, Some(why)) => (Tone::Warn, format!("answers; {why}")),
            (false, why) => (Tone::Bad, why.clone().unwrap_or_else(|| "does not answer".into())),
        };
        line("state", tone, word);
        let listen = status.listen.iter().map(|at| format!("{} ({})", at.address, at.transport));
        line("listens at", Tone::Plain, listen.collect::<Vec<_>>().join(", "));
        let count = |name: &str| status.events.get(name).copied().unwrap_or(0);
        let answers: u64 = status.answers.values().sum();
        let limited = count("limited") + count("slipped");
        let text = format!(
            "{answers}, {limited} held back by the rate limit, {} messages not answered, {} connections open",
            count("dropped"),
            status.connections,
        );
        line("answers", Tone::Plain, text);
        for node in &status.nodes {
            let (tone, text) = match (&node.error, node.age_ms) {
                (None, Some(age)) => {
                    (Tone::Good, format!("{} answered {} ago", node.name, human_ms(age)))
                }
                (None, None) => (Tone::Warn, format!("{} was not asked yet", node.name)),
                (Some(error), _) => (Tone::Bad, format!("{}: {error}", node.name)),
            };
            line("other node", tone, text);
        }
        for challenge in &status.challenges {
            let left = human_ms(challenge.until_ms.saturating_sub(self.now_ms));
            let text = format!("{} TXT {} for {left}", challenge.name, challenge.text);
            line("challenge", Tone::Plain, text);
        }
        table.render(0, self.width, self.paint)
    }

    fn zones(&self, zones: &[ZoneStatus]) -> String {
        if zones.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["ZONE", "SERIAL", "NAMES", "ANSWERS", "NXDOMAIN", "FILE"]);
        for zone in zones {
            let nothing = zone.answers.get("nxdomain").copied().unwrap_or(0);
            table.row([
                zone.name.as_str().into(),
                Cell::number(zone.serial),
                Cell::number(zone.names),
                Cell::number(zone.answers.values().sum::<u64>()),
                Cell::number(nothing),
                zone.file.as_str().into(),
            ]);
        }
        table.render(0, self.width, self.paint)
    }

    fn resolvers(&self, resolvers: &[ResolverStatus]) -> String {
        let texts: Vec<_> = resolvers.iter().map(|one| self.resolver(one)).collect();
        texts.join("\n")
    }

    fn resolver(&self, resolver: &ResolverStatus) -> String {
        let (tone, word) = up(resolver.is_up);
        let name = self.paint.apply(Tone::Strong, &resolver.name);
        let ttl = resolver.ttl.map_or(String::new(), |ttl| format!(" for at least {ttl} s"));
        let mut text = format!("{name}  {}{ttl}\n", self.paint.apply(tone, word));
        let mut table = Table::new(&["MEMBER", "STATE", "WEIGHT", ""]);
        for member in &resolver.members {
            let (tone, word) = up(member.is_up);
            table.row([
                member.name.as_str().into(),
                Cell::new(tone, word),
                Cell::number(member.weight.map_or(String::new(), |weight| weight.to_string())),
                why(member).into(),
            ]);
        }
        if !resolver.members.is_empty() {
            text.push_str(&table.render(2, self.width, self.paint));
        }
        text
    }

    fn forced(&self, forced: &[ForcedStatus]) -> String {
        if forced.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["FORCED", "TO", "MATCHES", "BY"]);
        for one in forced {
            let (tone, word) = match one.said {
                Said::Up { .. } => (Tone::Good, "up"),
                Said::Down { .. } => (Tone::Bad, "down"),
                Said::Auto | Said::Answered | Said::Withdrawn => (Tone::Plain, "auto"),
            };
            table.row([
                one.pattern.as_str().into(),
                Cell::new(tone, word),
                Cell::number(one.matches),
                format!("{}, {}", one.by, ago(self.now_ms, one.at_ms)).into(),
            ]);
        }
        table.render(0, self.width, self.paint)
    }
}

const fn up(is_up: bool) -> (Tone, &'static str) {
    if is_up { (Tone::Good, "up") } else { (Tone::Bad, "down") }
}

/// What its checks say, the bad first.
fn why(member: &MemberOfResolver) -> String {
    let mut checks: Vec<&CheckOfAddress> = member.checks.iter().collect();
    checks.sort_by_key(|check| check.is_up);
    let one = |check: &CheckOfAddress| {
        let (_, name) = check.name.split_once('/').unwrap_or(("", &check.name));
        let found = match &check.found {
            Some(found) => found.reason.as_str(),
            None => "not checked",
        };
        let forced = if check.forced { "forced; " } else { "" };
        format!("{name}: {forced}{found}")
    };
    checks.into_iter().map(one).collect::<Vec<_>>().join("; ")
}
