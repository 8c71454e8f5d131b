//! The asker's own address, to see what is seen of it.

use std::net::{IpAddr, Ipv4Addr};

use crate::answer::{Question, Resolved};

/// Which address that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reflect {
    /// Whoever sent the question.
    Dns,
    /// For whom it says that it asks; 0.0.0.0 if it does not say.
    Edns,
    /// The one and, if it is said, the other.
    Both,
    /// For whom it asks, or else itself.
    #[default]
    Best,
}

impl Reflect {
    /// By the name of the resource; nothing if it is none.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "dns" => Self::Dns,
            "edns" => Self::Edns,
            "both" => Self::Both,
            "best" | "" => Self::Best,
            _ => return None,
        })
    }

    pub(super) fn choose(self, question: &Question, into: &mut Resolved) {
        let Question { asker, told, .. } = *question;
        let told = told.map(|told| told.address);
        match self {
            Self::Dns => into.push(asker),
            Self::Edns => into.push(told.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
            Self::Both => {
                into.push(asker);
                told.into_iter().for_each(|told| into.push(told));
            }
            Self::Best => into.push(told.unwrap_or(asker)),
        }
        // Whoever keeps this answer for others would tell them of this one.
        if let (Some(subnet), false) = (question.told, self == Self::Dns) {
            into.scope = subnet.length;
        }
    }
}
