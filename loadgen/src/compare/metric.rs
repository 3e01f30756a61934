//! The figures that entries are compared by.
//!
//! Each is one number per entry and round. Response times are *corrected*: counted from when a
//! request was due. Service times are not; a closed loop has only one kind, shown as response time.

use super::round::{Measured, Worth};
use crate::report::figures::Times;

/// A figure of one entry in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// CPU microseconds of the proxy's process tree per right answer.
    CpuUs,
    /// Right answers per second.
    RequestsPerSecond,
    /// Median of the response time.
    P50,
    /// 99th percentile of the response time.
    P99,
    /// 99.9th percentile of the response time.
    P999,
    /// Median of the service time.
    ServiceP50,
    /// 99th percentile of the service time.
    ServiceP99,
    /// 99.9th percentile of the service time.
    ServiceP999,
    /// Resident memory of the process tree at the end.
    Resident,
    /// The same less what it was when the load began, per connection that had not been there then.
    ResidentPerConnection,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds of CPU time.
    Micros,
    /// Per second.
    Rate,
    /// Nanoseconds.
    Nanos,
    /// Bytes.
    Bytes,
}

impl Metric {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 10] = [
        Self::CpuUs,
        Self::RequestsPerSecond,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::ServiceP50,
        Self::ServiceP99,
        Self::ServiceP999,
        Self::Resident,
        Self::ResidentPerConnection,
    ];

    /// Its name in JSON and in claims.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CpuUs => "cpu_us_per_request",
            Self::RequestsPerSecond => "requests_per_second",
            Self::P50 => "p50_ns",
            Self::P99 => "p99_ns",
            Self::P999 => "p99.9_ns",
            Self::ServiceP50 => "service_p50_ns",
            Self::ServiceP99 => "service_p99_ns",
            Self::ServiceP999 => "service_p99.9_ns",
            Self::Resident => "resident_bytes",
            Self::ResidentPerConnection => "resident_bytes_per_connection",
        }
    }

    /// Its title in the table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::CpuUs => "CPU us/req",
            Self::RequestsPerSecond => "requests/s",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::ServiceP50 => "p50 unc.",
            Self::ServiceP99 => "p99 unc.",
            Self::ServiceP999 => "p99.9 unc.",
            Self::Resident => "RSS",
            Self::ResidentPerConnection => "RSS/conn.",
        }
    }

    /// How it is written.
    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::CpuUs => Unit::Micros,
            Self::RequestsPerSecond => Unit::Rate,
            Self::Resident | Self::ResidentPerConnection => Unit::Bytes,
            Self::P50
            | Self::P99
            | Self::P999
            | Self::ServiceP50
            | Self::ServiceP99
            | Self::ServiceP999 => Unit::Nanos,
        }
    }

    /// Does a run of this worth count for it?
    pub(crate) const fn counts(self, worth: &Worth) -> bool {
        match self {
            Self::Resident | Self::ResidentPerConnection => {
                worth.discarded.is_none() || worth.only_disturbed
            }
            Self::CpuUs
            | Self::RequestsPerSecond
            | Self::P50
            | Self::P99
            | Self::P999
            | Self::ServiceP50
            | Self::ServiceP99
            | Self::ServiceP999 => worth.discarded.is_none(),
        }
    }

    /// Does it describe the target in a run of this worth, and not the generator?
    pub(crate) const fn stands(self, worth: &Worth) -> bool {
        match self {
            Self::CpuUs | Self::Resident | Self::ResidentPerConnection => true,
            Self::ServiceP50 | Self::ServiceP99 | Self::ServiceP999 => {
                !worth.generator_bound || worth.only_late
            }
            Self::RequestsPerSecond | Self::P50 | Self::P99 | Self::P999 => !worth.generator_bound,
        }
    }

    /// The metric called `name`.
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|metric| metric.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("`{name}` is not a metric; there are {known}")
        })
    }

    /// The figure of one run.
    pub(crate) fn of(self, run: &Measured, place: &Place) -> Option<f64> {
        let service = |percentile| {
            run.service_time
                .as_ref()
                .and_then(|times| times.at(percentile))
        };
        let response = |percentile| Times::at(&run.response_time, percentile);
        let watched = run.watched.as_ref();
        match self {
            Self::CpuUs => watched.and_then(|watched| watched.cpu_us_per_request),
            Self::RequestsPerSecond => Some(run.answers_per_second),
            Self::P50 => response("50"),
            Self::P99 => response("99"),
            Self::P999 => response("99.9"),
            Self::ServiceP50 => service("50"),
            Self::ServiceP99 => service("99"),
            Self::ServiceP999 => service("99.9"),
            // Nothing is resident of what has ended, as a generator has.
            Self::Resident | Self::ResidentPerConnection
                if watched.is_none_or(|watched| watched.consumption.resident_bytes == 0) =>
            {
                None
            }
            Self::Resident => watched.map(|watched| watched.consumption.resident_bytes as f64),
            Self::ResidentPerConnection => watched.map(|watched| {
                let grown = watched
                    .consumption
                    .resident_bytes
                    .saturating_sub(place.resident_at_start);
                grown as f64 / place.connections.max(1) as f64
            }),
        }
    }
}

/// What a figure needs to know besides the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Resident memory of the proxy when the load began.
    pub resident_at_start: u64,
    /// Connections of the load that it had not had before.
    pub connections: usize,
}

#[cfg(test)]
mod tests {
    use super::Metric;

    #[test]
    fn names_lead_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::find(metric.name()), Ok(metric));
        }
        assert!(Metric::find("p42").expect_err("unknown").contains("p99_ns"));
    }
}
