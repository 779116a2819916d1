//! A second, independent reader: minicbor into a plain tree, and from there into JSON.
//!
//! It shares no code with `protocol::codec`, so that the two can be held against each other.

use minicbor::{
    Decoder,
    data::{Tag, Type},
};
use serde_json::{Map, Number, Value};

/// One CBOR item. Numbers lose their width, but not whether they were coarse.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Number {
        value: f64,
        coarse: bool,
        integer: bool,
    },
    Bool(bool),
    Text(String),
    /// null or undefined.
    Null,
    Bytes(Vec<u8>),
    Array(Vec<Tree>),
    /// An RFC 8746 typed array of the element types this wire uses.
    Typed(Vec<f64>),
    Map(Vec<(Tree, Tree)>),
    /// Any other tagged item.
    Tagged(u64, Box<Tree>),
}

/// Why bytes are not one whole item.
pub type TreeError = minicbor::decode::Error;

/// Reads exactly one item.
pub fn read(bytes: &[u8]) -> Result<Tree, TreeError> {
    let mut decoder = Decoder::new(bytes);
    let tree = item(&mut decoder, 0)?;
    if decoder.position() == bytes.len() { Ok(tree) } else { Err(TreeError::message("trailing bytes")) }
}

fn number(value: f64) -> Tree {
    Tree::Number { value, coarse: false, integer: true }
}

fn item(decoder: &mut Decoder<'_>, depth: usize) -> Result<Tree, TreeError> {
    if depth > 64 {
        return Err(TreeError::message("too deep"));
    }
    Ok(match decoder.datatype()? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => number(decoder.u64()? as f64),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => number(i128::from(decoder.int()?) as f64),
        Type::F16 => Tree::Number { value: f64::from(decoder.f16()?), coarse: true, integer: false },
        Type::F32 => Tree::Number { value: f64::from(decoder.f32()?), coarse: true, integer: false },
        Type::F64 => Tree::Number { value: decoder.f64()?, coarse: false, integer: false },
        Type::Bool => Tree::Bool(decoder.bool()?),
        Type::Null => {
            decoder.null()?;
            Tree::Null
        }
        Type::Undefined => {
            decoder.undefined()?;
            Tree::Null
        }
        Type::String | Type::StringIndef => Tree::Text(decoder.str_iter()?.collect::<Result<String, _>>()?),
        Type::Bytes | Type::BytesIndef => Tree::Bytes(decoder.bytes_iter()?.collect::<Result<Vec<_>, _>>()?.concat()),
        Type::Array | Type::ArrayIndef => {
            let len = decoder.array()?;
            let mut items = Vec::new();
            while more(decoder, len, items.len())? {
                items.push(item(decoder, depth + 1)?);
            }
            Tree::Array(items)
        }
        Type::Map | Type::MapIndef => {
            let len = decoder.map()?;
            let mut entries = Vec::new();
            while more(decoder, len, entries.len())? {
                entries.push((item(decoder, depth + 1)?, item(decoder, depth + 1)?));
            }
            Tree::Map(entries)
        }
        Type::Tag => tagged(decoder.tag()?, item(decoder, depth + 1)?),
        other => return Err(TreeError::type_mismatch(other)),
    })
}

/// Whether another entry follows; eats the break of an indefinite length.
fn more(decoder: &mut Decoder<'_>, len: Option<u64>, have: usize) -> Result<bool, TreeError> {
    match len {
        Some(len) => Ok((have as u64) < len),
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}

fn tagged(tag: Tag, inner: Tree) -> Tree {
    fn entries<const W: usize>(bytes: &[u8], read: fn([u8; W]) -> f64) -> Option<Vec<f64>> {
        let (entries, rest) = bytes.as_chunks::<W>();
        rest.is_empty().then(|| entries.iter().map(|&entry| read(entry)).collect())
    }
    let column = match (tag.as_u64(), &inner) {
        (64, Tree::Bytes(bytes)) => entries(bytes, |[byte]| f64::from(byte)),
        (69, Tree::Bytes(bytes)) => entries(bytes, |entry| f64::from(u16::from_le_bytes(entry))),
        (70, Tree::Bytes(bytes)) => entries(bytes, |entry| f64::from(u32::from_le_bytes(entry))),
        (72, Tree::Bytes(bytes)) => entries(bytes, |entry| f64::from(i8::from_le_bytes(entry))),
        (77, Tree::Bytes(bytes)) => entries(bytes, |entry| f64::from(i16::from_le_bytes(entry))),
        (78, Tree::Bytes(bytes)) => entries(bytes, |entry| f64::from(i32::from_le_bytes(entry))),
        (85, Tree::Bytes(bytes)) => entries(bytes, |entry| f64::from(f32::from_le_bytes(entry))),
        (86, Tree::Bytes(bytes)) => entries(bytes, f64::from_le_bytes),
        _ => None,
    };
    column.map_or_else(|| Tree::Tagged(tag.as_u64(), Box::new(inner)), Tree::Typed)
}

/// A number as JSON has it: an integer where it is one, null where JSON has no word for it.
fn json_number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9.1e15 {
        Value::from(value as i64)
    } else {
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }
}

impl Tree {
    /// The item as JSON, as golden files show it: typed arrays are arrays, NaN is null.
    pub fn json(&self) -> Value {
        match self {
            Self::Number { value, .. } => json_number(*value),
            Self::Bool(value) => Value::Bool(*value),
            Self::Text(text) => Value::String(text.clone()),
            Self::Null => Value::Null,
            Self::Bytes(bytes) => Value::Array(bytes.iter().map(|&byte| Value::from(byte)).collect()),
            Self::Array(items) => Value::Array(items.iter().map(Self::json).collect()),
            Self::Typed(column) => Value::Array(column.iter().map(|&value| json_number(value)).collect()),
            Self::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| match key {
                        Self::Text(key) => (key.clone(), value.json()),
                        other => (other.json().to_string(), value.json()),
                    })
                    .collect::<Map<_, _>>(),
            ),
            Self::Tagged(_, inner) => inner.json(),
        }
    }
}
