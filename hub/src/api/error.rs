//! Errors as RFC 9457 problem documents whose `detail` says what to do.

use axum::{
    extract::rejection::QueryRejection,
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
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
