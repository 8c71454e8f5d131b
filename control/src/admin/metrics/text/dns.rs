//! The page of a node that serves zones.

use std::fmt::Display;

use admin::{DnsStatus, ResolverStatus, ZoneStatus};

use super::{COUNTER, GAUGE, Page, count, seconds};

/// The page.
pub(in crate::admin::metrics) fn render(status: &DnsStatus) -> String {
    let mut page = Page(String::new());
    control(&mut page, status);
    zones(&mut page, &status.zones);
    resolvers(&mut page, &status.resolvers);
    page.0
}

fn control(page: &mut Page, status: &DnsStatus) {
    let DnsStatus { alarms, file, .. } = status;
    page.head("control_info", GAUGE, "1, with names and release");
    let labels: [(&str, &dyn Display); 4] = [
        ("site", &status.site),
        ("node", &status.node),
        ("role", &status.role),
        ("release", &status.program),
    ];
    page.line("control_info", &labels, 1.0);
    let gauges = [
        ("control_uptime_seconds", "since control started", seconds(status.uptime_ms)),
        ("control_alarms", "alarms in palierctl status", count(alarms.len() as u64)),
        ("control_file_loaded_seconds", "Unix time of the text in force", seconds(file.loaded_ms)),
        (
            "control_file_refused",
            "whether the last reload was refused",
            file.refused.is_some().into(),
        ),
        (
            "control_restart_needed",
            "settings that wait for a restart",
            count(file.restart_needed.len() as u64),
        ),
        ("dns_answering", "whether questions are answered", status.is_answering.into()),
        ("dns_open", "connections that are open", count(status.connections)),
        ("dns_forced", "patterns that operators forced", count(status.forced.len() as u64)),
        ("dns_challenges", "texts for ACME clients", count(status.challenges.len() as u64)),
    ];
    for (name, help, value) in gauges {
        page.one(name, GAUGE, help, value);
    }
    for (name, value) in &status.counters {
        page.one(&format!("control_{name}_total"), COUNTER, &name.replace('_', " "), count(*value));
    }
    page.head("dns_responses_total", COUNTER, "answers by their response codes");
    for (rcode, value) in &status.answers {
        page.line("dns_responses_total", &[("rcode", rcode)], count(*value));
    }
    page.head("dns_events_total", COUNTER, "what else became of messages");
    for (what, value) in &status.events {
        page.line("dns_events_total", &[("event", what)], count(*value));
    }
}

fn zones(page: &mut Page, zones: &[ZoneStatus]) {
    page.head("dns_zone_serial", GAUGE, "serial number of its SOA record");
    for zone in zones {
        page.line("dns_zone_serial", &[("zone", &zone.name)], zone.serial.into());
    }
    page.head("dns_zone_names", GAUGE, "names that have records");
    for zone in zones {
        page.line("dns_zone_names", &[("zone", &zone.name)], count(zone.names));
    }
    page.head("dns_zone_responses_total", COUNTER, "answers from it by their response codes");
    for zone in zones {
        for (rcode, value) in &zone.answers {
            let labels: [(&str, &dyn Display); 2] = [("zone", &zone.name), ("rcode", rcode)];
            page.line("dns_zone_responses_total", &labels, count(*value));
        }
    }
}

fn resolvers(page: &mut Page, resolvers: &[ResolverStatus]) {
    page.head("dns_resolver_up", GAUGE, "whether enough of it is up");
    for resolver in resolvers {
        page.line("dns_resolver_up", &[("resolver", &resolver.name)], resolver.is_up.into());
    }
    page.head("dns_resolver_member_up", GAUGE, "whether it is given");
    for resolver in resolvers {
        for member in &resolver.members {
            let labels: [(&str, &dyn Display); 2] =
                [("resolver", &resolver.name), ("member", &member.name)];
            page.line("dns_resolver_member_up", &labels, member.is_up.into());
        }
    }
}
