//! Clients that stay with a server, by a cookie (RFC 6265): its value tells the server to us, and nothing to
//! anybody else.

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};

use crate::core::Core;
use crate::pool::{Pool, Server, ServerId};
use crate::settings::Affinity;

/// The value of a cookie in a `Cookie` header.
pub(crate) fn cookie<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut pairs = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The server that a request's cookie names. The cookie is ours: the server does not see it.
pub(crate) fn take(core: &Core, pool: &Pool, headers: &mut HeaderMap) -> Option<ServerId> {
    let Affinity { cookie: name, .. } = pool.settings.affinity.as_ref()?;
    let values = headers.get_all(header::COOKIE);
    let value = values.iter().find_map(|value| cookie(value.as_bytes(), name))?.to_vec();
    let left: Vec<HeaderValue> =
        values.iter().filter_map(|value| without(value.as_bytes(), name)).collect();
    headers.remove(header::COOKIE);
    for value in left {
        headers.append(header::COOKIE, value);
    }
    let named = |server: &&Arc<Server>| token(core, pool, server).as_bytes() == value;
    pool.servers.iter().find(named).map(|server| server.id)
}

/// A `Cookie` header without a cookie; nothing if nothing is left.
fn without(header: &[u8], name: &str) -> Option<HeaderValue> {
    let is_ours =
        |pair: &[u8]| pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
    let pairs = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let left: Vec<&[u8]> = pairs.filter(|pair| !is_ours(pair) && !pair.is_empty()).collect();
    if left.is_empty() { None } else { HeaderValue::from_bytes(&left.join(&b"; "[..])).ok() }
}

/// Has the client stay with a server.
pub(crate) fn give(core: &Core, pool: &Pool, server: &Server, headers: &mut HeaderMap) {
    let Some(Affinity { cookie, max_age, secure }) = &pool.settings.affinity else { return };
    let mut text =
        format!("{cookie}={}; Path=/; HttpOnly; SameSite=Lax", token(core, pool, server));
    // A string takes all.
    if let Some(max_age) = max_age {
        let _ = write!(text, "; Max-Age={}", max_age.as_secs());
    }
    if *secure {
        text.push_str("; Secure");
    }
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// What stands for a server: the same on every node of the site.
fn token(core: &Core, pool: &Pool, server: &Server) -> String {
    format!("{:016x}", core.hash(("affinity", &pool.settings.name, &server.settings.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let header = b"a=1; sid=x=y ; bsid=2";
        assert_eq!(cookie(header, "sid"), Some(&b"x=y"[..]));
        assert_eq!(cookie(header, "id"), None);
        assert_eq!(cookie(header, "a"), Some(&b"1"[..]));
    }

    #[test]
    fn others_cookies_stay() {
        let left = |header: &[u8]| without(header, "SRV").map(|value| value.as_bytes().to_vec());
        assert_eq!(left(b"a=1; SRV=2;b=3"), Some(b"a=1; b=3".to_vec()));
        assert_eq!(left(b"XSRV=1; SRVX=2"), Some(b"XSRV=1; SRVX=2".to_vec()));
        assert_eq!(left(b" SRV=2 ;"), None);
    }
}
