//! Where to listen, as people write it: `127.0.0.1:8080`, `localhost:8080` or just the port. Looks no name up.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de};

/// Why a text is not an address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address to listen on: write a port (8080) for this machine alone, an address with a port \
     (192.168.1.20:8080, [::1]:8080), or 0.0.0.0:8080 for every network"
)]
pub struct ListenError(String);

/// Reads an IP address with a port; a port alone, or behind `localhost`, is one of 127.0.0.1.
pub fn parse(text: &str) -> Result<SocketAddr, ListenError> {
    let text = text.trim();
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    // `parse` would take a sign.
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let local = port.parse().ok().filter(|_| is_number).map(|port: u16| (Ipv4Addr::LOCALHOST, port).into());
    local.or_else(|| text.parse().ok()).ok_or_else(|| ListenError(protocol::text::excerpt(text, 80)))
}

/// The same in a file.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_people_write_it() {
        for (text, address) in [
            ("18301", "127.0.0.1:18301"),
            ("localhost:18301", "127.0.0.1:18301"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(parse(text).expect(text).to_string(), address);
        }
        for text in ["", "+80", ":8080", "0.0.0.0", "70000", "hub.local:8080", "localhost"] {
            assert!(parse(text).expect_err(text).to_string().contains("write a port (8080)"));
        }
    }
}
