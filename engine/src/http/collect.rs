//! The single pass over the fields of a head.
//!
//! Each field is recognised once, classified once, and what framing, target and hop-by-hop rules
//! need is noted on the way, so that none of them searches the fields again. Independent of the
//! protocol version: an HTTP/2 reader notes its fields the same way.

use super::field::{Class, FieldLine, FieldName};
use super::head::Span;

/// A field that should occur once: where it was first seen, and how often it was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Once {
    first: Span,
    count: u32,
}

impl Once {
    /// Notes one more occurrence.
    #[inline]
    pub(super) fn note(&mut self, value: Span) {
        if self.count == 0 {
            self.first = value;
        }
        self.count = self.count.saturating_add(1);
    }

    /// The first value; empty if there is none.
    pub(super) fn first(self) -> Span {
        self.first
    }

    /// How many field lines there are.
    pub(super) fn count(self) -> u32 {
        self.count
    }

    /// The value, if there is exactly one.
    pub(super) fn single(self) -> Option<Span> {
        (self.count == 1).then_some(self.first)
    }
}

/// What the rules need to know of a head's fields: those that come first in [`FieldName`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes([Once; FieldName::NOTED]);

impl Notes {
    /// What was noted of one of the first names.
    #[inline]
    pub(super) fn of(&self, name: FieldName) -> Once {
        debug_assert!((name as usize) < FieldName::NOTED);
        self.0.get(name as usize).copied().unwrap_or_default()
    }

    /// Notes a field; returns its line for the head's list.
    #[inline]
    pub(super) fn field(&mut self, name: FieldName, name_span: Span, value: Span) -> FieldLine {
        if let Some(noted) = self.0.get_mut(name as usize) {
            noted.note(value);
        }
        FieldLine {
            name,
            forward: matches!(name.class(), Class::EndToEnd | Class::Nominable),
            name_span,
            value,
        }
    }
}
