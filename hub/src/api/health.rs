//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

use super::error::Problem;
use crate::web::Web;

/// Alive: this very answer shows it.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready to take readings.
pub async fn readyz(State(web): State<Arc<Web>>) -> Response {
    if *web.ready.borrow() {
        "ready\n".into_response()
    } else {
        Problem::overloaded("the hub is starting or stopping").into_response()
    }
}

/// Prometheus text.
pub async fn metrics(State(web): State<Arc<Web>>) -> Response {
    web.metrics.history_applied.set(web.historian.applied_seq() as i64);
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], web.metrics.text()).into_response()
}
