//! Who may talk to the hub. Until accounts exist: the right names and the right pages.
//!
//! `Host` against DNS rebinding, `Origin` against foreign pages, both from the first release on.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method,
        header::{HOST, ORIGIN, UPGRADE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    api::error::Problem,
    web::{Config, Web},
};

/// A request must be complete and answered by then; streamed answers have begun by then.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Refuses requests under a foreign name, and writing or upgrading requests from a foreign page.
pub async fn check_names(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        web.metrics.foreign_refused.inc();
        return Problem::new(400, "no Host", "the request has no readable Host header".into()).into_response();
    };
    if !is_own_host(&web.config, host) {
        web.metrics.foreign_refused.inc();
        let detail = format!(
            "{:?} is not a name of this hub. Use its address, or add the name to web.allowed_hosts",
            protocol::text::excerpt(host, 80)
        );
        return Problem::new(403, "foreign Host", detail).into_response();
    }
    let changes_something = !matches!(*request.method(), Method::GET | Method::HEAD) || headers.contains_key(UPGRADE);
    if changes_something && !is_own_origin(&web.config, headers, host) {
        web.metrics.foreign_refused.inc();
        let detail = "this page does not belong to the hub. If it should, add its origin to web.allowed_origins";
        return Problem::new(403, "foreign Origin", detail.into()).into_response();
    }
    // An upgrade goes on for as long as it likes; a request that brings its body a byte at a time does not.
    if request.headers().contains_key(UPGRADE) {
        return next.run(request).await;
    }
    let mut response = match tokio::time::timeout(REQUEST_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(408, "too slow", "the request took longer than 30 s".into()).into_response(),
    };
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An address, `localhost`, this machine's name, `*.local`, or a configured name. A rebinding attack needs a public
/// name, which an address is not.
fn is_own_host(config: &Config, host: &str) -> bool {
    let name = host_name(host).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.rsplit_once('.').is_some_and(|(_, ending)| ending == "local")
        || own_name().is_some_and(|own| own == name)
        || config.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn own_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty())
}

/// No Origin (devices, curl, the terminal), the hub's own, or a configured one. `null` is always foreign.
fn is_own_origin(config: &Config, headers: &HeaderMap, host: &str) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if origins.next().is_some() {
        return false;
    }
    let same = ["http://", "https://"]
        .iter()
        .any(|scheme| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host)));
    same || config.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_local_names_are_own_and_public_names_are_not() {
        let config = Config { allowed_hosts: vec!["hub.example".into()], ..Config::default() };
        for own in ["127.0.0.1:8080", "localhost", "[::1]:8080", "10.1.2.3", "pi.local:80", "PI.LOCAL.", "hub.example"]
        {
            assert!(is_own_host(&config, own), "{own}");
        }
        for foreign in ["evil.example", "127.0.0.1.evil.example:8080", "localhost.evil.example", "local", ""] {
            assert!(!is_own_host(&config, foreign), "{foreign}");
        }
    }

    #[test]
    fn only_own_origins_pass_and_null_never() {
        let config = Config { allowed_origins: vec!["https://wall.example".into()], ..Config::default() };
        let passes = |origins: &[&str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(ORIGIN, origin.parse().expect("a header value"));
            }
            is_own_origin(&config, &headers, "pi.local:8080")
        };
        assert!(passes(&[]));
        assert!(passes(&["http://pi.local:8080"]));
        assert!(passes(&["https://wall.example"]));
        assert!(!passes(&["null"]));
        assert!(!passes(&["http://pi.local"]));
        assert!(!passes(&["http://evil.example"]));
        assert!(!passes(&["http://pi.local:8080", "http://evil.example"]));
    }
}
