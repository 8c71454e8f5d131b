//! What is answered: a function of the question, the zones, what resolvers say, and who asks. The same for UDP,
//! TCP and TLS.

mod explain;
mod terms;

pub use self::explain::{Explanation, Way};
pub use self::terms::{Asker, Outcome, Question, Resolve, Resolved, Settings};
use crate::message::{CHAOS, Edns, IN, Query, QueryError, Rcode, Reply, Said, Section};
use crate::name::Name;
use crate::rtype::Rtype;
use crate::zone::{Dynamic, Found, Node, RrSet, Zone};
use crate::zones::Zones;

/// Bytes of a UDP reply without EDNS (RFC 1035 section 4.2.1).
const PLAIN: u16 = 512;
/// What `ANY` gets (RFC 8482 section 4.2), and seconds that it lives.
const ANY: (&[u8], u32) = (b"\x07RFC8482\x00", 3600);

/// What is to be known for an answer.
#[derive(Debug)]
pub struct Server<'s, R> {
    /// The zones.
    pub zones: &'s Zones,
    /// What dynamic records say.
    pub resolvers: &'s R,
    /// What holds of all answers.
    pub settings: &'s Settings,
}

/// Memory of one who answers.
#[derive(Debug, Default)]
pub struct Scratch {
    resolved: Resolved,
}

impl<R: Resolve> Server<'_, R> {
    /// Answers a message; nothing if it gets no answer.
    pub fn answer(
        &self,
        message: &[u8],
        asker: &Asker,
        scratch: &mut Scratch,
        reply: &mut Reply,
    ) -> Option<Outcome> {
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(QueryError::Drop) => return None,
            Err(QueryError::Refuse(rcode)) => {
                reply.refuse(message, rcode);
                return Some(Outcome { rcode, is_known: asker.is_connected });
            }
        };
        reply.begin(&query);
        let edns = query.edns();
        let cookie = edns.and_then(|edns| edns.cookie);
        let cookie = cookie.map(|it| self.settings.jar.judge(&it, asker.address, asker.now));
        let is_known = asker.is_connected || cookie.is_some_and(|(is_ours, _)| is_ours);
        let (rcode, scope) = match edns {
            Some(edns) if edns.version != 0 => (Rcode::BAD_VERS, 0),
            Some(edns) if edns.is_malformed => (Rcode::FORM_ERR, 0),
            _ => self.look_up(&query, asker, scratch, reply),
        };
        if !matches!(rcode, Rcode::NO_ERROR | Rcode::NX_DOMAIN) {
            reply.not_ours();
        }
        let said = edns.map(|edns| Said {
            size: self.settings.max_udp,
            wants_signatures: edns.wants_signatures,
            nsid: self.settings.id.as_deref().filter(|_| edns.wants_nsid).map(str::as_bytes),
            cookie: cookie.map(|(_, whole)| whole),
            subnet: edns.subnet.map(|subnet| (subnet, scope.min(subnet.length))),
        });
        reply.finish(rcode, said.as_ref(), self.limit(asker, edns, is_known));
        Some(Outcome { rcode, is_known })
    }

    /// Bytes of a reply at most.
    fn limit(&self, asker: &Asker, edns: Option<&Edns<'_>>, is_known: bool) -> usize {
        if asker.is_connected {
            return u16::MAX.into();
        }
        let taken = edns.map_or(PLAIN, |edns| edns.size.max(PLAIN).min(self.settings.max_udp));
        let given = if is_known { taken } else { taken.min(self.settings.max_nocookie) };
        given.into()
    }

    /// What is answered, and how many bits of the network that it is for it holds for.
    fn look_up(
        &self,
        query: &Query<'_>,
        asker: &Asker,
        scratch: &mut Scratch,
        reply: &mut Reply,
    ) -> (Rcode, u8) {
        match query.class() {
            IN => {}
            CHAOS => return (self.about_us(query, reply), 0),
            _ => return (Rcode::REFUSED, 0),
        }
        // Whole zones are given to nobody.
        if query.rtype().is_meta() && query.rtype() != Rtype::ANY {
            return (Rcode::NOT_IMP, 0);
        }
        let Some(zone) = self.zone(query) else { return (Rcode::REFUSED, 0) };
        let texts = self.zones.challenges(query.name());
        let is_ours = |zone: &Zone| !zone.is_cut(query.name());
        let answered = match zone.find(query.name(), query.rtype()) {
            _ if let Some(texts) = texts.filter(|_| is_ours(zone)) => {
                challenged(zone, texts, query, reply);
                (Rcode::NO_ERROR, 0)
            }
            Found::Nothing => {
                negative(zone, query, reply);
                (Rcode::NX_DOMAIN, 0)
            }
            Found::Referral(node, at) => {
                refer(zone, node, at, reply);
                (Rcode::NO_ERROR, 0)
            }
            Found::Node(node) => {
                let scope = self.positive(zone, node, query, asker, scratch, reply);
                (Rcode::NO_ERROR, scope)
            }
        };
        zone.count(answered.0);
        answered
    }

    /// The zone that knows. Whether one is signed the zone above it knows, if that is here, too (RFC 4035 section
    /// 3.1.4.1).
    fn zone(&self, query: &Query<'_>) -> Option<&Zone> {
        let zone = self.zones.of(query.name())?;
        let above = || {
            let label = usize::from(*query.name().first()?);
            self.zones.of(query.name().get(1 + label..)?)
        };
        let is_apex = query.rtype() == Rtype::DS && query.name() == zone.apex().wire();
        Some(if is_apex { above().unwrap_or(zone) } else { zone })
    }

    fn positive(
        &self,
        zone: &Zone,
        node: &Node,
        query: &Query<'_>,
        asker: &Asker,
        scratch: &mut Scratch,
        reply: &mut Reply,
    ) -> u8 {
        if query.rtype() == Rtype::ANY && node.set(Rtype::CNAME).is_none() {
            reply.own(Section::Answer, 0, Rtype::HINFO, ANY.1, ANY.0);
            return 0;
        }
        // Of an alias whoever asks looks the other name up itself.
        let set = node.set(query.rtype()).or_else(|| node.set(Rtype::CNAME));
        if let Some(set) = set {
            reply.set(Section::Answer, 0, set, first(asker, set));
            return 0;
        }
        let dynamic = node.dynamic().filter(|it| it.may_alias || query.rtype().is_address());
        let Some(dynamic) = dynamic else {
            negative(zone, query, reply);
            return 0;
        };
        let Scratch { resolved } = scratch;
        let subnet = query.edns().and_then(|edns| edns.subnet);
        // Length 0 says that nobody is to be told.
        let told = subnet.filter(|subnet| subnet.length > 0);
        let question = Question { asker: asker.address, told, turn: asker.turn };
        self.resolvers.resolve(dynamic.resolver, &question, resolved);
        if !give(dynamic, resolved, query.rtype(), reply) {
            negative(zone, query, reply);
        }
        resolved.scope
    }

    /// Questions about the server itself (RFC 4892).
    fn about_us(&self, query: &Query<'_>, reply: &mut Reply) -> Rcode {
        let said = match query.name() {
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => &self.settings.version,
            b"\x08hostname\x04bind\0" | b"\x02id\x06server\0" => &self.settings.id,
            _ => return Rcode::REFUSED,
        };
        let Some(said) = said else { return Rcode::REFUSED };
        if matches!(query.rtype(), Rtype::TXT | Rtype::ANY) {
            let text = &said.as_bytes()[..said.len().min(255)];
            let data = [&[text.len() as u8], text].concat();
            reply.about_us(&data);
        }
        Rcode::NO_ERROR
    }
}

/// Which of several records comes first this time.
fn first(asker: &Asker, set: &RrSet) -> usize {
    match set.count() {
        0 | 1 => 0,
        // Whoever asks for A and AAAA in turns is not to find the same of each every time.
        count => {
            let mixed = u64::from(asker.turn.wrapping_mul(0x9e37_79b9));
            ((mixed * count as u64) >> 32) as usize
        }
    }
}

/// A name at which somebody proves to an authority that it is theirs: texts that live for no time, and what the zone
/// has there itself.
fn challenged(zone: &Zone, texts: &[Box<[u8]>], query: &Query<'_>, reply: &mut Reply) {
    let own = match zone.find(query.name(), query.rtype()) {
        Found::Node(node) => node.set(query.rtype()),
        Found::Referral(..) | Found::Nothing => None,
    };
    if let Some(own) = own {
        reply.set(Section::Answer, 0, own, 0);
    }
    match query.rtype() {
        Rtype::TXT | Rtype::ANY => {
            texts.iter().for_each(|data| reply.own(Section::Answer, 0, Rtype::TXT, 0, data));
        }
        _ if own.is_none() => negative(zone, query, reply),
        _ => {}
    }
}

/// There is nothing, and for so long (RFC 2308).
fn negative(zone: &Zone, query: &Query<'_>, reply: &mut Reply) {
    let at = query.name().len() - zone.apex().wire().len();
    reply.set(Section::Authority, at, zone.soa(), 0);
}

/// Others are to be asked, and where they are (RFC 1034 section 4.3.2 step 3b).
fn refer(zone: &Zone, node: &Node, at: usize, reply: &mut Reply) {
    reply.not_ours();
    for rtype in [Rtype::NS, Rtype::DS] {
        if let Some(set) = node.set(rtype) {
            reply.set(Section::Authority, at, set, 0);
        }
    }
    for server in node.set(Rtype::NS).into_iter().flat_map(RrSet::iter) {
        let Some((server, _)) = Name::read(server) else { continue };
        // Whoever is outside of zones that begin here can be asked for.
        if !zone.is_cut(server.wire()) {
            continue;
        }
        let glue = zone.node(server.wire()).into_iter().flat_map(Node::sets);
        for set in glue.filter(|set| set.rtype().is_address()) {
            reply.other(Section::Additional, server.wire(), set);
        }
    }
}

/// Adds what a resolver says; whether that is something.
fn give(dynamic: &Dynamic, resolved: &Resolved, rtype: Rtype, reply: &mut Reply) -> bool {
    let ttl = resolved.ttl.clamp(dynamic.least, dynamic.most);
    let mut add = |rtype, data: &[u8]| reply.own(Section::Answer, 0, rtype, ttl, data);
    if let Some(alias) = resolved.alias.as_ref().filter(|_| dynamic.may_alias) {
        add(Rtype::CNAME, alias.wire());
        return true;
    }
    match rtype {
        Rtype::A => {
            resolved.v4.iter().for_each(|address| add(rtype, &address.octets()));
            !resolved.v4.is_empty()
        }
        Rtype::AAAA => {
            resolved.v6.iter().for_each(|address| add(rtype, &address.octets()));
            !resolved.v6.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
