//! What a route asks of its callers, compiled.
//!
//! In: the model's requirement. Out: the methods to try, by number, and what has to be taken out
//! of a request that passes: secrets that are not for the upstream, and fields that only the proxy
//! may set. Nothing is allocated per request.

use crate::config::model::{self, MethodRule};
use crate::http::FieldEdits;
use crate::limits;

/// The place of a method among all of a configuration; 0 is the TLS certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodId(pub u32);

/// Which methods must succeed for a request to be served.
#[derive(Debug, Default)]
pub struct Requirement {
    methods: Box<[MethodId]>,
    is_any_of: bool,
    is_optional: bool,
    /// Takes out what callers may not say themselves and what is not for the upstream.
    removals: FieldEdits,
    /// Query parameters that are not for the upstream.
    query_removals: Box<[Box<[u8]>]>,
    reads_query: bool,
}

impl Requirement {
    /// What a route asks.
    #[must_use]
    pub fn compile(configured: &model::Authenticate) -> Self {
        let Some(rule) = &configured.rule else {
            return Self::default();
        };
        let (is_any_of, methods) = match rule {
            MethodRule::AnyOf(methods) => (true, methods),
            MethodRule::AllOf(methods) => (false, methods),
        };
        let mut requirement = Self {
            methods: methods
                .iter()
                .map(|method| MethodId(method.index))
                .collect(),
            is_any_of,
            is_optional: configured.optional,
            ..Self::default()
        };
        let mut query_removals: Vec<Box<[u8]>> = Vec::new();
        for method in methods {
            let marks = &method.marks;
            requirement.reads_query |= marks.reads_query;
            for name in &marks.removed_headers {
                requirement.remove(name);
            }
            let names = marks.removed_query.iter();
            query_removals.extend(names.map(|name| name.as_bytes().into()));
        }
        requirement.query_removals = query_removals.into();
        requirement
    }

    fn remove(&mut self, name: &str) {
        // The configuration lets no name in that could not be removed.
        let removed = self.removals.remove(name.as_bytes());
        debug_assert!(removed.is_ok(), "{name} cannot be removed");
    }

    pub(super) fn methods(&self) -> impl Iterator<Item = MethodId> + '_ {
        self.methods.iter().copied()
    }

    /// One method is enough. Otherwise all of them are asked for.
    pub(super) const fn is_any_of(&self) -> bool {
        self.is_any_of
    }

    /// A request without any credentials is served, too.
    pub(super) const fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// Nothing is asked for.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.methods.is_empty()
    }

    /// Fields that are taken out of the request before it is forwarded.
    #[must_use]
    pub const fn removals(&self) -> &FieldEdits {
        &self.removals
    }

    /// Query parameters that are taken out of the request before it is forwarded.
    #[must_use]
    pub const fn query_removals(&self) -> &[Box<[u8]>] {
        &self.query_removals
    }

    /// The query may hold a secret, which is no business of the access log.
    #[must_use]
    pub const fn reads_query(&self) -> bool {
        self.reads_query
    }
}

/// The values of `WWW-Authenticate` of one response.
#[derive(Clone, Copy, Debug, Default)]
pub struct Challenges<'a> {
    values: [&'a [u8]; limits::REQUIRED_METHODS_MAX],
    count: usize,
}

impl<'a> Challenges<'a> {
    /// Adds one, unless it is there already.
    pub(super) fn push(&mut self, value: &'a [u8]) {
        if self.as_slice().contains(&value) {
            return;
        }
        if let Some(place) = self.values.get_mut(self.count) {
            *place = value;
            self.count = self.count.saturating_add(1);
        }
    }

    /// The values.
    #[must_use]
    pub fn as_slice(&self) -> &[&'a [u8]] {
        self.values.get(..self.count).unwrap_or_default()
    }
}
