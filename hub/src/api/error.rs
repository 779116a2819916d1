//! Errors as RFC 9457 problem documents whose `detail` says what to do.

use axum::{
    body::to_bytes,
    extract::rejection::QueryRejection,
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use protocol::limits::MESSAGE_BYTES_MAX;
use serde::Serialize;

use crate::{historian::Busy, pipeline::Stopped};

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What kind of thing went wrong.
    pub title: String,
    /// What happened and what to do.
    pub detail: String,
    /// Seconds after which to try again.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem with its status.
    pub fn new(status: u16, title: &str, detail: String) -> Self {
        Self { status, title: title.to_owned(), detail, retry_after_s: None }
    }

    /// A parameter that cannot be used.
    pub fn bad_parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(400, "bad parameter", format!("{name}: {why}"))
    }

    /// No common subprotocol.
    pub fn subprotocol(wanted: &str) -> Self {
        Self::new(400, "wrong subprotocol", format!("offer it with Sec-WebSocket-Protocol: {wanted}"))
    }

    /// Too much at once.
    pub fn overloaded(why: &str) -> Self {
        let problem = Self::new(503, "overloaded", format!("{why}: try again in a few seconds"));
        Self { retry_after_s: Some(5), ..problem }
    }

    /// History could not be read.
    pub fn history(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "history cannot be read");
        Self::new(500, "history cannot be read", format!("{error}: look at the hub's log"))
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(400, "bad parameter", format!("{}: see /api/v1/openapi.json", rejection.body_text()))
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(503, "busy", busy.to_string()) }
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        Self { retry_after_s: Some(5), ..Self::new(503, "stopping", stopped.to_string()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem is plain text and numbers");
        let mut response =
            (StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after_s) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
        }
        response
    }
}

/// What a refusal by the web framework itself (a body over the limit, no upgrade) may say.
const FRAMEWORK_WORDS_BYTES_MAX: usize = 4 * 1024;

/// Makes a problem document of every error that is not one yet: those of the web framework come as plain text.
pub async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let words = to_bytes(body, FRAMEWORK_WORDS_BYTES_MAX).await.unwrap_or_default();
    let detail = match status {
        StatusCode::PAYLOAD_TOO_LARGE => format!("a request has at most {} KiB: split it", MESSAGE_BYTES_MAX / 1024),
        _ => protocol::text::excerpt(&String::from_utf8_lossy(&words), 400),
    };
    let title = status.canonical_reason().unwrap_or("error").to_lowercase();
    let (problem, body) = Problem::new(status.as_u16(), &title, detail).into_response().into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, body)
}

/// No such path.
pub async fn not_found(uri: Uri) -> Problem {
    let path = protocol::text::excerpt(uri.path(), 80);
    Problem::new(404, "not found", format!("there is no {path}: /api/v1/openapi.json lists what there is"))
}

/// The path exists, but not with this method.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let path = protocol::text::excerpt(uri.path(), 80);
    Problem::new(405, "method not allowed", format!("{path} does not take {method}: see /api/v1/openapi.json"))
}
