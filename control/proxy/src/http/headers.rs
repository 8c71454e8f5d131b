//! Headers between client and server: what is of one connection alone stays there (RFC 9110 section 7.6.1),
//! and servers learn who the client is.

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Those that are about one connection, whether or not `Connection` names them.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Removes what is of one connection alone. An upgrade that is asked for, or granted, stays.
pub(super) fn strip(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let upgrade = upgrade(headers).cloned();
    let named: Vec<HeaderName> = tokens(headers)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // What routing and framing stand on cannot be talked away.
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    upgrade
}

/// Puts an upgrade back.
pub(super) fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// The protocol that is asked for, or granted, if `Connection` says so. HTTP/2 is none: its requests would go
/// past routes and everything else.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_named = tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let mut all = headers.get_all(header::UPGRADE).iter();
    let protocol = all.next().filter(|_| is_named && all.next().is_none())?;
    let mut words = protocol.to_str().ok()?.split(',').map(str::trim);
    words.all(|word| !word.to_ascii_lowercase().starts_with("h2")).then_some(protocol)
}

/// Tells a server who the client is. What a client that is not `trusted` says of that itself is removed
/// first.
pub(super) fn forwarded(headers: &mut HeaderMap, client: IpAddr, tls: bool, trusted: bool) {
    if !trusted {
        for name in [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT] {
            headers.remove(name);
        }
        headers.remove(header::FORWARDED);
    }
    let mut chain = String::with_capacity(48);
    for before in headers.get_all(&X_FORWARDED_FOR) {
        if let Ok(before) = before.to_str() {
            chain.push_str(before);
            chain.push_str(", ");
        }
    }
    // A string takes all.
    let _ = write!(chain, "{}", client.to_canonical());
    if let Ok(chain) = HeaderValue::try_from(chain) {
        headers.insert(X_FORWARDED_FOR, chain);
    }
    if !headers.contains_key(&X_FORWARDED_PROTO) {
        let scheme = if tls { "https" } else { "http" };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        };
        let mut map = HeaderMap::new();
        pairs.iter().map(parse).for_each(|(name, value)| _ = map.append(name, value));
        map
    }

    #[test]
    fn what_is_of_one_connection_stays_there() {
        let mut map = headers(&[
            ("host", "example.org"),
            ("connection", "close, X-Mine, host"),
            ("connection", "content-length"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("content-length", "5"),
            ("accept", "*/*"),
        ]);
        assert_eq!(strip(&mut map), None);
        let left = [("host", "example.org"), ("content-length", "5"), ("accept", "*/*")];
        assert_eq!(map, headers(&left));
    }

    #[test]
    fn an_upgrade_stays_if_connection_names_it() {
        let asked = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
        let mut map = headers(&asked);
        let protocol = strip(&mut map).unwrap();
        assert_eq!(protocol, "websocket");
        assert!(map.is_empty());
        ask_upgrade(&mut map, protocol);
        assert_eq!(map, headers(&[("connection", "upgrade"), ("upgrade", "websocket")]));
        assert_eq!(strip(&mut headers(&[("upgrade", "websocket")])), None);
        for http2 in ["h2c", "websocket, H2C", "h2"] {
            let mut map =
                headers(&[("connection", "upgrade"), ("upgrade", http2), ("http2-settings", "x")]);
            assert_eq!(strip(&mut map), None);
            assert!(map.is_empty());
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let said = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("forwarded", "for=203.0.113.9"),
        ];
        let client = "::ffff:192.0.2.1".parse().unwrap();
        let mut map = headers(&said);
        forwarded(&mut map, client, false, false);
        assert_eq!(
            map,
            headers(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "http")])
        );
        let mut map = headers(&said);
        forwarded(&mut map, client, false, true);
        assert_eq!(map["x-forwarded-for"], "203.0.113.9, 192.0.2.1");
        assert_eq!(
            (&map["x-forwarded-proto"], &map["forwarded"]),
            (&"https".parse().unwrap(), &"for=203.0.113.9".parse().unwrap())
        );
    }
}
