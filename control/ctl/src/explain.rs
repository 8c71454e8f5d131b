//! `palierctl explain`: where a flow goes, and why.

use std::io::Write;
use std::net::SocketAddr;

use api::{ExplainQuery, Explanation, Protocol};
use clap::{Args, ValueEnum};

use crate::context::{Context, SOON, misplaced};
use crate::failure::Failure;
use crate::text::{Cell, Table, Tone, human_ms};

/// `palierctl explain`
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The client.
    #[arg(
        value_name = "SRC:PORT", value_parser = end,
        help = "The client: 203.0.113.1:50000, [2001:db8::1]:50000"
    )]
    source: SocketAddr,
    /// What it connects to.
    #[arg(value_name = "DST:PORT", value_parser = end)]
    destination: SocketAddr,
    /// Transport protocol.
    #[arg(value_name = "PROTOCOL", default_value = "tcp")]
    protocol: Transport,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// An end of a flow.
fn end(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write ADDRESS:PORT, or [ADDRESS]:PORT for IPv6".into())
}

/// Asks the dataplane.
pub(crate) fn run(flags: &Flags, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let Flags { source, destination, protocol } = flags;
    if source.is_ipv4() != destination.is_ipv4() {
        return Err(Failure::Usage("source and destination are of different families".into()));
    }
    let query = ExplainQuery {
        source: source.ip(),
        source_port: source.port(),
        destination: destination.ip(),
        destination_port: destination.port(),
        protocol: match protocol {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        },
    };
    let explanation = match context.dataplane()?.ask(&api::Request::Explain(query), SOON)? {
        api::Reply::Explain(explanation) => explanation,
        reply => return Err(misplaced(&reply)),
    };
    if context.json {
        let line = serde_json::to_string(&explanation).expect("string keys alone");
        writeln!(out, "{line}")?;
    } else {
        out.write_all(render(&explanation, context).as_bytes())?;
    }
    Ok(())
}

fn render(explanation: &Explanation, context: &Context) -> String {
    let Explanation { why, service, hash, row, row_owner, known, node, node_address, reachable } =
        explanation;
    let mut table = Table::plain();
    let mut line = |name: &str, tone, text: String| {
        table.row([Cell::new(Tone::Faint, name), Cell::new(tone, text)]);
    };
    match node {
        Some(node) => {
            let address = node_address.map(|address| format!(" at {address}")).unwrap_or_default();
            let (tone, end) = match reachable {
                Some(true) => (Tone::Good, ""),
                Some(false) => (Tone::Bad, ", whose link address is not known"),
                None => (Tone::Plain, ""),
            };
            line("goes to", tone, format!("{node}{address}{end}"));
        }
        None => line("goes to", Tone::Bad, "no node".into()),
    }
    line("because", Tone::Plain, why.clone());
    if let Some(service) = service {
        line("service", Tone::Plain, service.clone());
    }
    if let Some(known) = known {
        let workers: Vec<_> = known.workers.iter().map(ToString::to_string).collect();
        let (workers, age) = (workers.join(", "), human_ms(known.age_ms));
        let (node, state) = (&known.node, &known.state);
        let text = format!("to {node}, {state}, last packet {age} ago, on worker {workers}");
        line("known", Tone::Plain, text);
    }
    if let (Some(row), Some(owner)) = (row, row_owner) {
        line("row", Tone::Plain, format!("{row}, of {owner}"));
    }
    if let Some(hash) = hash {
        line("hash", Tone::Faint, hash.clone());
    }
    table.render(0, context.width, context.paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_both_families_are_read() {
        assert_eq!(end("192.0.2.1:80").unwrap().port(), 80);
        assert!(end("[2001:db8::1]:80").unwrap().is_ipv6());
        for bad in ["192.0.2.1", "2001:db8::1:80:", "[192.0.2.1]:80", "example.org:80", ""] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
