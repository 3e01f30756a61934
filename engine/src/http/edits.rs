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
    pub(crate) set: Vec<Edit>,
    pub(crate) add: Vec<Edit>,
}

impl FieldEdits {
    /// No edits.
    pub const fn new() -> Self {
        Self {
            remove: Vec::new(),
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

    /// Does applying it change nothing?
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Are received lines of this name taken out?
    pub(crate) fn replaces(&self, name: FieldName, name_bytes: &[u8]) -> bool {
        let names = |edit: &Edit| edit.names(name, name_bytes);
        self.remove.iter().any(names) || self.set.iter().any(names)
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
