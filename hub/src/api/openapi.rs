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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_lists_exactly_the_routes() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let listed: BTreeSet<&str> =
            document["paths"].as_object().expect("an object").keys().map(String::as_str).collect();
        let source = include_str!("../web.rs");
        let routed: BTreeSet<&str> = source
            .split(".route(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(|path| if path == "/assets/{*path}" { "/assets/{path}" } else { path })
            .collect();
        assert_eq!(listed, routed);
    }
}
