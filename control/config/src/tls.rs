//! `tls` in `[[frontend]]` and `[[pool]]`

use ::proxy::settings::{CertificateFiles, ClientTls, ServerTls, TlsVersion};

use crate::check::tls::is_host_name;
use crate::table::Table;
use crate::value::Value;

/// `tls = { ports = [443], certificates = ["/etc/palier/tls/example.org.pem"] }`: at which ports, and how.
pub(crate) fn of_clients(value: &Value<'_>, ports: &[u16]) -> Option<(Vec<u16>, ServerTls)> {
    let mut table = value.table()?;
    let own = table.optional("ports", |value| {
        value.some(|port| {
            let number = port.port()?;
            if !ports.is_empty() && !ports.contains(&number) {
                port.problem(format!("the frontend does not listen on port {number}"));
            }
            Some(number)
        })
    });
    let own: Vec<u16> = match own {
        Some(own) => own.into_iter().map(|port| port.value).collect(),
        None => ports.to_vec(),
    };
    Some((own, settings(table)?))
}

/// With what certificates, and how.
pub(crate) fn settings(mut table: Table<'_>) -> Option<ServerTls> {
    let certificates = table.required("certificates", certificates);
    let min_version = table.or("min_version", TlsVersion::V1_2, |value| {
        value.choice(&[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)])
    });
    let ciphers = table.or("ciphers", vec![], |value| value.set(cipher));
    table.finish();
    Some(ServerTls { certificates: certificates?, min_version, ciphers })
}

/// Paths of PEM files with both, or `{ certificate = "...", key = "..." }`.
fn certificates(value: &Value<'_>) -> Option<Vec<CertificateFiles>> {
    if value.is_empty_list() {
        value.problem("the list is empty: it needs at least one");
        return None;
    }
    let read = |value: &Value<'_>| {
        if !value.raw().is_table() {
            let path = value.path()?;
            return Some(CertificateFiles { chain: path.clone(), key: path });
        }
        let mut table = value.table()?;
        let chain = table.required("certificate", Value::path);
        let key = table.required("key", Value::path);
        table.finish();
        Some(CertificateFiles { chain: chain?, key: key? })
    };
    Some(value.list(read)?.into_iter().map(|placed| placed.value).collect())
}

fn cipher(value: &Value<'_>) -> Option<String> {
    let known = ::proxy::tls::cipher_suites();
    let choices: Vec<_> = known.iter().map(|name| (*name, (*name).to_owned())).collect();
    value.choice(&choices)
}

/// `tls = true`, or `{ verify = false }`, `{ ca = "/etc/palier/ca.pem", sni = "backend.example" }`.
pub(crate) fn of_servers(value: &Value<'_>) -> Option<ClientTls> {
    let mut table: Table<'_> = value.options()?;
    let sni = table.optional("sni", |value| value.text_that("the name of a host", is_host_name));
    let verify = table.or("verify", true, Value::boolean);
    let ca = table.take("ca");
    if let (Some(ca), false) = (&ca, verify) {
        ca.problem("this is of no use with `verify = false`");
    }
    let ca = ca.and_then(|ca| ca.path());
    table.finish();
    Some(ClientTls { verify, ca, sni })
}
