//! JSON as signers write it: a tree that is read strictly and is bounded.
//!
//! In: bytes of which nothing is known. Out: a [`Claim`], or nothing at all: a name that occurs
//! twice in one object, a number that is none, depth or size beyond the bounds, bytes behind the
//! end. Two readers who disagree on which of two values counts are how tokens get misread, so
//! such a token has no reading here (RFC 7515 §4, RFC 7519 §4).

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::config::model::ClaimPath;
use crate::limits;

/// A value of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(Box<str>),
    /// A list.
    List(Box<[Self]>),
    /// An object: names, each once, and their values.
    Table(Box<[(Box<str>, Self)]>),
}

impl Claim {
    /// Reads a JSON text that is an object.
    ///
    /// *Cost:* one pass; allocates what the tree needs, at most [`limits::CLAIMS_MAX`] nodes.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let budget = Cell::new(limits::CLAIMS_MAX);
        let node = Node {
            depth: limits::CLAIM_DEPTH_MAX,
            budget: &budget,
        };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let claim = node.deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        matches!(claim, Self::Table(_)).then_some(claim)
    }

    /// The value under `name`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Table(entries) = self else {
            return None;
        };
        let entry = entries.iter().find(|(known, _)| &**known == name)?;
        Some(&entry.1)
    }

    /// The value at a path of names, one object within the other.
    #[must_use]
    pub fn at(&self, path: &ClaimPath) -> Option<&Self> {
        path.names()
            .iter()
            .try_fold(self, |claim, name| claim.get(name))
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is this text, or a list that holds it.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => &**own == text,
            Self::List(elements) => elements.iter().any(|element| element.text() == Some(text)),
            Self::Null | Self::Flag(_) | Self::Number(_) | Self::Table(_) => false,
        }
    }

    /// The value in a header: a text, number or flag as it is, a list of such joined by commas.
    /// What else there is has no such form.
    pub(super) fn field_value(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.to_string()),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::List(elements) => {
                let plain = |element: &Self| match element {
                    Self::List(_) | Self::Table(_) | Self::Null => None,
                    // A comma within an element would make it two.
                    plain => plain.field_value().filter(|text| !text.contains(',')),
                };
                let values: Option<Vec<String>> = elements.iter().map(plain).collect();
                values.map(|values| values.join(","))
            }
            Self::Null | Self::Table(_) => None,
        }
    }
}

/// What is still allowed where a value is read.
#[derive(Clone, Copy)]
struct Node<'a> {
    depth: u32,
    budget: &'a Cell<u32>,
}

impl Node<'_> {
    fn within<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(too_large)?;
        Ok(Self { depth, ..self })
    }
}

fn too_large<E: Error>() -> E {
    E::custom("too deep or too large")
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Claim;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Claim, D::Error> {
        let left = self.budget.get().checked_sub(1).ok_or_else(too_large)?;
        self.budget.set(left);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Claim;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Claim, E> {
        Ok(Claim::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Claim, E> {
        Ok(Claim::Flag(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Claim, E> {
        Ok(Claim::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Claim, E> {
        Ok(Claim::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Claim, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("not a number"))?;
        Ok(Claim::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Claim, E> {
        Ok(Claim::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Claim, A::Error> {
        let within = self.within()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(within)? {
            list.push(element);
        }
        Ok(Claim::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Claim, A::Error> {
        let within = self.within()?;
        let mut table: Vec<(Box<str>, Claim)> = Vec::new();
        while let Some(name) = entries.next_key_seed(Name)? {
            // The budget bounds the table, and with it this comparison.
            if table.iter().any(|(earlier, _)| *earlier == name) {
                return Err(A::Error::custom("a name occurs twice"));
            }
            table.push((name, entries.next_value_seed(within)?));
        }
        Ok(Claim::Table(table.into()))
    }
}

/// A name in an object.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Box<str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Box<str>, D::Error> {
        Box::<str>::deserialize(reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Claim> {
        Claim::parse(text.as_bytes())
    }

    #[test]
    fn rfc7519_4_a_name_that_occurs_twice_has_no_reading() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"b":2,"a":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            "{\"a\":1,\"\\u0061\":2}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(parse(r#"{"a":1,"A":2,"x":{"a":1}}"#).is_some());
    }

    #[test]
    fn only_whole_objects_are_read() {
        for text in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "{}x",
            "{}{}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "// {}",
            "{\"a\":NaN}",
            "{\"a\":1e400}",
            "{\"a\":01}",
            "{\"a\":\"\\ud800\"}",
            "\u{feff}{}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(Claim::parse(b"{\"a\":\"\xff\"}"), None);
        assert!(parse(" {} \n").is_some());
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep =
            |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        let depth = limits::CLAIM_DEPTH_MAX as usize;
        assert!(parse(&deep(depth - 1)).is_some());
        assert_eq!(parse(&deep(depth)), None);
        let wide = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count].join(","));
        let most = limits::CLAIMS_MAX as usize;
        assert!(parse(&wide(most - 2)).is_some());
        assert_eq!(parse(&wide(most - 1)), None);
    }

    #[test]
    fn claims_are_found_by_name_and_compared_whole() {
        let claim = parse(r#"{"r":{"roles":["a","b"]},"https://x/y":"z","n":7}"#).unwrap();
        let path = |names: &[&str]| ClaimPath::new(names.iter().copied());
        let roles = claim.at(&path(&["r", "roles"])).unwrap();
        assert!(roles.is("a") && roles.is("b") && !roles.is("c") && !roles.is("a,b"));
        assert!(claim.at(&path(&["https://x/y"])).unwrap().is("z"));
        assert_eq!(claim.at(&path(&["r", "x"])), None);
        assert_eq!(claim.at(&path(&["n", "x"])), None);
        assert_eq!(roles.field_value().as_deref(), Some("a,b"));
        assert_eq!(claim.get("n").unwrap().field_value().as_deref(), Some("7"));
        assert_eq!(claim.get("r").unwrap().field_value(), None);
        let list = parse(r#"{"l":["a,b","c"]}"#).unwrap();
        assert_eq!(list.get("l").unwrap().field_value(), None);
    }
}
