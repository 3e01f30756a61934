//! What discovery counts, as metrics.
//!
//! Series are bounded by the configuration: one for each source that a cluster names, and closed
//! sets of words.

use super::Discovery;
use super::api::Api;
use super::registry::Registry;
use crate::io::clock;
use crate::record::expose::prometheus::{Figure, write_figures};
use crate::record::names;

impl Discovery {
    /// Appends its metrics in the text format of Prometheus.
    pub fn write_metrics(&self, out: &mut String) {
        let (rows, updates) = self.directory.totals(clock::now());
        let of = |figure: &dyn Fn(&super::directory::SourceRow) -> Option<u64>| {
            let rows = rows.iter();
            rows.filter_map(|row| Some((row.source.as_str(), figure(row)?)))
                .collect()
        };
        let by_source = |metric, samples| Figure {
            metric,
            label: Some("source"),
            samples,
        };
        // Whole seconds are exact enough for an age.
        let age = of(&|row| row.age_seconds.map(|age| age as u64));
        let mut figures = vec![
            by_source(
                names::DISCOVERY_ENDPOINTS,
                of(&|row| Some(row.endpoints as u64)),
            ),
            by_source(names::DISCOVERY_AGE, age),
            by_source(names::DISCOVERY_FAILURES, of(&|row| Some(row.failures))),
        ];
        if !rows.is_empty() {
            figures.push(Figure {
                metric: names::DISCOVERY_UPDATES,
                label: None,
                samples: vec![("", updates)],
            });
        }
        if let Some(api) = &self.api {
            figures.extend(registry(api));
        }
        #[cfg(feature = "etcd")]
        if let Some(etcd) = &self.etcd {
            figures.extend(etcd.figures());
        }
        write_figures(out, &figures);
    }
}

fn registry(api: &Api) -> [Figure<'static>; 5] {
    let registrar = api.registrar();
    let (events, refused) = (registrar.events(), api.refusals());
    let one = |metric, count| Figure {
        metric,
        label: None,
        samples: vec![("", count)],
    };
    [
        one(
            names::REGISTRY_SERVICES,
            registrar.read(Registry::service_count) as u64,
        ),
        one(
            names::REGISTRY_INSTANCES,
            registrar.read(Registry::instance_count) as u64,
        ),
        one(names::REGISTRY_UNWRITTEN, events.unwritten),
        Figure {
            metric: names::REGISTRY_CHANGES,
            label: Some("change"),
            samples: vec![
                ("registered", events.registered),
                ("renewed", events.renewed),
                ("drained", events.drained),
                ("deregistered", events.deregistered),
                ("expired", events.expired),
            ],
        },
        Figure {
            metric: names::REGISTRY_REFUSED,
            label: Some("reason"),
            samples: vec![
                ("unauthorised", refused.unauthorised),
                ("rate", refused.rate),
                ("invalid", refused.invalid),
                ("full", refused.full),
            ],
        },
    ]
}
