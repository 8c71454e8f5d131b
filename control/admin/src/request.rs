use std::net::IpAddr;

use health::Admin;
use serde::{Deserialize, Serialize};

use crate::{DnsStatus, L7Status, Said, Status};

/// One line on the admin socket: an object with one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How everything stands.
    Status {
        /// Without the nodes of each VIP: with a thousand services they are many.
        #[serde(default)]
        brief: bool,
    },
    /// A node's state, as the operator wants it.
    SetState {
        /// Name of an L4 or L7 node.
        node: String,
        /// What it shall be.
        state: Admin,
    },
    /// A server's state, as the operator wants it.
    SetServer {
        /// Name of a pool.
        pool: String,
        /// Name of one of its servers.
        server: String,
        /// What it shall be.
        state: Admin,
        /// On every L7 node instead of this one alone; said to an L4 node, it always is.
        #[serde(default)]
        all_nodes: bool,
    },
    /// A server's share, as the operator wants it.
    SetWeight {
        /// Name of a pool.
        pool: String,
        /// Name of one of its servers.
        server: String,
        /// Percent of the weight that the site file gives it; 0: no new requests.
        percent: u16,
    },
    /// Whether a service's VIPs are announced, as the operator wants it.
    Announce {
        /// Name of a service.
        service: String,
        /// Whether they are, as far as the operator is concerned.
        announce: bool,
        /// On every L4 node instead of this one alone.
        #[serde(default)]
        all_nodes: bool,
    },
    /// Start the program anew, which may be another release by now, under the same process id.
    /// Sessions with routers end without a word, so that those keep the routes.
    Upgrade {
        /// The dataplane instead, which ends, for whoever watches over it to start anew: answered when
        /// it forwards again. Routers with BFD are asked first to bear its silence.
        #[serde(default)]
        dataplane: bool,
    },
    /// Read the site file again.
    Reload {
        /// Accept what breaks connections: the last node or VIP taken from a service, another hash
        /// key or number of rows.
        #[serde(default)]
        force: bool,
    },
    /// What a pattern matches is up, or down, or as its checks say, on every node that serves zones.
    Force {
        /// `198.51.100.1`, `198.51.100.1/http`, `metafo/www/par1`, with `*` and `?`.
        pattern: String,
        /// `up`, `down` or `auto`.
        said: Said,
    },
    /// A text is answered at a name for ten minutes, or not any more, on every node that serves zones.
    Challenge {
        /// `_acme-challenge.example.org`.
        name: String,
        /// What an ACME client gives.
        text: String,
        /// Whether it is answered.
        answered: bool,
    },
    /// What is answered to a question, and why.
    Query {
        /// About which name.
        name: String,
        /// About which type: `A`, `AAAA`, `TYPE65`, ...
        rtype: String,
        /// Who would ask, or for whom (RFC 7871); absent: nobody in particular.
        #[serde(default)]
        client: Option<IpAddr>,
    },
    /// A question for the dataplane (`stats`, `explain`, `flows`, `capture`, `snapshot`, `hello`;
    /// not `apply`), answered by its own reply: its socket is root's alone.
    Dataplane(serde_json::Value),
}

/// One line back: an object with one key, which says what it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `status`, of an L4 node.
    Status(Box<Status>),
    /// To `status`, of an L7 node.
    L7(Box<L7Status>),
    /// To `status`, of a node that serves zones.
    Dns(Box<DnsStatus>),
    /// To `query`: lines of text.
    Explained(Vec<String>),
    /// To `set_state`, `announce`, `upgrade` and `reload`: it holds, or begins.
    Done(Change),
    /// To the same: nothing was changed.
    Refused {
        /// Why: everything that is wrong.
        reasons: Vec<String>,
    },
    /// To `dataplane`: the dataplane's line.
    Dataplane(serde_json::Value),
    /// The line was not understood, or could not be done.
    Error(String),
}

impl Reply {
    /// Nothing was changed, for one reason.
    pub fn refused(reason: String) -> Self {
        Self::Refused { reasons: vec![reason] }
    }
}

/// What a change did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In words, a line each: `l7-1 drains, here and on l4-2`.
    pub notes: Vec<String>,
    /// What it did not reach: exit code 1.
    pub failed: Vec<Failed>,
}

/// A node that a change did not reach, or a file that could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Node or file.
    pub what: String,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINES: [(&str, Request); 5] = [
        (r#"{"status": {}}"#, Request::Status { brief: false }),
        (r#"{"status": {"brief": true}}"#, Request::Status { brief: true }),
        (r#"{"reload": {}}"#, Request::Reload { force: false }),
        (r#"{"reload": {"force": true}}"#, Request::Reload { force: true }),
        (r#"{"dataplane": null}"#, Request::Dataplane(serde_json::Value::Null)),
    ];

    #[test]
    fn requests_can_be_typed_by_hand_and_survive_their_line() {
        for (line, request) in LINES {
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
            let line = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        }
        let drain: Request =
            serde_json::from_str(r#"{"set_state": {"node": "l7-1", "state": "drain"}}"#).unwrap();
        assert_eq!(drain, Request::SetState { node: "l7-1".into(), state: Admin::Drain });
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for bad in [
            "",
            "{}",
            "[]",
            "\"status\"",
            r#"{"status": {}, "reload": {}}"#,
            r#"{"status": {"all": true}}"#,
            r#"{"reboot": {}}"#,
            r#"{"set_state": {"node": "l7-1"}}"#,
            r#"{"set_state": {"node": "l7-1", "state": "up"}}"#,
        ] {
            assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// A line with some bytes changed is understood or refused, no more.
        #[test]
        fn mutated_lines_do_no_harm(
            line in prop::sample::select(&LINES[..]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut bytes = line.0.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(request) = serde_json::from_slice::<Request>(&bytes) {
                let line = serde_json::to_string(&request).unwrap();
                prop_assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
            }
        }
    }
}
