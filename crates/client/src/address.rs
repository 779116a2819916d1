//! Where a hub is, as people write it: `ws://hub:8080`, `http://hub:8080`, `hub:8080` or just `hub`.

use std::{fmt, str::FromStr};

use tokio_tungstenite::tungstenite::http::Uri;

/// The port of an address without scheme and port: the hub's own default.
pub const PORT_DEFAULT: u16 = 8080;

/// A hub's address. A path is kept as the hub's base path (a hub behind a reverse proxy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress {
    /// As in a URL: an IPv6 address stands in brackets.
    host: String,
    port: u16,
    /// Empty, or begins with `/` and does not end with one.
    base: String,
}

/// Why a text is not a hub's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL, and not host:port.
    #[error("{0:?} is not a hub's address: use for example ws://hub.local:8080 or hub.local:8080")]
    Unreadable(String),
    /// A scheme that no hub speaks.
    #[error("{0:?} is not a scheme of a hub: use ws:// or http://")]
    Scheme(String),
    /// wss:// or https://.
    #[error("this version of the client does not speak TLS yet (wss://, https://): use ws:// inside a trusted network")]
    Tls,
    /// A name or password in the URL.
    #[error("a hub's address holds no secrets (user@ or user:password@): give a token file instead")]
    Secret,
    /// Something behind `?`.
    #[error("a hub's address has no query (what follows the question mark)")]
    Query,
}

impl HubAddress {
    /// Reads `ws://…`, `http://…`, `host:port` or `host` (then port [`PORT_DEFAULT`]).
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let unreadable = || AddressError::Unreadable(protocol::text::excerpt(text, 80));
        // A slip of the pen in `http://hub`, which would otherwise be the path `//hub` at a hub called "http".
        let is_scheme =
            |word: &str| ["ws", "wss", "http", "https"].iter().any(|known| word.eq_ignore_ascii_case(known));
        if text.split_once('/').is_some_and(|(word, _)| is_scheme(word.trim_end_matches(':'))) && !text.contains("://")
        {
            return Err(unreadable());
        }
        // Without a scheme "hub:8080" would be read as scheme "hub".
        let (url, port_default) = match text.split_once("://") {
            Some(_) => (text.to_owned(), 80),
            None => (format!("ws://{text}"), PORT_DEFAULT),
        };
        let uri: Uri = url.parse().map_err(|_| unreadable())?;
        match uri.scheme().map(|scheme| scheme.as_str().to_ascii_lowercase()).as_deref() {
            Some("ws" | "http") => {}
            Some("wss" | "https") => return Err(AddressError::Tls),
            other => return Err(AddressError::Scheme(protocol::text::excerpt(other.unwrap_or_default(), 40))),
        }
        let authority = uri.authority().ok_or_else(unreadable)?;
        if authority.as_str().contains('@') {
            return Err(AddressError::Secret);
        }
        if uri.query().is_some() {
            return Err(AddressError::Query);
        }
        // `Authority` takes "hub:" and "hub:99999" without a port; both are slips of the pen.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => port_default,
            Some(_) => authority.port_u16().filter(|&port| port != 0).ok_or_else(unreadable)?,
            None => return Err(unreadable()),
        };
        if authority.host().is_empty() {
            return Err(unreadable());
        }
        Ok(Self { host: authority.host().to_owned(), port, base: uri.path().trim_end_matches('/').to_owned() })
    }

    /// `host:port`, as it is dialled and as it stands in the Host header.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The URL of `path` (which begins with `/`) at this hub.
    pub(crate) fn websocket_url(&self, path: &str) -> String {
        format!("ws://{}:{}{}{path}", self.host, self.port, self.base)
    }
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}:{}{}", self.host, self.port, self.base)
    }
}

impl FromStr for HubAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_people_write_it() {
        for (text, expected) in [
            ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080"),
            ("http://hub.local", "ws://hub.local:80"),
            ("hub.local", "ws://hub.local:8080"),
            (" hub:9000/ ", "ws://hub:9000"),
            ("[::1]:8080", "ws://[::1]:8080"),
            ("[::1]", "ws://[::1]:8080"),
            ("WS://hub:1", "ws://hub:1"),
            ("http://proxy/highwater/", "ws://proxy:80/highwater"),
        ] {
            assert_eq!(HubAddress::parse(text).expect(text).to_string(), expected);
        }
        let behind_a_proxy = HubAddress::parse("http://proxy/highwater").expect("valid");
        assert_eq!(behind_a_proxy.websocket_url("/ws/live"), "ws://proxy:80/highwater/ws/live");
    }

    #[test]
    fn what_is_wrong_with_an_address_is_named() {
        for text in [
            "",
            "  ",
            "hub:",
            "hub:99999",
            "hub:0",
            "ws://",
            "ws://:80",
            "a b",
            "::1",
            "http//hub",
            "ws:/hub:1",
            "HTTPS//hub",
        ] {
            assert!(matches!(HubAddress::parse(text), Err(AddressError::Unreadable(_))), "{text:?}");
        }
        assert_eq!(HubAddress::parse("ftp://hub"), Err(AddressError::Scheme("ftp".into())));
        assert_eq!(HubAddress::parse("wss://hub"), Err(AddressError::Tls));
        assert_eq!(HubAddress::parse("https://hub:8443"), Err(AddressError::Tls));
        assert_eq!(HubAddress::parse("ws://me:secret@hub"), Err(AddressError::Secret));
        assert_eq!(HubAddress::parse("ws://hub/?token=x"), Err(AddressError::Query));
    }
}
