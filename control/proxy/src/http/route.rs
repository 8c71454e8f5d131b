//! Which pool a request goes to.

use http::{Method, Uri};

use crate::settings::{Condition, Route};

/// What routes look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// In lower case, without its port.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
}

/// The first route whose conditions all hold.
pub(super) fn find<'a>(routes: &'a [Route], asked: Asked<'_>) -> Option<&'a Route> {
    routes.iter().find(|route| route.conditions.iter().all(|condition| holds(condition, asked)))
}

fn holds(condition: &Condition, asked: Asked<'_>) -> bool {
    match condition {
        Condition::Host(hosts) => hosts.iter().any(|host| match host.strip_prefix('*') {
            // `*.example.org`: something before the dot.
            Some(suffix) => asked.host.len() > suffix.len() && asked.host.ends_with(suffix),
            None => asked.host == host,
        }),
        Condition::Path(path) => asked.path == path,
        Condition::PathPrefix(prefix) => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            let rest = asked.path.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        Condition::Method(methods) => methods.contains(asked.method),
    }
}

/// The host that a request is for, without its port.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Path and query, as a redirect's `{path}`.
pub(super) fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |whole| whole.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Action;

    #[test]
    fn conditions_hold_for_what_they_name() {
        let get = Asked { method: &Method::GET, host: "www.example.org", path: "/a/b" };
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
        ] {
            assert_eq!(holds(&condition, get), expected, "{condition:?}");
        }
        let ab = Asked { path: "/ab", ..get };
        assert!(!holds(&Condition::PathPrefix("/a".into()), ab));
        let bare = Asked { host: ".example.org", ..get };
        assert!(!holds(&host("*.example.org"), bare));
    }

    #[test]
    fn the_first_route_decides() {
        let route = |conditions, pool| Route { conditions, action: Action::Pool(pool) };
        let routes = [
            route(vec![Condition::Method(vec![Method::POST]), Condition::Path("/a".into())], 1),
            route(vec![Condition::Path("/a".into())], 2),
            route(vec![], 3),
        ];
        let pool = |method, path| {
            let asked = Asked { method: &method, host: "", path };
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
