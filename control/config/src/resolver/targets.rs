//! Addresses, and how they are checked.

use api::Ports;

use super::given;
use crate::check::{self, DefaultPort};
use crate::frontend::named;
use crate::service;
use crate::settings::{AddressCheck, Service, Targets};
use crate::table::Table;
use crate::value::Value;

/// `service`, `addresses` and `check`.
pub(super) fn read(table: &mut Table<'_>, services: &[service::Entry]) -> Targets {
    read_or(table, services, &mut |_| None)
}

/// The same, with the checks that `common` has where the table has none.
pub(super) fn read_or(
    table: &mut Table<'_>,
    services: &[service::Entry],
    common: &mut dyn FnMut(DefaultPort) -> Option<Vec<AddressCheck>>,
) -> Targets {
    let service: Option<&Service> = table.optional("service", |value| {
        let names = services.iter().map(|one| one.name.value.as_str());
        let service = &services[named(value, "[[service]]", names)?].service;
        are_hosts(value, service);
        Some(service)
    });
    let mut addresses: Vec<_> =
        service.into_iter().flat_map(|it| it.vips.iter().map(|vip| vip.address())).collect();
    let has_none = table.peek("service").is_none() && table.peek("addresses").is_none();
    if has_none {
        table.problem("`service` or `addresses` is missing: they say what there is to give");
    }
    for own in table.optional("addresses", |value| value.some(given)).into_iter().flatten() {
        if addresses.contains(&own.value) {
            table.problem_at(&own.place, format!("{} is a VIP of the service", own.value));
        } else {
            addresses.push(own.value);
        }
    }
    let port = default_port(service);
    let checks = match table.take("check") {
        Some(value) => check::of_addresses(&value, port),
        None => common(port).unwrap_or_else(|| service.map(of_service).unwrap_or_default()),
    };
    Targets { addresses, checks }
}

/// Answers have addresses, not prefixes.
fn are_hosts(value: &Value<'_>, service: &Service) {
    if let Some(prefix) = service.vips.iter().find(|vip| !vip.is_host()) {
        value.problem(format!("{prefix} is not one address: it cannot be given"));
    }
}

/// Where a check goes that names no port.
fn default_port(service: Option<&Service>) -> DefaultPort {
    match service.map(|service| &service.ports) {
        Some(Ports::List(ports)) => {
            ports.first().map_or(DefaultPort::Unsaid, |&port| DefaultPort::Port(port))
        }
        Some(Ports::Range(first, _)) => DefaultPort::Port(*first),
        Some(Ports::Any) => DefaultPort::Missing,
        None => DefaultPort::Unsaid,
    }
}

/// What the service's nodes are asked, asked of its VIPs.
fn of_service(service: &Service) -> Vec<AddressCheck> {
    let checks = service.checks.iter();
    checks.map(|one| AddressCheck { check: one.check.clone(), port: one.port }).collect()
}
