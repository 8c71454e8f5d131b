//! What is answered to a question, and why, in words.

use std::net::IpAddr;

use admin::{MemberOfResolver, Reply};
use dns::answer::{Server, Way};
use dns::{Name, Rtype};

use super::Respond;

impl Respond {
    /// What is answered to a question about this name.
    pub(super) fn explain(&self, name: &str, rtype: &str, client: Option<IpAddr>) -> Reply {
        let text = name.strip_suffix('.').unwrap_or(name);
        let Ok(parsed) = Name::parse(text.as_bytes(), Some(&Name::root())) else {
            return Reply::refused(format!("`{name}` is not a name: www.example.org"));
        };
        let Some(parsed_type) = Rtype::parse(rtype.as_bytes()) else {
            return Reply::refused(format!("`{rtype}` is not a type: A, AAAA, TXT, TYPE65, ..."));
        };
        let Some(shared) = &self.shared else {
            return Reply::refused("nothing is answered yet: `palierctl status` says why".into());
        };
        let contents = shared.load();
        let (zones, resolvers) = (&contents.zones, &contents.resolvers);
        let server = Server { zones, resolvers, settings: &contents.settings };
        let explained = server.explain(&parsed, parsed_type, client);
        let mut lines = vec![match &explained.zone {
            Some(zone) => format!("zone {zone}"),
            None => "no zone here has this name".to_owned(),
        }];
        lines.push(match explained.way {
            Way::Outside => "questions about it are refused".to_owned(),
            Way::Exact => format!("{parsed} stands in it"),
            Way::Empty => format!("{parsed} has no records, but there are names below it"),
            Way::Wildcard(wildcard) => {
                format!("{parsed} is not in it, and takes the records of {wildcard}")
            }
            Way::Delegated(cut) => {
                format!("another zone begins at {cut}: its servers are to be asked")
            }
            Way::Nothing => format!("{parsed} is not in it"),
            Way::Challenge => format!("at {parsed} texts are answered for an ACME client"),
        });
        if let Some(dynamic) = explained.dynamic {
            let status = self.told_resolver(dynamic.resolver);
            let (most, least) = (dynamic.most, dynamic.least);
            lines.push(format!(
                "its records are what {} gives; they live {least} to {most} s",
                status.name
            ));
            let state = if status.is_up { "enough of it is up" } else { "NOT enough of it is up" };
            let ttl = status.ttl.map_or(String::new(), |ttl| format!(", for at least {ttl} s"));
            lines.push(format!("  {state}{ttl}"));
            lines.extend(status.members.iter().map(member));
        }
        lines.extend(explained.reply);
        Reply::Explained(lines)
    }
}

/// A member of a resolver, and what its checks say.
fn member(member: &MemberOfResolver) -> String {
    let checks = member.checks.iter().map(|check| {
        let (_, name) = check.name.rsplit_once('/').unwrap_or(("", &check.name));
        let found = check.found.as_ref().map_or("not checked", |found| found.reason.as_str());
        if check.forced { format!("{name} forced ({found})") } else { format!("{name} {found}") }
    });
    let checks: Vec<_> = checks.collect();
    let state = if member.is_up { "up" } else { "down" };
    let weight = member.weight.map_or(String::new(), |weight| format!(", weight {weight}"));
    format!("  {} {state}{weight}  {}", member.name, checks.join("; ")).trim_end().to_owned()
}
