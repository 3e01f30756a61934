//! What the view shows: figures of a run while it goes. Pure: intervals in, figures out.
//!
//! The whole run is the sum of its intervals. For the strip of response times each interval is kept
//! as counts over logarithmic bands, as many intervals as the widest screen has columns.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sample::Samples;

/// Bands to a doubling of the time.
const BANDS_PER_OCTAVE: f64 = 4.0;
/// Intervals that are kept.
const COLUMNS_MAX: usize = 512;

/// One interval of the strip.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Answers by band, ascending; bands without any are left out.
    pub bands: Vec<(u16, u64)>,
    /// Answers per second.
    pub rate: f64,
}

/// The figures.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// What is asked.
    pub url: String,
    /// Pace and connections, in words.
    pub load: String,
    /// How long the measured time is to be.
    pub duration: Duration,
    /// How much of it is over; `None` during the warm-up.
    pub elapsed: Option<Duration>,
    /// Requests per second that were due in the last interval; `None` in a closed loop.
    pub wanted: Option<f64>,
    /// CPU time of the generator, in processors.
    pub cpus: f64,
    /// The last interval.
    pub last: Samples,
    /// The sum of all.
    pub total: Samples,
    /// The intervals.
    pub columns: VecDeque<Column>,
}

impl Facts {
    /// Figures of a run that has not begun to measure.
    pub(crate) fn new(url: String, load: String, duration: Duration, is_open: bool) -> Self {
        Self {
            url,
            load,
            duration,
            elapsed: None,
            wanted: None,
            cpus: 0.0,
            last: Samples::new(is_open),
            total: Samples::new(is_open),
            columns: VecDeque::new(),
        }
    }

    /// Takes an interval of `length`.
    pub(crate) fn add(&mut self, samples: &Samples, length: Duration) {
        self.total.add(samples);
        self.last.reset();
        self.last.add(samples);
        if self.columns.len() == COLUMNS_MAX {
            self.columns.pop_front();
        }
        let mut bands: Vec<(u16, u64)> = Vec::new();
        for step in samples.latency.iter_recorded() {
            let band = band(step.value_iterated_to());
            let count = step.count_since_last_iteration();
            match bands.last_mut() {
                Some((last, sum)) if *last == band => *sum += count,
                _ => bands.push((band, count)),
            }
        }
        let rate = samples.counts.answered as f64 / length.as_secs_f64().max(1e-3);
        self.columns.push_back(Column { bands, rate });
    }

    /// Right answers per second in the last interval.
    pub(crate) fn rate(&self) -> f64 {
        self.columns.back().map_or(0.0, |column| column.rate)
    }
}

/// The band of a time.
fn band(nanos: u64) -> u16 {
    // At most 64 octaves: the product fits.
    ((nanos.max(1) as f64).log2() * BANDS_PER_OCTAVE) as u16
}

/// The shortest time of a band, in nanoseconds.
pub(crate) fn band_start(band: u16) -> f64 {
    (f64::from(band) / BANDS_PER_OCTAVE).exp2()
}
