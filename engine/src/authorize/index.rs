//! From a request to the first policy that is for it, without trying them all.
//!
//! A tree: each node tells its policies apart by one [`Aspect`], the one that leaves the smallest
//! groups, and each group that is still large is told apart by another. Policies without a key for
//! the aspect are a group of their own, which is always looked into. What is left at the end is a
//! short list, in the order of the configuration, whose conditions are tried as a whole: the tree
//! may find too many, never too few.
//!
//! ```text
//!   by path ── /orders ── by principal ── orders-web  [3, 17]
//!          │                          └─ (no key)     [4]
//!          ├─ /billing ─ [5, 9]
//!          └─ (no key)   [0, 41]
//! ```
//!
//! Every node knows its first policy, so that what cannot come before the best found is left out.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::attributes::Attributes;
use super::condition::Aspect;
use super::key::{self, INDEXED, Key};
use super::policy::Policy;
use crate::limits;

/// Policies up to this many are tried one after the other.
const GROUP_MAX: usize = 4;

/// Some policies of a level.
#[derive(Debug)]
pub(super) struct Index {
    root: Node,
    /// The lengths of networks that occur.
    networks: Box<[(bool, u8)]>,
}

#[derive(Debug)]
enum Node {
    /// Places of policies, ascending.
    Group(Box<[u32]>),
    Split(Box<Split>),
}

#[derive(Debug)]
struct Split {
    /// The first policy anywhere below.
    first: u32,
    aspect: Aspect,
    groups: HashMap<Key, Node, BuildHasherDefault<KeyHasher>>,
    /// Policies that no key stands for.
    rest: Node,
}

/// A policy and its place in its level.
type Placed<'a> = (u32, &'a Policy);

impl Index {
    /// The index of these policies, which come in order.
    pub(super) fn new<'a>(policies: impl Iterator<Item = Placed<'a>>) -> Self {
        let policies: Vec<Placed<'_>> = policies.collect();
        let networks = policies
            .iter()
            .flat_map(|(_, policy)| &policy.conditions.sources);
        let networks = key::network_lengths(networks);
        let mut room = limits::POLICY_INDEX_ENTRIES_MAX;
        Self {
            root: Node::new(&policies, &INDEXED, &mut room),
            networks,
        }
    }

    /// The place of the first policy that is for the request.
    pub(super) fn first(&self, policies: &[Policy], attributes: &Attributes<'_>) -> Option<u32> {
        let mut search = Search {
            policies,
            attributes,
            networks: &self.networks,
            best: u32::MAX,
        };
        search.visit(&self.root);
        (search.best < u32::MAX).then_some(search.best)
    }
}

impl Node {
    /// A node for these policies, told apart by `aspects`. Each entry below it takes from `room`.
    fn new(policies: &[Placed<'_>], aspects: &[Aspect], room: &mut usize) -> Self {
        let best = aspects
            .iter()
            .map(|aspect| Grouping::by(*aspect, policies))
            .min_by_key(Grouping::cost);
        let split = best.filter(|grouping| {
            let is_worth_it = grouping.cost() < policies.len();
            policies.len() > GROUP_MAX && is_worth_it && grouping.entries <= *room
        });
        let Some(grouping) = split else {
            *room = room.saturating_sub(policies.len());
            return Self::Group(policies.iter().map(|(place, _)| *place).collect());
        };
        *room = room.saturating_sub(grouping.entries);
        let others: Vec<Aspect> = aspects
            .iter()
            .copied()
            .filter(|aspect| *aspect != grouping.aspect)
            .collect();
        let groups = grouping.groups.into_iter();
        let groups = groups.map(|(key, group)| (key, Self::new(&group, &others, room)));
        Self::Split(Box::new(Split {
            first: policies.first().map_or(u32::MAX, |(place, _)| *place),
            aspect: grouping.aspect,
            groups: groups.collect(),
            rest: Self::new(&grouping.rest, &others, room),
        }))
    }

    fn first(&self) -> u32 {
        match self {
            Self::Group(places) => places.first().copied().unwrap_or(u32::MAX),
            Self::Split(split) => split.first,
        }
    }
}

/// Policies told apart by one aspect.
struct Grouping<'a> {
    aspect: Aspect,
    groups: HashMap<Key, Vec<Placed<'a>>>,
    rest: Vec<Placed<'a>>,
    entries: usize,
}

impl<'a> Grouping<'a> {
    fn by(aspect: Aspect, policies: &[Placed<'a>]) -> Self {
        let mut grouping = Self {
            aspect,
            groups: HashMap::new(),
            rest: Vec::new(),
            entries: 0,
        };
        for (place, policy) in policies {
            let Some(keys) = key::of_policy(&policy.conditions, aspect) else {
                grouping.rest.push((*place, policy));
                continue;
            };
            for key in keys {
                let group = grouping.groups.entry(key).or_default();
                // Two elements of one policy may have the same key.
                if group.last().is_none_or(|(last, _)| last != place) {
                    group.push((*place, policy));
                    grouping.entries = grouping.entries.saturating_add(1);
                }
            }
        }
        grouping
    }

    /// How many policies a request may have to try: those without a key, and the largest group.
    fn cost(&self) -> usize {
        let largest = self.groups.values().map(Vec::len).max().unwrap_or(0);
        self.rest.len().saturating_add(largest)
    }
}

/// A search for the first policy.
struct Search<'a> {
    policies: &'a [Policy],
    attributes: &'a Attributes<'a>,
    networks: &'a [(bool, u8)],
    /// The place of the first one found.
    best: u32,
}

impl Search<'_> {
    /// Looks below `node`. Goes as deep as there are aspects.
    fn visit(&mut self, node: &Node) {
        if node.first() >= self.best {
            return;
        }
        let split = match node {
            Node::Group(places) => return self.try_each(places),
            Node::Split(split) => split,
        };
        let (attributes, networks) = (self.attributes, self.networks);
        key::of_request(attributes, split.aspect, networks, &mut |key| {
            if let Some(group) = split.groups.get(&key) {
                self.visit(group);
            }
        });
        self.visit(&split.rest);
    }

    fn try_each(&mut self, places: &[u32]) {
        for place in places.iter().take_while(|place| **place < self.best) {
            let policy = usize::try_from(*place)
                .ok()
                .and_then(|place| self.policies.get(place));
            if policy.is_some_and(|policy| policy.is_for(self.attributes)) {
                self.best = *place;
                return;
            }
        }
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
