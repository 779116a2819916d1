//! Opens WebSocket connections to a hub, and says in a person's words why one did not open or has ended.
//!
//! Takes an address, a path with its subprotocol and a token; gives a stream of messages with every buffer bounded.
//! Knows neither protocol.

use std::{error::Error, fmt::Write as _, io, time::Duration};

use protocol::close;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{
            HeaderMap, HeaderValue, StatusCode,
            header::{AUTHORIZATION, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL},
        },
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use crate::{address::HubAddress, backoff::Advice};

/// A connection to a hub.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Longest time from the first packet to the answered upgrade.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes gathered before they are written; a flush writes what there is.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// What to open.
pub(crate) struct Door<'a> {
    pub(crate) address: &'a HubAddress,
    pub(crate) path: &'static str,
    pub(crate) subprotocol: &'static str,
    pub(crate) token: Option<&'a str>,
    /// Allocated for each connection; tungstenite's own default is 128 KiB.
    pub(crate) read_buffer_bytes: usize,
    /// Largest message taken from the hub.
    pub(crate) incoming_bytes_max: usize,
    /// Largest message sent to it.
    pub(crate) outgoing_bytes_max: usize,
}

/// Why a connection did not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the token holds characters that no token has")]
    Token,
    #[error("{url} is no usable URL")]
    Request {
        url: String,
        #[source]
        source: tungstenite::Error,
    },
    #[error("cannot reach {authority}")]
    Reach {
        authority: String,
        #[source]
        source: io::Error,
    },
    #[error("{0} does not answer")]
    Silent(String),
    #[error("{authority} refuses this token ({status}): check the token file, and that the token names this device")]
    Denied { authority: String, status: StatusCode },
    #[error("{authority} is busy or starting")]
    Busy { authority: String, retry_after: Option<Duration> },
    #[error("{authority} answers {status}: is it a Highwater hub, and of this version?")]
    Answer { authority: String, status: StatusCode },
    #[error("{authority} does not speak Highwater's protocol")]
    Upgrade {
        authority: String,
        #[source]
        source: tungstenite::Error,
    },
}

impl OpenError {
    pub(crate) fn advice(&self) -> Advice {
        match self {
            Self::Busy { retry_after: Some(after), .. } => Advice::After(*after),
            Self::Token | Self::Denied { .. } => Advice::Denied,
            _ => Advice::None,
        }
    }
}

/// An error with its sources, for a person.
pub(crate) fn explained(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // The number that the standard library puts behind the system's words helps nobody here.
        let cause_text = cause_text.split(" (os error ").next().unwrap_or_default();
        // Some libraries repeat their source in their own text.
        if !text.ends_with(cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Connects, upgrades and agrees on the subprotocol.
pub(crate) async fn open(door: &Door<'_>) -> Result<Socket, OpenError> {
    let request = request(door)?;
    match timeout(OPEN_TIMEOUT, upgrade(door, request)).await {
        Ok(opened) => opened,
        Err(_) => Err(OpenError::Silent(door.address.authority())),
    }
}

fn request(door: &Door<'_>) -> Result<Request, OpenError> {
    let url = door.address.websocket_url(door.path);
    let mut request = url.as_str().into_client_request().map_err(|source| OpenError::Request { url, source })?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(door.subprotocol));
    if let Some(token) = door.token {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| OpenError::Token)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

async fn upgrade(door: &Door<'_>, request: Request) -> Result<Socket, OpenError> {
    let authority = door.address.authority();
    let reach = |source| OpenError::Reach { authority: authority.clone(), source };
    let stream = TcpStream::connect(&authority).await.map_err(reach)?;
    // A reading that waits for Nagle's timer is a reading that is late on the screen.
    stream.set_nodelay(true).map_err(reach)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(door.read_buffer_bytes)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES + 2 * door.outgoing_bytes_max)
        .max_message_size(Some(door.incoming_bytes_max))
        .max_frame_size(Some(door.incoming_bytes_max));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => {
            Err(answered(authority, response.status(), retry_after(response.headers())))
        }
        Err(tungstenite::Error::Io(source)) => Err(OpenError::Reach { authority, source }),
        Err(source) => Err(OpenError::Upgrade { authority, source }),
    }
}

fn answered(authority: String, status: StatusCode, retry_after: Option<Duration>) -> OpenError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => OpenError::Denied { authority, status },
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => OpenError::Busy { authority, retry_after },
        _ => OpenError::Answer { authority, status },
    }
}

/// Retry-After in seconds (RFC 9110 section 10.2.3); the form with a date is left to the usual backoff.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// For a person.
    pub(crate) reason: String,
    /// When to come back.
    pub(crate) advice: Advice,
    /// The close code, where the hub sent one.
    pub(crate) code: Option<u16>,
}

impl Ending {
    /// An end without a word from the hub.
    pub(crate) fn silent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), advice: Advice::None, code: None }
    }

    /// A failed read or write.
    pub(crate) fn failed(error: &tungstenite::Error) -> Self {
        Self::silent(match error {
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => "connection closed".to_owned(),
            error => format!("connection lost: {}", explained(error)),
        })
    }

    /// A close frame from the hub, or one without code.
    pub(crate) fn closed(frame: Option<&CloseFrame>) -> Self {
        let Some(frame) = frame else { return Self::silent("the hub closed the connection") };
        let code = u16::from(frame.code);
        let told = protocol::text::excerpt(frame.reason.as_str(), 120);
        let advice = match code {
            close::OVERLOADED => {
                close::retry_after_ms(&told).map_or(Advice::None, |ms| Advice::After(Duration::from_millis(ms)))
            }
            close::TAKEN_OVER => Advice::Denied,
            _ => Advice::None,
        };
        let mut reason = match code {
            close::STOPPING => "the hub is stopping".to_owned(),
            close::RESTARTING => "the hub is restarting".to_owned(),
            close::OVERLOADED => "the hub is overloaded".to_owned(),
            close::CANNOT_WRITE => "the hub cannot write to its disk".to_owned(),
            close::UNREADABLE => "the hub could not read a message".to_owned(),
            close::TOO_BIG => "the hub found a message too big".to_owned(),
            close::TAKEN_OVER => {
                "another connection introduced itself as this device (a cloned SD card, or started twice?)".to_owned()
            }
            code => format!("the hub closed the connection ({code})"),
        };
        if !told.is_empty() && advice == Advice::None {
            let _ = write!(reason, ": {told}");
        }
        Self { reason, advice, code: Some(code) }
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    use super::*;

    #[test]
    fn an_end_says_when_to_come_back() {
        let closed = |code: u16, reason: &str| {
            Ending::closed(Some(&CloseFrame { code: CloseCode::from(code), reason: reason.into() }))
        };
        assert_eq!(closed(1013, "retry_after_ms=1500").advice, Advice::After(Duration::from_millis(1500)));
        assert_eq!(closed(1013, "").advice, Advice::None);
        assert_eq!(closed(4001, "").advice, Advice::Denied);
        assert_eq!(closed(1012, "back in a moment").reason, "the hub is restarting: back in a moment");
        assert_eq!(closed(1007, "\u{1b}[2J").reason, "the hub could not read a message: [2J");
        assert_eq!(Ending::closed(None).code, None);
    }

    #[test]
    fn an_answer_that_is_no_upgrade_says_what_to_do() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(" 7"));
        let busy = answered("hub:1".into(), StatusCode::SERVICE_UNAVAILABLE, retry_after(&headers));
        assert_eq!(busy.advice(), Advice::After(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT"));
        assert_eq!(retry_after(&headers), None);
        assert_eq!(answered("hub:1".into(), StatusCode::UNAUTHORIZED, None).advice(), Advice::Denied);
        let other = answered("hub:1".into(), StatusCode::NOT_FOUND, None);
        assert_eq!(explained(&other), "hub:1 answers 404 Not Found: is it a Highwater hub, and of this version?");
    }
}
