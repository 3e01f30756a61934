//! Field edits: what a route or listener sets, adds and removes.
//!
//! Built once from the configuration, applied by `h1::encode` without allocation. Names and
//! values are checked when they are put in, so that no configuration can break the framing or
//! split a message: framing fields, `Host` and hop-by-hop fields are refused (hosts are rewritten
//! by the route's rewrite).
//!
//! Several edits apply one after the other; within one, removals come first, then sets, then
//! additions.

use super::field::{Class, FieldName};
use super::h1::scan;
use super::patterns::{FieldPatterns, begins_with_any};

/// Why an edit is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The name is not a token, RFC 9110 §5.6.2.
    Name,
    /// The value holds a control character, or whitespace at an end.
    Value,
    /// The proxy writes this field itself: framing, `Host`, hop-by-hop.
    Reserved,
}

/// One name with its value; the value is empty for a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) name: FieldName,
    pub(crate) name_bytes: Box<[u8]>,
    pub(crate) value: Box<[u8]>,
}

impl Edit {
    /// Is this an edit of the field with that name?
    pub(crate) fn names(&self, name: FieldName, name_bytes: &[u8]) -> bool {
        self.name == name && self.name_bytes.eq_ignore_ascii_case(name_bytes)
    }
}

/// Several edits that apply one after the other, without those that change nothing: each costs a
/// look at every field of a message.
#[derive(Clone, Copy, Debug)]
pub struct EditList<'a, const N: usize> {
    edits: [&'a FieldEdits; N],
    len: usize,
}

impl<'a, const N: usize> EditList<'a, N> {
    /// These, in this order.
    pub fn new(all: [&'a FieldEdits; N]) -> Self {
        let mut edits = all;
        let changing = all.into_iter().filter(|edits| !edits.is_empty());
        let len = edits
            .iter_mut()
            .zip(changing)
            .fold(0, |len: usize, (place, edits)| {
                *place = edits;
                len.saturating_add(1)
            });
        Self { edits, len }
    }

    /// Those that change something.
    pub fn as_slice(&self) -> &[&'a FieldEdits] {
        self.edits.get(..self.len).unwrap_or_default()
    }
}

/// Fields to set, add and remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits {
    pub(crate) remove: Vec<Edit>,
    /// What names begin with that are removed.
    remove_prefixes: Vec<Box<[u8]>>,
    pub(crate) set: Vec<Edit>,
    pub(crate) add: Vec<Edit>,
}

impl FieldEdits {
    /// No edits.
    pub const fn new() -> Self {
        Self {
            remove: Vec::new(),
            remove_prefixes: Vec::new(),
            set: Vec::new(),
            add: Vec::new(),
        }
    }

    /// Replaces all lines of this name by one with this value; the last of several counts.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), EditError> {
        let edit = checked(name, value)?;
        self.set
            .retain(|earlier| !earlier.names(edit.name, &edit.name_bytes));
        self.set.push(edit);
        Ok(())
    }

    /// Appends a line.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), EditError> {
        self.add.push(checked(name, value)?);
        Ok(())
    }

    /// Removes all lines of this name.
    pub fn remove(&mut self, name: &[u8]) -> Result<(), EditError> {
        self.remove.push(checked(name, b"")?);
        Ok(())
    }

    /// Removes all lines of all names that `patterns` has.
    pub fn remove_all(&mut self, patterns: &FieldPatterns) -> Result<(), EditError> {
        for name in patterns.names() {
            self.remove(name)?;
        }
        for prefix in patterns.prefixes() {
            if !scan::is_token(prefix) {
                return Err(EditError::Name);
            }
            self.remove_prefixes.push(prefix.into());
        }
        Ok(())
    }

    /// Replaces all lines of this name, those of the message and those of earlier edits, by this
    /// line and others that are put in by this.
    pub fn replace(&mut self, name: &[u8], value: &[u8]) -> Result<(), EditError> {
        let edit = checked(name, value)?;
        if !self.replaces(edit.name, name) {
            self.remove.push(checked(name, b"")?);
        }
        self.add.push(edit);
        Ok(())
    }

    /// Does applying it change nothing?
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty()
            && self.remove_prefixes.is_empty()
            && self.set.is_empty()
            && self.add.is_empty()
    }

    /// Are received lines of this name taken out?
    pub(crate) fn replaces(&self, name: FieldName, name_bytes: &[u8]) -> bool {
        let names = |edit: &Edit| edit.names(name, name_bytes);
        self.remove.iter().any(names)
            || self.set.iter().any(names)
            || begins_with_any(name_bytes, &self.remove_prefixes)
    }
}

fn checked(name: &[u8], value: &[u8]) -> Result<Edit, EditError> {
    if !scan::is_token(name) {
        return Err(EditError::Name);
    }
    if !scan::is_field_value(value) || scan::trim(value).len() != value.len() {
        return Err(EditError::Value);
    }
    let recognised = FieldName::recognise(name);
    match recognised.class() {
        Class::HopByHop | Class::Rewritten => Err(EditError::Reserved),
        Class::EndToEnd | Class::Nominable => Ok(Edit {
            name: recognised,
            name_bytes: name.into(),
            value: value.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_what_changes_something_in_order() {
        let (mut first, nothing, mut last) =
            (FieldEdits::new(), FieldEdits::new(), FieldEdits::new());
        first.set(b"X-A", b"1").expect("valid");
        last.remove(b"X-A").expect("valid");
        let list = EditList::new([&nothing, &first, &nothing, &last]);
        assert_eq!(list.as_slice(), [&first, &last]);
        assert!(EditList::new([&nothing]).as_slice().is_empty());
        assert!(EditList::new([]).as_slice().is_empty());
    }

    #[test]
    fn rfc9110_5_5_edits_cannot_split_a_message() {
        let mut edits = FieldEdits::new();
        assert_eq!(edits.set(b"X A", b"v"), Err(EditError::Name));
        assert_eq!(edits.set(b"", b"v"), Err(EditError::Name));
        assert_eq!(edits.set(b"X-A:", b"v"), Err(EditError::Name));
        assert_eq!(edits.add(b"X-A", b"v\r\nX-B: w"), Err(EditError::Value));
        assert_eq!(edits.add(b"X-A", b"v\0"), Err(EditError::Value));
        assert_eq!(edits.add(b"X-A", b" v"), Err(EditError::Value));
        assert!(edits.is_empty());
    }

    #[test]
    fn a_replaced_field_has_the_lines_of_the_replacement_alone() {
        let mut edits = FieldEdits::new();
        edits.replace(b"X-A", b"1").unwrap();
        edits.replace(b"x-a", b"2").unwrap();
        assert_eq!((edits.remove.len(), edits.add.len()), (1, 2));
        assert!(edits.replaces(FieldName::Other, b"x-A"));
        assert_eq!(edits.replace(b"Host", b"h"), Err(EditError::Reserved));
    }

    #[test]
    fn a_family_of_names_is_removed_whole() {
        let mut patterns = FieldPatterns::default();
        patterns.add_name(b"x-user");
        patterns.add_prefix(b"x-auth-");
        let mut edits = FieldEdits::new();
        edits.remove_all(&patterns).unwrap();
        for name in [&b"X-User"[..], b"x-auth-", b"X-Auth-Groups"] {
            assert!(edits.replaces(FieldName::Other, name));
        }
        assert!(!edits.replaces(FieldName::Other, b"x-users"));
        assert!(!edits.replaces(FieldName::Other, b"x-auth"));
    }

    #[test]
    fn rfc9112_6_edits_cannot_touch_framing_or_hop_by_hop_fields() {
        let mut edits = FieldEdits::new();
        for name in [
            "content-length",
            "Transfer-Encoding",
            "HOST",
            "Connection",
            "TE",
            "upgrade",
        ] {
            assert_eq!(
                edits.set(name.as_bytes(), b"1"),
                Err(EditError::Reserved),
                "{name}"
            );
            assert_eq!(
                edits.remove(name.as_bytes()),
                Err(EditError::Reserved),
                "{name}"
            );
        }
        edits.set(b"X-Forwarded-For", b"unknown").unwrap();
        assert!(edits.replaces(FieldName::XForwardedFor, b"x-forwarded-for"));
        assert!(!edits.replaces(FieldName::Other, b"x-other"));
        edits.set(b"x-forwarded-for", b"hidden").unwrap();
        assert_eq!(edits.set.len(), 1);
    }
}
