//! `palierctl flows`: the connections that the dataplane remembers, page by page.

use std::io::Write;

use api::{Flow, Flows, FlowsQuery, MAX_PAGE};
use clap::Args;

use crate::context::{Context, SOON, misplaced};
use crate::failure::Failure;
use crate::text::{Paint, Tone, human_ms};

/// `palierctl flows`
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Only those of this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only those of this node.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Stop after so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Prints a line for each: with `--json` an object.
pub(crate) fn run(flags: &Flags, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let mut dataplane = context.dataplane()?;
    let mut left = flags.limit.unwrap_or(u64::MAX);
    let mut cursor = Some(0);
    if !context.json {
        writeln!(out, "{}", heading(context.paint))?;
    }
    while let Some(at) = cursor.filter(|_| left > 0) {
        let query = FlowsQuery {
            cursor: at,
            limit: Some(left.min(MAX_PAGE.into()) as u32),
            service: flags.service.clone(),
            node: flags.node.clone(),
        };
        let Flows { flows, next } = match dataplane.ask(&api::Request::Flows(query), SOON)? {
            api::Reply::Flows(flows) => flows,
            reply => return Err(misplaced(&reply)),
        };
        for flow in flows.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            let line = match context.json {
                true => serde_json::to_string(flow).expect("string keys alone"),
                false => line(flow),
            };
            writeln!(out, "{line}")?;
        }
        left = left.saturating_sub(flows.len() as u64);
        // A cursor that does not advance would never end.
        cursor = next.filter(|next| *next > at);
    }
    Ok(())
}

fn heading(paint: Paint) -> String {
    let line = columns("SERVICE", "NODE", "STATE", "IDLE", "FLOW");
    paint.apply(Tone::Strong, &line)
}

fn line(flow: &Flow) -> String {
    let who = match &flow.tuple {
        Some(tuple) => {
            let [source, destination] =
                [(tuple.source, tuple.source_port), (tuple.destination, tuple.destination_port)]
                    .map(std::net::SocketAddr::from);
            format!("{} {source} -> {destination}", tuple.protocol)
        }
        None => format!("hash {} on worker {}", flow.hash, flow.worker),
    };
    columns(&flow.service, &flow.node, &flow.state, &human_ms(flow.age_ms), &who)
}

/// Widths are fixed: the next page is not known when a line is printed.
fn columns(service: &str, node: &str, state: &str, idle: &str, flow: &str) -> String {
    format!("{service:<12}  {node:<10}  {state:<9}  {idle:>7}  {flow}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_its_ends_or_its_hash() {
        let mut flow = Flow {
            hash: "03c9aa7ba31a8c14".into(),
            worker: 2,
            service: "web".into(),
            node: "l7-1".into(),
            state: "open".into(),
            age_ms: 192_000,
            tuple: None,
        };
        let start = "web           l7-1        open        3m 12s  ";
        assert_eq!(line(&flow), format!("{start}hash 03c9aa7ba31a8c14 on worker 2"));
        flow.tuple = Some(api::Tuple {
            source: "2001:db8::9".parse().unwrap(),
            source_port: 50_000,
            destination: "2001:db8::1".parse().unwrap(),
            destination_port: 80,
            protocol: api::Protocol::Tcp,
        });
        assert_eq!(line(&flow), format!("{start}tcp [2001:db8::9]:50000 -> [2001:db8::1]:80"));
    }
}
