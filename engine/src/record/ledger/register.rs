//! Which number each listener, route and cluster has, over all generations.
//!
//! A number belongs to a name: a reload leaves it with whoever still has the name, so that counters
//! and histograms go on. What is new gets a free number, lowest first among those given back; a
//! number is given back ([`SeriesNames::keep`]) when nothing that runs can name it any more. The
//! number of series is therefore bounded by the most that existed at one time, however often the
//! configuration changes.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::authorize::{LimitId, PolicyId};
use crate::config::{Config, Listener, Route};
use crate::record::book::SeriesCounts;
use crate::record::outcome::ListenerId;
use crate::route::{ClusterId, Numbering, RouteId};

/// What a route is called: a name is unique within its listener only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteLabel {
    /// The listener it belongs to.
    pub listener: Arc<str>,
    /// Its name.
    pub route: Arc<str>,
}

/// What a policy or a rate limit is called: a name is unique within its level only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyLabel {
    /// The listener it belongs to.
    pub listener: Arc<str>,
    /// The level, as [`crate::config::AuthorizationLevel`] writes it.
    pub level: Arc<str>,
    /// Its name; `default` for what happens when no policy decides.
    pub policy: Arc<str>,
}

impl PolicyLabel {
    /// The labels of all policies of a configuration, by place in it.
    fn all(config: &Config) -> impl Iterator<Item = Self> {
        let levels = config.listeners.iter().flat_map(|listener| {
            let levels = listener.authorizations();
            levels.map(move |(level, authorization)| (listener, level, authorization))
        });
        levels.flat_map(|(listener, level, authorization)| {
            let level: Arc<str> = level.to_string().into();
            authorization.names().map(move |policy| Self {
                listener: Arc::clone(&listener.name),
                level: Arc::clone(&level),
                policy,
            })
        })
    }
}

impl PolicyLabel {
    /// The labels of all rate limits of a configuration, by place in it.
    fn limits(config: &Config) -> impl Iterator<Item = Self> {
        config.listeners.iter().flat_map(|listener| {
            listener.all_rate_limits().map(|(level, limit)| Self {
                listener: Arc::clone(&listener.name),
                level: level.to_string().into(),
                policy: Arc::clone(&limit.name),
            })
        })
    }
}

/// The labels of all series, by id: of what is configured, and of what was and still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesNames {
    /// Names of listeners, by `ListenerId`.
    pub listeners: Register<Arc<str>>,
    /// Names of routes, by `RouteId`.
    pub routes: Register<RouteLabel>,
    /// Names of clusters, by `ClusterId`.
    pub clusters: Register<Arc<str>>,
    /// Names of policies, by `PolicyId`.
    pub policies: Register<PolicyLabel>,
    /// Names of rate limits, by `LimitId`.
    pub limits: Register<PolicyLabel>,
}

/// Numbers that were given back, of each kind in the order of [`SeriesNames`].
pub type FreedIds = [Vec<u32>; 5];

/// The numbers of one configuration, each by place in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of its listeners.
    pub listeners: Vec<ListenerId>,
    /// Of its routes and clusters.
    pub rules: Numbering,
    /// Of its policies.
    pub policies: Vec<PolicyId>,
    /// Of its rate limits.
    pub limits: Vec<LimitId>,
}

/// Names with their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register<N: Eq + Hash> {
    names: Vec<Option<N>>,
    numbers: HashMap<N, u32>,
    /// Numbers below the highest that nobody has.
    free: Vec<u32>,
}

impl SeriesNames {
    /// The labels for these series, numbered in this order. A name that occurs again is the same
    /// series.
    pub fn new(listeners: Vec<Arc<str>>, routes: Vec<RouteLabel>, clusters: Vec<Arc<str>>) -> Self {
        let mut names = Self::default();
        for name in listeners {
            names.listeners.number(&name);
        }
        for label in routes {
            names.routes.number(&label);
        }
        for name in clusters {
            names.clusters.number(&name);
        }
        names
    }

    /// The labels of a first configuration: each number is the place in it.
    pub fn compile(config: &Config) -> Self {
        let mut names = Self::default();
        names.number(config);
        names
    }

    /// The numbers of everything in `config`: those it has, new ones for what is new.
    pub fn number(&mut self, config: &Config) -> Numbers {
        let listeners = config.listeners.iter();
        let listeners = listeners
            .map(|listener| ListenerId(self.listeners.number(&listener.name)))
            .collect();
        let routes = config.listeners.iter().flat_map(|listener| {
            let routes = listener.virtual_hosts.iter().flat_map(|host| &host.routes);
            routes.map(move |route| (listener, route))
        });
        let mut routes: Vec<(&Listener, &Route)> = routes.collect();
        routes.sort_by_key(|(_, route)| route.index);
        let routes = routes.into_iter().map(|(listener, route)| {
            let label = RouteLabel {
                listener: Arc::clone(&listener.name),
                route: Arc::clone(&route.name),
            };
            RouteId(self.routes.number(&label))
        });
        let routes = routes.collect();
        let clusters = config.clusters.iter();
        let clusters = clusters
            .map(|cluster| ClusterId(self.clusters.number(&cluster.name)))
            .collect();
        let policies = PolicyLabel::all(config);
        let policies = policies.map(|label| PolicyId(self.policies.number(&label)));
        let limits = PolicyLabel::limits(config);
        let limits = limits.map(|label| LimitId(self.limits.number(&label)));
        Numbers {
            listeners,
            rules: Numbering { routes, clusters },
            policies: policies.collect(),
            limits: limits.collect(),
        }
    }

    /// Gives back every number that none of `numbers` has. Gives the numbers given back, of
    /// listeners, routes, clusters, policies and limits.
    pub fn keep<'a>(&mut self, numbers: impl Iterator<Item = &'a Numbers> + Clone) -> FreedIds {
        let of_all = numbers.clone();
        let listeners = of_all.flat_map(|each| each.listeners.iter().map(|id| id.0));
        let of_all = numbers.clone();
        let routes = of_all.flat_map(|each| each.rules.routes.iter().map(|id| id.0));
        let of_all = numbers.clone();
        let clusters = of_all.flat_map(|each| each.rules.clusters.iter().map(|id| id.0));
        let of_all = numbers.clone();
        let policies = of_all.flat_map(|each| each.policies.iter().map(|id| id.0));
        let limits = numbers.flat_map(|each| each.limits.iter().map(|id| id.0));
        [
            self.listeners.keep(&listeners.collect()),
            self.routes.keep(&routes.collect()),
            self.clusters.keep(&clusters.collect()),
            self.policies.keep(&policies.collect()),
            self.limits.keep(&limits.collect()),
        ]
    }

    /// How many series of each kind there is room for.
    pub const fn counts(&self) -> SeriesCounts {
        SeriesCounts {
            listeners: self.listeners.names.len(),
            routes: self.routes.names.len(),
            clusters: self.clusters.names.len(),
            policies: self.policies.names.len(),
            limits: self.limits.names.len(),
        }
    }
}

impl<N: Clone + Eq + Hash> Register<N> {
    /// The number of `name`, a new one if it has none.
    pub fn number(&mut self, name: &N) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.names.push(None);
            u32::try_from(self.names.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.names.get_mut(number as usize) {
            *place = Some(name.clone());
        }
        self.numbers.insert(name.clone(), number);
        number
    }

    /// The number of `name`, if it has one.
    pub fn find(&self, name: &N) -> Option<usize> {
        Some(*self.numbers.get(name)? as usize)
    }

    /// The name that has `number`.
    pub fn name(&self, number: u32) -> Option<&N> {
        self.names.get(number as usize)?.as_ref()
    }

    /// All names with their numbers, in the order of these.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &N)> {
        let places = self.names.iter().enumerate();
        places.filter_map(|(number, name)| Some((number, name.as_ref()?)))
    }

    /// All names with what `series` holds for their numbers.
    pub fn of<'a, S>(&'a self, series: &'a [S]) -> impl Iterator<Item = (&'a N, &'a S)> {
        let named = self.names.iter().zip(series);
        named.filter_map(|(name, series)| Some((name.as_ref()?, series)))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// There is no name.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Gives back all numbers but `kept`; gives those.
    fn keep(&mut self, kept: &HashSet<u32>) -> Vec<u32> {
        let mut freed = Vec::new();
        for (number, place) in (0..).zip(&mut self.names) {
            if !kept.contains(&number)
                && let Some(name) = place.take()
            {
                self.numbers.remove(&name);
                freed.push(number);
            }
        }
        self.free.extend(&freed);
        // The lowest is taken first.
        self.free.sort_unstable_by(|one, other| other.cmp(one));
        freed
    }
}

impl<N: Eq + Hash> Default for Register<N> {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            numbers: HashMap::new(),
            free: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_a_number_waits_for_its_last_user() {
        let mut register = Register::default();
        let numbers: Vec<u32> = ["a", "b", "c"]
            .iter()
            .map(|it| register.number(it))
            .collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(register.number(&"b"), 1);
        assert_eq!(register.number(&"d"), 3, "nothing was given back");
        assert_eq!(register.keep(&HashSet::from([1, 3])), [0, 2]);
        assert_eq!(register.name(0), None);
        assert_eq!((register.number(&"e"), register.number(&"a")), (0, 2));
        assert_eq!(register.number(&"f"), 4);
        let known: Vec<_> = register.iter().collect();
        assert_eq!(
            known,
            [(0, &"e"), (1, &"b"), (2, &"a"), (3, &"d"), (4, &"f")]
        );
    }

    #[test]
    fn a_thousand_changes_of_all_names_need_no_more_numbers_than_two_at_a_time() {
        let mut register = Register::default();
        let mut before = HashSet::new();
        for round in 0..1_000 {
            let now: HashSet<u32> = (0..10)
                .map(|place| register.number(&(round, place)))
                .collect();
            register.keep(&now);
            assert!(now.is_disjoint(&before), "taken while it was in use");
            before = now;
        }
        assert!(register.names.len() <= 20, "{}", register.names.len());
    }

    #[test]
    fn routes_are_numbered_by_listener_and_name() {
        let label = |listener: &str| RouteLabel {
            listener: listener.into(),
            route: "all".into(),
        };
        let names = SeriesNames::new(vec![], vec![label("a"), label("b"), label("a")], vec![]);
        assert_eq!(names.routes.len(), 2);
    }
}
