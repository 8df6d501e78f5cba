//! The located tree into typed forms: a serde deserializer whose errors carry the key path and position, name the
//! nearest known key, and never print a value (it may be a key).

use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer as _, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

use super::{
    node::{Entry, KeyPath, Node, Origin, Segment, Value},
    suggest::nearest,
};

/// A value that has not the form it should.
#[derive(Debug)]
pub(crate) struct TypeError {
    pub(crate) origin: Option<Origin>,
    path: Vec<Segment>,
    pub(crate) message: String,
}

impl TypeError {
    fn new(message: String) -> Self {
        Self { origin: None, path: Vec::new(), message }
    }

    fn within(mut self, segment: Segment, origin: Origin) -> Self {
        self.origin.get_or_insert(origin);
        self.path.insert(0, segment);
        self
    }

    pub(crate) fn key(&self) -> KeyPath {
        KeyPath(self.path.clone())
    }
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TypeError {}

impl de::Error for TypeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", kind_of(&unexpected)))
    }

    fn invalid_value(_unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("out of range: expected {expected}"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let mut error = Self::new(unknown("key", field, known));
        error.path.push(Segment::Key(field.to_owned()));
        error
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(unknown("value", variant, known))
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = Self::new("this key is required and missing".to_owned());
        error.path.push(Segment::Key(field.to_owned()));
        error
    }
}

fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied()).map_or_else(
        || format!("unknown {what}; known here: {}", known.join(", ")),
        |meant| format!("unknown {what}; did you mean `{meant}`?"),
    )
}

const fn kind_of(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "a text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "nothing",
    }
}

/// Reads a form out of a tree.
pub(crate) fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, TypeError> {
    T::deserialize(NodeDeserializer(node))
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'a>(&'a Node);

impl NodeDeserializer<'_> {
    /// The environment knows only texts: what should be a number or a truth value is read out of it.
    fn parsed_env(&self) -> Option<Value> {
        let Origin::Env(_) = self.0.origin else { return None };
        let Value::Str(text) = &self.0.value else { return None };
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Some(Value::Int(number));
        }
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(Value::Bool(true)),
            "false" | "no" | "off" => Some(Value::Bool(false)),
            _ => None,
        }
    }

    fn scalar<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match self.parsed_env() {
            Some(Value::Int(number)) => visitor.visit_i64(number),
            Some(Value::Bool(truth)) => visitor.visit_bool(truth),
            _ => self.deserialize_any(visitor),
        }
    }
}

macro_rules! scalars {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
            self.scalar(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = TypeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Str(text) => visitor.visit_str(text),
            Value::Seq(items) => visitor.visit_seq(Items { items, at: 0 }),
            Value::Map(entries) => visitor.visit_map(Entries { entries, at: 0 }),
        }
    }

    scalars! { deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
    deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        if matches!(self.0.value, Value::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        match &self.0.value {
            Value::Str(text) => {
                let name: de::value::StrDeserializer<'_, TypeError> = text.as_str().into_deserializer();
                visitor.visit_enum(name)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        match &self.0.value {
            // An empty section, as in YAML `log:`.
            Value::Null => visitor.visit_map(Entries { entries: &[], at: 0 }),
            _ => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = TypeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TypeError> {
        let Some(item) = self.items.get(self.at) else { return Ok(None) };
        let index = self.at;
        self.at += 1;
        seed.deserialize(NodeDeserializer(item))
            .map(Some)
            .map_err(|error| error.within(Segment::Index(index), item.origin))
    }
}

struct Entries<'a> {
    entries: &'a [Entry],
    at: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = TypeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TypeError> {
        let Some(entry) = self.entries.get(self.at) else { return Ok(None) };
        let key: de::value::StrDeserializer<'_, TypeError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|mut error| {
            error.origin.get_or_insert(entry.origin);
            error
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TypeError> {
        let entry =
            self.entries.get(self.at).ok_or_else(|| TypeError::new("value without a key".to_owned()))?;
        self.at += 1;
        seed.deserialize(NodeDeserializer(&entry.node))
            .map_err(|error| error.within(Segment::Key(entry.key.clone()), entry.origin))
    }
}
