//! The host that a request is for.

use http::{Request, Version, header};
use hyper::body::Incoming;

use super::{Refusal, route};

/// The host that a request is for, in lower case and without port, and one word on it in the request: whoever
/// can say two is understood by us in one way, and by a server in another (RFC 9112 section 3.2).
pub(super) fn take(request: &mut Request<Incoming>) -> Result<String, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Refusal::BAD);
    }
    let named = match first {
        Some(value) => Some(value.to_str().map_err(|_| Refusal::BAD)?),
        None => None,
    };
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let whole = match (authority, named) {
        (Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => {
            return Err(Refusal::BAD);
        }
        (Some(whole), _) | (None, Some(whole)) => whole,
        (None, None) if request.version() == Version::HTTP_10 => "",
        (None, None) => return Err(Refusal::BAD),
    };
    let host = route::host_of(whole).to_ascii_lowercase();
    if !route::is_authority(whole)
        || host
            .bytes()
            .any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'@' | b'\\'))
    {
        return Err(Refusal::BAD);
    }
    if let Some(authority) = authority {
        let value = header::HeaderValue::from_str(authority).map_err(|_| Refusal::BAD)?;
        request.headers_mut().insert(header::HOST, value);
    }
    Ok(host)
}
