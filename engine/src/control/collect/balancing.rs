//! What the balancers of all shards tell to the metrics and to the event log: endpoints that are
//! ejected, and clusters of which too few endpoints are fit, so that all are used (panic).
//!
//! A panic is told once when it begins and once when it is over, however many requests it takes.
//! One that is over before anybody looked is seen by its requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Collector;
use crate::balance::ClusterId;
use crate::control::log::Log;
use crate::record::expose::prometheus::write_metric;
use crate::record::names::{self, Metric};

/// A figure of a cluster.
type Figure = fn(&Standing) -> u64;

/// What is wrong with one cluster, over all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    /// Picks made from all endpoints because too few were fit.
    panics: u64,
    /// Shards that pick so now.
    panicking_shards: u32,
    /// Ejected endpoints, of the shard that has ejected most.
    ejected: u32,
}

/// Tells panics to the event log.
#[derive(Debug, Default)]
pub struct PanicTeller {
    /// By number: the picks of a panic that are told, and whether it was on.
    told: BTreeMap<ClusterId, (u64, bool)>,
}

impl Collector {
    /// Appends the metrics of balancing, by cluster.
    pub fn write_balancing(&self, out: &mut String) {
        let figures: [(Metric, Figure); 3] = [
            (names::CLUSTER_EJECTED, |it| u64::from(it.ejected)),
            (names::CLUSTER_PANICKING, |it| {
                u64::from(it.panicking_shards)
            }),
            (names::CLUSTER_PANIC_REQUESTS, |it| it.panics),
        ];
        let (standings, ledger) = (self.standings(), self.ledger());
        let clusters = || ledger.names().clusters.iter();
        let labels: Vec<_> = clusters().map(|(_, name)| [("cluster", &**name)]).collect();
        for (metric, figure) in figures {
            let values = clusters().map(|(number, _)| {
                let id = u32::try_from(number).ok().map(ClusterId);
                id.and_then(|id| standings.get(&id)).map_or(0, figure)
            });
            let series = labels.iter().zip(values);
            write_metric(
                out,
                metric,
                series.map(|(labels, value)| (&labels[..], value)),
            );
        }
    }

    /// Of the clusters with which something is or was wrong.
    fn standings(&self) -> BTreeMap<ClusterId, Standing> {
        let mut sums: BTreeMap<ClusterId, Standing> = BTreeMap::new();
        for strain in self.strains.borrow().iter().flatten() {
            let sum = sums.entry(strain.id).or_default();
            sum.panics = sum.panics.saturating_add(strain.panics);
            sum.panicking_shards = sum
                .panicking_shards
                .saturating_add(u32::from(strain.is_panicking));
            sum.ejected = sum.ejected.max(strain.ejected);
        }
        sums
    }

    fn cluster_name(&self, id: ClusterId) -> Option<Arc<str>> {
        self.ledger().names().clusters.name(id.0).cloned()
    }
}

impl PanicTeller {
    /// Tells what is new since the last time.
    pub fn tell(&mut self, collector: &Collector, log: Log) {
        for (id, is_on) in self.news(&collector.standings()) {
            let Some(name) = collector.cluster_name(id) else {
                continue;
            };
            if is_on {
                log.warn(
                    "Too few endpoints of a cluster are fit to serve: all of them are used.",
                    &[("cluster", &name)],
                );
            } else {
                log.note(
                    "Enough endpoints of a cluster are fit to serve again.",
                    &[("cluster", &name)],
                );
            }
        }
    }

    /// The clusters whose panic has begun, or is over.
    fn news(&mut self, standings: &BTreeMap<ClusterId, Standing>) -> Vec<(ClusterId, bool)> {
        let is_known = |id: &ClusterId| standings.contains_key(id);
        let gone = self
            .told
            .iter()
            .filter(|(id, told)| told.1 && !is_known(id));
        let mut news: Vec<_> = gone.map(|(id, _)| (*id, false)).collect();
        self.told.retain(|id, _| is_known(id));
        for (id, standing) in standings {
            let (panics, was_on) = self.told.get(id).copied().unwrap_or_default();
            let is_on = standing.panicking_shards > 0;
            if (is_on || standing.panics > panics) && !was_on {
                news.push((*id, true));
            }
            if !is_on && (was_on || standing.panics > panics) {
                news.push((*id, false));
            }
            self.told.insert(*id, (standing.panics, is_on));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_when_it_begins_and_when_it_ends_and_not_in_between() {
        let mut teller = PanicTeller::default();
        let mut news = |panics, panicking_shards| {
            let standing = Standing {
                panics,
                panicking_shards,
                ejected: 0,
            };
            let news = teller.news(&BTreeMap::from([(ClusterId(3), standing)]));
            news.into_iter().map(|(_, is_on)| is_on).collect::<Vec<_>>()
        };
        assert_eq!(news(0, 0), [false; 0]);
        assert_eq!(news(0, 1), [true]);
        assert_eq!(news(500, 2), [false; 0]);
        assert_eq!(news(900, 1), [false; 0]);
        assert_eq!(news(950, 0), [false]);
        assert_eq!(news(950, 0), [false; 0]);
        // One that nobody saw.
        assert_eq!(news(951, 0), [true, false]);
    }
}
