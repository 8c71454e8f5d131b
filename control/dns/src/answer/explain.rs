//! Why an answer is what it is.

use std::net::IpAddr;

use super::{Asker, Resolve, Scratch, Server};
use crate::message::{Reply, Subnet, in_words, question};
use crate::name::{Name, suffixes};
use crate::rtype::Rtype;
use crate::zone::{Dynamic, Found, Zone};

/// What is said of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The zone that it is about; nothing if it is of none.
    pub zone: Option<String>,
    /// How its name was found there.
    pub way: Way,
    /// What a resolver is asked for.
    pub dynamic: Option<Dynamic>,
    /// The reply, a line each.
    pub reply: Vec<String>,
}

/// How a name is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// In no zone.
    Outside,
    /// It has records.
    Exact,
    /// It has none, and there are names below it.
    Empty,
    /// It is not there, and takes the records of this wildcard.
    Wildcard(String),
    /// It is at this name, or below it, where another zone begins.
    Delegated(String),
    /// There is no such name.
    Nothing,
    /// Texts for an authority are answered there.
    Challenge,
}

impl<R: Resolve> Server<'_, R> {
    /// Says what a question gets, and why; `client` is who asks, or for whom.
    pub fn explain(&self, name: &Name, rtype: Rtype, client: Option<IpAddr>) -> Explanation {
        let subnet = client
            .map(|address| Subnet { address, length: if address.is_ipv4() { 32 } else { 128 } });
        let address = client.unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]));
        let asker = Asker { address, is_connected: true, now: 0, turn: 0 };
        let mut reply = Reply::default();
        let message = question(name, rtype, subnet.as_ref());
        let answered = self.answer(&message, &asker, &mut Scratch::default(), &mut reply);
        let reply = answered.map_or_else(Vec::new, |_| in_words(reply.as_bytes()));
        let Some(zone) = self.zones.of(name.wire()) else {
            return Explanation { zone: None, way: Way::Outside, dynamic: None, reply };
        };
        let found = zone.find(name.wire(), rtype);
        let way = match found {
            _ if self.zones.challenges(name.wire()).is_some() => Way::Challenge,
            Found::Nothing => Way::Nothing,
            Found::Referral(_, at) => Way::Delegated(shown(&name.wire()[at..])),
            Found::Node(_) if zone.node(name.wire()).is_none() => {
                Way::Wildcard(encloser(zone, name))
            }
            Found::Node(node) if node.is_empty() => Way::Empty,
            Found::Node(_) => Way::Exact,
        };
        let dynamic = match found {
            Found::Node(node) if node.set(rtype).is_none() => node.dynamic().copied(),
            Found::Node(_) | Found::Referral(..) | Found::Nothing => None,
        };
        Explanation { zone: Some(zone.apex().to_string()), way, dynamic, reply }
    }
}

/// The wildcard below the closest name that there is.
fn encloser(zone: &Zone, name: &Name) -> String {
    let there = suffixes(name.wire()).find(|suffix| zone.node(suffix).is_some());
    there.map_or_else(String::new, |there| format!("*.{}", shown(there)))
}

fn shown(wire: &[u8]) -> String {
    Name::read(wire).map_or_else(String::new, |(name, _)| name.to_string())
}
