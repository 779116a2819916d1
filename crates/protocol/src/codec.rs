//! The one module that knows which CBOR library is used (`serde_cbor`'s maintained fork; docs/decisions/0001).
//!
//! Decoding is typed throughout: nothing a peer sends becomes a dynamic value. Trailing bytes are refused.

pub mod number;
pub mod writer;

use serde::{Deserialize, Serialize, de::DeserializeSeed};

/// Why bytes are not the item that was expected; the text names the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl From<serde_cbor::Error> for CodecError {
    fn from(error: serde_cbor::Error) -> Self {
        Self(crate::text::excerpt(&error.to_string(), 300))
    }
}

/// What kind of item a message holds, told by its first byte (RFC 8949 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// An array: readings.
    Array,
    /// A map: control.
    Map,
    /// Anything else: no message of ours.
    Other,
}

/// Takes off the self-described CBOR tag (55799) that some encoders put in front.
pub fn strip_self_described(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(&[0xd9, 0xd9, 0xf7]).unwrap_or(bytes)
}

/// The kind of the item that `bytes` begins with.
pub fn item_kind(bytes: &[u8]) -> ItemKind {
    match bytes.first().map(|byte| byte >> 5) {
        Some(4) => ItemKind::Array,
        Some(5) => ItemKind::Map,
        _ => ItemKind::Other,
    }
}

/// The `type` of a control map, whatever else stands in it: a type that this version does not know may use the keys
/// of known types for other things.
pub(crate) fn message_type(bytes: &[u8]) -> Result<Option<String>, CodecError> {
    #[derive(Deserialize)]
    struct Message {
        r#type: Option<String>,
    }
    from_slice::<Message>(bytes).map(|message| message.r#type)
}

/// Decodes exactly one item of a known type.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, CodecError> {
    serde_cbor::from_slice(bytes).map_err(CodecError::from)
}

/// Decodes exactly one item with a seed that carries where the result goes.
pub(crate) fn from_slice_seed<'de, S: DeserializeSeed<'de>>(bytes: &'de [u8], seed: S) -> Result<S::Value, CodecError> {
    let mut deserializer = serde_cbor::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Encodes one item; maps keep the order of the type's fields.
///
/// # Panics
/// Never for the types of this crate: they hold nothing that CBOR cannot say.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    serde_cbor::to_vec(value).expect("protocol types always encode")
}

/// The RFC 8746 tag of the item being visited; only meaningful inside `visit_newtype_struct`.
pub(crate) fn current_tag() -> Option<u64> {
    serde_cbor::tags::current_cbor_tag()
}
