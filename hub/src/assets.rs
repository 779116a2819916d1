//! The web page: embedded in the binary, read from disk in debug builds, compressed once, cached by content.

use std::{
    collections::HashMap,
    io::Write,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Bytes,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;

use crate::api::error::Problem;

/// What the browser may load for the page: its own scripts and styles, its own socket, nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "../web-dashboard"]
#[include = "*.html"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[include = "*.webmanifest"]
#[exclude = "tests/*"]
#[exclude = "node_modules/*"]
struct Files;

/// Compressed bodies by content hash: each file is compressed once a run.
static COMPRESSED: Mutex<Option<HashMap<[u8; 32], Bytes>>> = Mutex::new(None);

/// The page.
pub async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// A script, a style, a picture.
pub async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&path, &headers)
}

fn file(path: &str, request: &HeaderMap) -> Response {
    let Some(file) = Files::get(path) else {
        let path = protocol::text::excerpt(path, 80);
        return Problem::new(404, "not found", format!("the page has no file {path}")).into_response();
    };
    let hash = file.metadata.sha256_hash();
    let etag = format!("\"{:016x}\"", u64::from_be_bytes(hash[..8].try_into().expect("eight bytes")));
    let mut headers = HeaderMap::new();
    let put =
        |headers: &mut HeaderMap, name, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    put(&mut headers, CONTENT_TYPE, content_type(path));
    // Revalidated each time, answered with 304: a page and its modules always fit together after an update.
    put(&mut headers, CACHE_CONTROL, "no-cache");
    put(&mut headers, VARY, "accept-encoding");
    for (name, value) in [
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let is_known = request.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    headers.insert(ETAG, HeaderValue::from_str(&etag).expect("hexadecimal digits"));
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let takes_gzip =
        request.get(ACCEPT_ENCODING).is_some_and(|value| value.as_bytes().windows(4).any(|w| w == b"gzip"));
    let plain = Bytes::from(file.data.into_owned());
    if !takes_gzip {
        return (headers, plain).into_response();
    }
    put(&mut headers, CONTENT_ENCODING, "gzip");
    let mut compressed = COMPRESSED.lock().unwrap_or_else(PoisonError::into_inner);
    let body = compressed.get_or_insert_default().entry(hash).or_insert_with(|| gzip(&plain)).clone();
    (headers, body).into_response()
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("writing to memory does not fail").into()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
