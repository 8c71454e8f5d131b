//! Which pool a request goes to.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::settings::{Condition, Rewrite, Route, ValueMatch};

/// What routes look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// In lower case, without its port.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
}

/// The first route whose conditions all hold.
pub(super) fn find<'a>(routes: &'a [Route], asked: Asked<'_>) -> Option<&'a Route> {
    routes.iter().find(|route| route.conditions.iter().all(|condition| holds(condition, asked)))
}

fn holds(condition: &Condition, asked: Asked<'_>) -> bool {
    match condition {
        Condition::Host(hosts) => hosts.iter().any(|host| is_host(host, asked.host)),
        Condition::Path(path) => asked.path == path,
        Condition::PathPrefix(prefix) => below(asked.path, prefix).is_some(),
        Condition::PathPattern(pattern) => pattern.is_in(asked.path),
        Condition::Method(methods) => methods.contains(asked.method),
        Condition::Header(name, wanted) => {
            asked.headers.get_all(name).iter().any(|value| fits(wanted, value))
        }
        Condition::Not(condition) => !holds(condition, asked),
    }
}

/// Whether a host is meant by `example.org`, or by `*.example.org`: something before the dot.
pub(crate) fn is_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => host == pattern,
    }
}

/// What of a path lies below a prefix of whole segments: nothing, or from its `/` on.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix.strip_suffix('/').unwrap_or(prefix))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn fits(wanted: &ValueMatch, value: &HeaderValue) -> bool {
    let is = |holds: &dyn Fn(&str) -> bool| value.to_str().is_ok_and(holds);
    match wanted {
        ValueMatch::Any => true,
        ValueMatch::Exact(text) => value == text,
        ValueMatch::Prefix(text) => is(&|value| value.starts_with(text.as_str())),
        ValueMatch::Pattern(pattern) => is(&|value| pattern.is_in(value)),
    }
}

/// The path and query that a server is asked for instead; nothing if they stay.
pub(super) fn rewrite(path_and_query: &str, rewrite: &Rewrite) -> Option<String> {
    let end = path_and_query.find('?').unwrap_or(path_and_query.len());
    let (path, query) = path_and_query.split_at(end);
    let rest = below(path, &rewrite.strip)?;
    let put = rewrite.put.strip_suffix('/').unwrap_or(&rewrite.put);
    let slash = if put.is_empty() && rest.is_empty() { "/" } else { "" };
    Some(format!("{put}{rest}{slash}{query}"))
}

/// The host that a request is for, without its port.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Whether nothing but a port follows the host (RFC 3986 section 3.2).
pub(super) fn is_authority(authority: &str) -> bool {
    let rest = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => rest,
        None => &authority[host_of(authority).len()..],
    };
    let port = rest.strip_prefix(':');
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    port.map_or(rest.is_empty(), is_port)
}

/// Path and query, as a redirect's `{path}`.
pub(super) fn path_and_query(uri: &Uri) -> Cow<'_, str> {
    match uri.path_and_query().map_or("/", |whole| whole.as_str()) {
        // `http://example.org?query` (RFC 9112 section 3.2.1).
        query if query.starts_with('?') => Cow::Owned(format!("/{query}")),
        whole => Cow::Borrowed(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Action, Pattern};

    #[test]
    fn conditions_hold_for_what_they_name() {
        let mut headers = HeaderMap::new();
        headers.append("x-kind", HeaderValue::from_static("plain"));
        headers.append("x-kind", HeaderValue::from_static("beta 2"));
        let headers = &headers;
        let get = Asked { method: &Method::GET, host: "www.example.org", path: "/a/b", headers };
        let header = |wanted| Condition::Header("x-kind".parse().unwrap(), wanted);
        let pattern = |text: &str| text.parse::<Pattern>().unwrap();
        let host = |name: &str| Condition::Host(vec![name.into()]);
        for (condition, expected) in [
            (host("www.example.org"), true),
            (host("example.org"), false),
            (host("*.example.org"), true),
            (host("*.www.example.org"), false),
            (Condition::PathPrefix("/a".into()), true),
            (Condition::PathPrefix("/a/".into()), true),
            (Condition::PathPrefix("/".into()), true),
            (Condition::PathPrefix("/a/b/".into()), true),
            (Condition::PathPrefix("/a/bc".into()), false),
            (Condition::PathPrefix("/a/b/c".into()), false),
            (Condition::Path("/a/b".into()), true),
            (Condition::Path("/a".into()), false),
            (Condition::Method(vec![Method::POST]), false),
            (Condition::Not(Box::new(Condition::Method(vec![Method::POST]))), true),
            (Condition::PathPattern(pattern("^/a/[a-c]$")), true),
            (Condition::PathPattern(pattern("^/b")), false),
            (header(ValueMatch::Any), true),
            (header(ValueMatch::Exact("plain".into())), true),
            (header(ValueMatch::Exact("beta".into())), false),
            (header(ValueMatch::Prefix("beta".into())), true),
            (header(ValueMatch::Pattern(pattern("[0-9]$"))), true),
            (Condition::Header("x-other".parse().unwrap(), ValueMatch::Any), false),
        ] {
            assert_eq!(holds(&condition, get), expected, "{condition:?}");
        }
        let ab = Asked { path: "/ab", ..get };
        assert!(!holds(&Condition::PathPrefix("/a".into()), ab));
        let bare = Asked { host: ".example.org", ..get };
        assert!(!holds(&host("*.example.org"), bare));
    }

    #[test]
    fn paths_are_rewritten_by_whole_segments() {
        let path = |path: &str, strip: &str, put: &str| {
            rewrite(path, &Rewrite { strip: strip.into(), put: put.into() })
        };
        for (from, strip, put, to) in [
            ("/api/v1/a?b=/api", "/api", "", Some("/v1/a?b=/api")),
            ("/api", "/api", "", Some("/")),
            ("/api?x", "/api/", "/", Some("/?x")),
            ("/api/", "/api", "/v2/", Some("/v2/")),
            ("/api/a", "/api", "/v2", Some("/v2/a")),
            ("/a", "/", "/v2", Some("/v2/a")),
            ("/apis", "/api", "", None),
        ] {
            assert_eq!(path(from, strip, put).as_deref(), to, "{from} {strip} {put}");
        }
    }

    #[test]
    fn the_first_route_decides() {
        let route = |conditions, pool| Route::new(conditions, Action::Pool(pool));
        let routes = [
            route(vec![Condition::Method(vec![Method::POST]), Condition::Path("/a".into())], 1),
            route(vec![Condition::Path("/a".into())], 2),
            route(vec![], 3),
        ];
        let pool = |method, path| {
            let headers = &HeaderMap::new();
            let asked = Asked { method: &method, host: "", path, headers };
            match find(&routes, asked).map(|route| &route.action) {
                Some(Action::Pool(pool)) => *pool,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(pool(Method::POST, "/a"), 1);
        assert_eq!(pool(Method::GET, "/a"), 2);
        assert_eq!(pool(Method::GET, "/b"), 3);
    }

    #[test]
    fn a_host_has_no_port() {
        for (authority, host) in [
            ("example.org", "example.org"),
            ("example.org:8080", "example.org"),
            ("[2001:db8::1]:8080", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
