//! `/api/v1/openapi.json`: the description of this very interface; a test compares it with the router.

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

/// The document as it is served.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// Serves it.
pub async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
