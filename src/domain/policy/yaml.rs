//! YAML text into a tree in which every value knows its line and column.
//!
//! Knows YAML and how much of it is too much. Must never know what a policy may say.

use crate::domain::markdown::{clip, code};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Options, Spanned};
use std::fmt;

/// Bytes that a policy file may have.
pub(super) const FILE_BYTES_MAX: usize = 256 * 1024;
/// Values that a policy file may have, those that aliases repeat counted each time.
const NODES_MAX: usize = 20_000;
/// How deep values may be nested; a policy needs seven.
const DEPTH_MAX: usize = 16;
/// Aliases that may be used.
const ALIASES_MAX: usize = 200;

/// A place in the file, both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub line: u32,
    pub column: u32,
}

impl At {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

impl From<Location> for At {
    fn from(location: Location) -> Self {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// A value where it stands. For an alias that is where the alias stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub at: At,
    pub value: Value,
}

/// What YAML makes of a value by itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key twice.
    Map(Vec<(Key, Node)>),
}

/// A key where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub at: At,
    pub name: String,
}

/// Reads the text of a file.
///
/// Fails with what is wrong, a sentence, and where. Work and memory are bounded whatever the text: it may have 256 KiB, and
/// not many values, levels or aliases.
pub(super) fn read(text: &str) -> Result<Node, (At, String)> {
    if text.len() > FILE_BYTES_MAX {
        let said = format!("The file has {} bytes; at most {FILE_BYTES_MAX} are read.", text.len());
        return Err((At::START, said));
    }
    serde_saphyr::from_str_with_options::<Option<Spanned<Value>>>(text, options())
        .map(|root| root.map_or(Node { at: At::START, value: Value::Null }, Node::from))
        .map_err(|error| told(&error))
}

fn options() -> Options {
    let limits = serde_saphyr::budget! {
        max_events: 3 * NODES_MAX,
        max_nodes: NODES_MAX,
        max_depth: DEPTH_MAX,
        flow_nesting_limit: DEPTH_MAX,
        max_aliases: ALIASES_MAX,
        max_anchors: ALIASES_MAX,
        max_recorded_anchor_events: NODES_MAX,
        max_recorded_anchor_bytes: FILE_BYTES_MAX,
        max_total_scalar_bytes: 2 * FILE_BYTES_MAX,
        max_documents: 2,
        max_inclusion_depth: 0,
    };
    serde_saphyr::options! {
        budget: limits,
        strict_booleans: true,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
            max_replay_stack_depth: DEPTH_MAX,
            max_alias_expansions_per_anchor: ALIASES_MAX,
        },
    }
}

fn told(error: &Error) -> (At, String) {
    let at = error.location().filter(|l| *l != Location::UNKNOWN).map_or(At::START, At::from);
    let error = error.without_snippet();
    let said = match error {
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "The file is too large, too deep or repeats too much by aliases to be a policy.".to_owned()
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("The key {} stands here a second time.", code(&clip(key, 60)))
        }
        Error::MultipleDocuments { .. } => "A second document begins here; a policy is one.".to_owned(),
        Error::MergeKeyNotAllowed { .. } => "Merge keys (`<<`) are not supported; aliases are.".to_owned(),
        Error::UnsupportedTag { tag, .. } => format!("The tag {} is not supported.", code(&clip(tag, 60))),
        Error::NonFiniteFloat { value, .. } => format!("{} is not a number here.", code(&clip(value, 60))),
        Error::UnknownAnchor { .. } => "No anchor with the name of this alias stands above it.".to_owned(),
        // The parser's own words, which may repeat some of the file.
        other => {
            format!("This is not YAML that can be read: {}.", code(&clip(&without_place(&other.to_string()), 200)))
        }
    };
    (at, said)
}

/// The first line, without the place that is told beside it.
fn without_place(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.rsplit_once(" at line ").map_or(line, |(said, _)| said).to_owned()
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { at: spanned.referenced.into(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }
    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Fraction(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Value>>()? {
            entries.push((Key { at: key.referenced.into(), name: key.value }, value.into()));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_key_knows_its_place() {
        let root = read("a: 1\nbé: [x, {c: 2.5}]\n").expect("good");
        let Value::Map(entries) = root.value else { panic!("{root:?}") };
        let (key, list) = &entries[1];
        assert_eq!((key.at, list.at), (At { line: 2, column: 1 }, At { line: 2, column: 5 }));
        let Value::List(items) = &list.value else { panic!("{list:?}") };
        let Value::Map(inner) = &items[1].value else { panic!("{items:?}") };
        assert_eq!(inner[0].0.at, At { line: 2, column: 10 });
        assert_eq!(inner[0].1.value, Value::Fraction(2.5));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let root = read("a: &x [p]\nb: *x\n").expect("good");
        let Value::Map(entries) = root.value else { panic!("{root:?}") };
        assert_eq!(entries[1].1.at, At { line: 2, column: 4 });
        assert_eq!(
            entries[1].1.value,
            Value::List(vec![Node { at: At { line: 2, column: 4 }, value: Value::Text("p".into()) }])
        );
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        let root = read("[yes, on, true, 'true', 5%, 0x10, ~, 30m, 1:30]").expect("good");
        let Value::List(items) = root.value else { panic!("{root:?}") };
        let values: Vec<_> = items.into_iter().map(|item| item.value).collect();
        let text = |t: &str| Value::Text(t.to_owned());
        assert_eq!(
            values,
            [
                text("yes"),
                text("on"),
                Value::Bool(true),
                text("true"),
                text("5%"),
                Value::Whole(16),
                Value::Null,
                text("30m"),
                text("1:30")
            ]
        );
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_place() {
        let texts = [
            "a: [1, 2",
            "a: 1\na: 2",
            "a: b: c",
            "\tx: 1",
            "a: *nowhere",
            "a: !!python/object x",
            "a: 1\n---\nb: 2",
            "a: {<<: {b: 1}}",
            "a: \"\\q\"",
            "a: .nan",
        ];
        let told: Vec<String> = texts
            .iter()
            .map(|text| match read(text) {
                Ok(root) => format!("{text:?} is {root:?}"),
                Err((at, said)) => format!("{text:?}\n  {}:{} {said}", at.line, at.column),
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        "a: [1, 2"
          1:4 This is not YAML that can be read: `unclosed bracket '['`.
        "a: 1\na: 2"
          2:1 The key `a` stands here a second time.
        "a: b: c"
          1:5 This is not YAML that can be read: `mapping values are not allowed in this context`.
        "\tx: 1" is Node { at: At { line: 1, column: 2 }, value: Map([(Key { at: At { line: 1, column: 2 }, name: "x" }, Node { at: At { line: 1, column: 5 }, value: Whole(1) })]) }
        "a: *nowhere"
          1:4 No anchor with the name of this alias stands above it.
        "a: !!python/object x"
          1:20 The tag `!!python/object` is not supported.
        "a: 1\n---\nb: 2"
          3:1 A second document begins here; a policy is one.
        "a: {<<: {b: 1}}"
          1:5 Merge keys (`<<`) are not supported; aliases are.
        "a: \"\\q\""
          1:4 This is not YAML that can be read: `while parsing a quoted scalar, found unknown escape character`.
        "a: .nan"
          1:4 `.nan` is not a number here.
        "#);
    }

    #[test]
    fn a_bomb_is_refused_quickly() {
        let laughs = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, i| {
            format!("{text}a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","))
        });
        let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
        let block = (0..5_000).map(|i| format!("{}a:\n", " ".repeat(i.min(40)))).collect::<String>();
        let steps = (0..200).map(|i| format!("{}- \n", "- ".repeat(i))).collect::<String>();
        let wide = format!("a: [{}]", "x,".repeat(60_000));
        let keys = (0..12_000).map(|i| format!("k{i}: 1\n")).collect::<String>();
        let long = "a: ".to_owned() + &"x".repeat(FILE_BYTES_MAX);
        let aliases = format!("a: &a x\nb: [{}]", "*a,".repeat(1_000));
        for bomb in [&laughs, &deep, &block, &steps, &wide, &keys, &long, &aliases] {
            assert!(read(bomb).is_err(), "{}", &bomb[..40]);
        }
    }
}
