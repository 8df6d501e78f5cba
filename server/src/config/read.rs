//! TOML and YAML text into the located tree. Nothing here knows what the keys mean.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Entry, Node, Origin, Position, Value};

/// The two languages a config file may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigFormat {
    /// TOML 1.0.
    Toml,
    /// YAML 1.2.
    Yaml,
}

/// A text that is not of its language.
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

pub(crate) fn parse(text: &str, format: ConfigFormat) -> Result<Node, SyntaxError> {
    match format {
        ConfigFormat::Toml => parse_toml(text),
        ConfigFormat::Yaml => parse_yaml(text),
    }
}

fn parse_toml(text: &str) -> Result<Node, SyntaxError> {
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        at: error.span().map_or_else(Position::default, |span| position(text, span.start)),
        message: error.message().to_owned(),
    })?;
    Ok(Node { origin: Origin::default(), value: toml_table(text, table.get_ref()) })
}

fn toml_table(text: &str, table: &DeTable<'_>) -> Value {
    let entry =
        |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| Entry {
            key: key.get_ref().to_string(),
            origin: Origin::File(position(text, key.span().start)),
            node: toml_node(text, value),
        };
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    // The parser sorts by name; errors should come in the order of the file.
    entries.sort_by_key(|entry| match entry.origin {
        Origin::File(position) => position,
        Origin::Env(_) => Position::default(),
    });
    Value::Map(entries)
}

fn toml_node(text: &str, value: &toml::Spanned<DeValue<'_>>) -> Node {
    let origin = Origin::File(position(text, value.span().start));
    let value = match value.get_ref() {
        DeValue::String(string) => Value::Str(string.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_too_big| Value::Str(integer.as_str().to_owned()), Value::Int),
        DeValue::Float(float) => float.as_str().parse().map_or_else(
            |_odd: std::num::ParseFloatError| Value::Str(float.as_str().to_owned()),
            Value::Float,
        ),
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(datetime) => Value::Str(datetime.to_string()),
        DeValue::Array(items) => Value::Seq(items.iter().map(|item| toml_node(text, item)).collect()),
        DeValue::Table(table) => toml_table(text, table),
    };
    Node { origin, value }
}

fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

fn parse_yaml(text: &str) -> Result<Node, SyntaxError> {
    if text.trim().is_empty() {
        return Ok(Node::default());
    }
    serde_saphyr::from_str::<Spanned<YamlValue>>(text)
        .map(|root| Node { origin: Origin::default(), value: root.value.0 })
        .map_err(|error| SyntaxError {
            at: error.location().map_or_else(Position::default, |at| saphyr_position(&at)),
            message: first_line(&error.without_snippet().to_string()),
        })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn saphyr_position(at: &serde_saphyr::Location) -> Position {
    Position {
        line: u32::try_from(at.line()).unwrap_or(u32::MAX),
        column: u32::try_from(at.column()).unwrap_or(u32::MAX),
    }
}

/// A YAML value of any shape whose parts are located.
struct YamlValue(Value);

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor).map(Self)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(i64::try_from(v).map_or_else(|_too_big| Value::Str(v.to_string()), Value::Int))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Str(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::Str(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<YamlValue>>()? {
            items.push(yaml_node(item));
        }
        Ok(Value::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if entries.iter().any(|entry| entry.key == key.value) {
                return Err(A::Error::custom(format_args!("the key `{}` is given twice", key.value)));
            }
            let origin = Origin::File(saphyr_position(&key.referenced));
            let node = yaml_node(map.next_value::<Spanned<YamlValue>>()?);
            entries.push(Entry { key: key.value, origin, node });
        }
        Ok(Value::Map(entries))
    }
}

fn yaml_node(spanned: Spanned<YamlValue>) -> Node {
    Node { origin: Origin::File(saphyr_position(&spanned.referenced)), value: spanned.value.0 }
}

#[cfg(test)]
mod tests {
    use super::{super::node::KeyPath, *};

    #[test]
    fn both_languages_give_the_same_tree_with_positions() {
        let toml = "# a comment\n[server]\ndomain = \"x.test\"\n\n[[endpoints]]\nlisten = 5\n";
        let yaml = "# a comment\nserver:\n  domain: x.test\n\nendpoints:\n  - listen: 5\n";
        for (text, format, line) in [(toml, ConfigFormat::Toml, 6), (yaml, ConfigFormat::Yaml, 6)] {
            let root = parse(text, format).unwrap_or_else(|error| panic!("{format:?}: {}", error.message));
            let domain = root.get(&KeyPath::parse("server.domain")).unwrap();
            assert!(matches!(&domain.value, Value::Str(text) if text == "x.test"));
            let Origin::File(at) = root.locate(&KeyPath::parse("endpoints[0].listen")) else { panic!() };
            assert_eq!(at.line, line, "{format:?}");
            assert!(matches!(root.get(&KeyPath::parse("endpoints[0].listen")).unwrap().value, Value::Int(5)));
        }
    }

    #[test]
    fn broken_text_has_a_position() {
        let error = parse("[server]\ndomain = \n", ConfigFormat::Toml).err().unwrap();
        assert_eq!(error.at.line, 2);
        let error = parse("server:\n  domain: [a\n", ConfigFormat::Yaml).err().unwrap();
        assert!(error.at.line >= 2, "{:?}", error.at);
        let error = parse("a: 1\na: 2\n", ConfigFormat::Yaml).err().unwrap();
        assert_eq!(error.at.line, 2, "{}", error.message);
    }
}
