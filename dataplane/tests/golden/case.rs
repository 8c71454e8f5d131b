//! A frame in, and what has to come of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use packet::build::{self, Ip};
use packet::protocol;

use crate::process::Dataplane;
use crate::site::{Flow, NEXT_HOP, OWN, PORT, ROUTER, snapshot};

/// A frame in, and what has to come of it.
pub(crate) struct Case {
    name: &'static str,
    frame: Vec<u8>,
    outcome: Outcome,
    also: Option<&'static str>,
}

enum Outcome {
    /// These packets, each in a tunnel to the flow's node.
    Tunnelled { flow: Flow, traffic_class: u8, packets: Vec<Vec<u8>> },
    /// This frame, counted so.
    Answered(Vec<u8>, &'static str),
    /// Nothing, counted so.
    Dropped(&'static str),
}

impl Case {
    /// A packet that reaches the node of its flow as it is.
    pub(crate) fn tunnelled(name: &'static str, flow: Flow, packet: Ip) -> Self {
        let packet = packet.build();
        Self::made_into(name, flow, &packet, vec![packet.clone()])
    }

    /// A packet that reaches the node of its flow as others.
    pub(crate) fn made_into(
        name: &'static str,
        flow: Flow,
        packet: &[u8],
        packets: Vec<Vec<u8>>,
    ) -> Self {
        let frame = build::frame(PORT, ROUTER, None, packet);
        let outcome = Outcome::Tunnelled { flow, traffic_class: 0, packets };
        Self { name, frame, outcome, also: None }
    }

    /// A packet that is answered.
    pub(crate) fn answered(
        name: &'static str,
        packet: Ip,
        answer: &[u8],
        counter: &'static str,
    ) -> Self {
        let frame = build::frame(PORT, ROUTER, None, &packet.build());
        Self::frame_answered(name, frame, build::frame(ROUTER, PORT, None, answer), counter)
    }

    /// A frame that is answered by another.
    pub(crate) fn frame_answered(
        name: &'static str,
        frame: Vec<u8>,
        answer: Vec<u8>,
        counter: &'static str,
    ) -> Self {
        Self { name, frame, outcome: Outcome::Answered(answer, counter), also: None }
    }

    /// A packet that is dropped.
    pub(crate) fn dropped(name: &'static str, packet: &[u8], counter: &'static str) -> Self {
        Self::frame_dropped(name, build::frame(PORT, ROUTER, None, packet), counter)
    }

    /// A frame that is dropped.
    pub(crate) fn frame_dropped(name: &'static str, frame: Vec<u8>, counter: &'static str) -> Self {
        Self { name, frame, outcome: Outcome::Dropped(counter), also: None }
    }

    /// The outer header has this traffic class.
    pub(crate) fn traffic_class(mut self, class: u8) -> Self {
        if let Outcome::Tunnelled { traffic_class, .. } = &mut self.outcome {
            *traffic_class = class;
        }
        self
    }

    /// It comes in another frame.
    pub(crate) fn in_frame(self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut frame = self.frame;
        change(&mut frame);
        Self { frame, ..self }
    }

    /// It is counted under this too.
    pub(crate) fn also(self, counter: &'static str) -> Self {
        Self { also: Some(counter), ..self }
    }

    /// What is counted of it.
    fn count(&self, counters: &mut BTreeMap<String, u64>) {
        let mut add = |name: &str, n: usize| *counters.entry(name.into()).or_default() += n as u64;
        add("received", 1);
        match &self.outcome {
            Outcome::Tunnelled { packets, .. } => add("forwarded", packets.len()),
            Outcome::Answered(_, counter) | Outcome::Dropped(counter) => add(counter, 1),
        }
        self.also.into_iter().for_each(|counter| add(counter, 1));
    }

    /// What leaves because of it, with `--vlan`.
    fn frames(&self, dataplane: &mut Dataplane, vlan: Option<u16>) -> Vec<Vec<u8>> {
        match &self.outcome {
            Outcome::Tunnelled { flow, traffic_class, packets } => {
                let told = dataplane.explain(flow.query());
                let node = told.node_address.unwrap_or_else(|| panic!("{}: {told:?}", self.name));
                packets.iter().map(|inner| tunnel(node, *traffic_class, inner, vlan)).collect()
            }
            Outcome::Answered(frame, _) => vec![frame.clone()],
            Outcome::Dropped(_) => Vec::new(),
        }
    }
}

/// A packet in a tunnel from this node to the other, as it leaves.
pub(crate) fn tunnel(node: IpAddr, traffic_class: u8, inner: &[u8], vlan: Option<u16>) -> Vec<u8> {
    let own = OWN.map(|text| text.parse::<IpAddr>().unwrap());
    let source = if node.is_ipv4() { own[0] } else { own[1] };
    let number = if inner[0] >> 4 == 4 { protocol::IPV4 } else { protocol::IPV6 };
    let outer = Ip::new(source, node).traffic_class(traffic_class).dont_fragment();
    build::frame(NEXT_HOP, PORT, vlan, &outer.payload(number, inner).build())
}

/// Sends the frames of all cases at once, and checks what comes of them.
pub(crate) fn check(cases: &[Case]) {
    check_with(&[], None, cases);
}

/// The same with more flags, of which `--vlan` is one if `vlan` is given.
pub(crate) fn check_with(flags: &[&str], vlan: Option<u16>, cases: &[Case]) {
    let frames: Vec<_> = cases.iter().map(|case| case.frame.clone()).collect();
    let mut dataplane = Dataplane::start(&[frames], flags, &snapshot());
    let mut counters = BTreeMap::new();
    cases.iter().for_each(|case| case.count(&mut counters));
    dataplane.wait_for(&counters);

    let expected: Vec<_> =
        cases.iter().map(|case| (case.name, case.frames(&mut dataplane, vlan))).collect();
    let mut sent = dataplane.stop().concat();
    for (name, frames) in expected {
        for frame in frames {
            let Some(place) = sent.iter().position(|other| *other == frame) else {
                panic!("{name}: missing\n{frame:02x?}\nleft:\n{sent:02x?}");
            };
            sent.remove(place);
        }
    }
    assert!(sent.is_empty(), "nothing else leaves: {sent:02x?}");
}
