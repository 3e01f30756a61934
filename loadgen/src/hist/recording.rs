//! What a file of histograms says, whatever its format: series of intervals.
//!
//! Instants are seconds from the beginning of the first interval, values nanoseconds. A file
//! without times (a percentile spectrum, the totals of a run) is one interval. What a format could
//! not carry stands in [`Recording::notes`], for the reader to know.

use hdrhistogram::Histogram;

/// Significant digits of histograms that are made here.
const DIGITS: u8 = 3;

/// One stretch of time.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    /// Seconds from the beginning of the recording.
    pub start_seconds: f64,
    /// How long it was; zero if nobody knows.
    pub length_seconds: f64,
    /// What was measured, in nanoseconds.
    pub times: Histogram<u64>,
}

impl Interval {
    /// When it ended.
    pub(crate) fn end_seconds(&self) -> f64 {
        self.start_seconds + self.length_seconds
    }
}

/// Intervals of one tag, in order of time.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// The tag; none for the lines that most readers take alone.
    pub tag: Option<String>,
    /// The intervals.
    pub intervals: Vec<Interval>,
}

impl Series {
    /// The tag, or a word for its absence.
    pub(crate) fn name(&self) -> &str {
        self.tag.as_deref().unwrap_or("untagged")
    }

    /// All intervals added up.
    pub(crate) fn total(&self) -> Histogram<u64> {
        sum(self.intervals.iter().map(|interval| &interval.times))
    }

    /// Where the last interval ends.
    pub(crate) fn end_seconds(&self) -> f64 {
        let ends = self.intervals.iter().map(Interval::end_seconds);
        ends.fold(0.0, f64::max)
    }
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    /// What to call it: the file's name without its extension, or an entry of a comparison.
    pub name: String,
    /// When it began, in seconds since the epoch, if the file says so.
    pub began: Option<f64>,
    /// The series, the untagged one first.
    pub series: Vec<Series>,
    /// What the reader should know: what is missing, what was left out.
    pub notes: Vec<String>,
}

impl Recording {
    /// The series with this tag.
    pub(crate) fn series(&self, tag: Option<&str>) -> Option<&Series> {
        let mut series = self.series.iter();
        series.find(|series| series.tag.as_deref() == tag)
    }

    /// The intervals with this tag, in order.
    pub(crate) fn intervals(&self, tag: Option<&str>) -> &[Interval] {
        self.series(tag).map_or(&[], |series| &series.intervals)
    }

    /// What the log of a comparison's entry holds of one round: the interval with this number of
    /// each series.
    pub(crate) fn round(&self, number: usize) -> Self {
        let of_round = |series: &Series| {
            let interval = series.intervals.get(number)?;
            Some(Series {
                tag: series.tag.clone(),
                intervals: vec![interval.clone()],
            })
        };
        Self {
            name: self.name.clone(),
            began: self.began,
            series: self.series.iter().filter_map(of_round).collect(),
            notes: Vec::new(),
        }
    }

    /// The series with this tag, made if there is none.
    pub(crate) fn series_mut(&mut self, tag: Option<&str>) -> &mut Series {
        let found = self
            .series
            .iter()
            .position(|series| series.tag.as_deref() == tag);
        let index = found.unwrap_or_else(|| {
            // The untagged series comes first, the others in the order they appear.
            let index = if tag.is_none() { 0 } else { self.series.len() };
            let tag = tag.map(str::to_owned);
            self.series.insert(
                index,
                Series {
                    tag,
                    intervals: Vec::new(),
                },
            );
            index
        });
        &mut self.series[index]
    }

    /// The series that a reader asked for: those with one of `tags`; without any, the untagged
    /// one; without that, all. `-` is the untagged one.
    pub(crate) fn select(&self, tags: &[String]) -> Result<Vec<&Series>, String> {
        if tags.is_empty() {
            let untagged = self.series.iter().filter(|series| series.tag.is_none());
            let untagged: Vec<_> = untagged.collect();
            let all = || self.series.iter().collect();
            return Ok(if untagged.is_empty() { all() } else { untagged });
        }
        let one = |tag: &String| {
            let wanted = (tag != "-").then_some(tag.as_str());
            let mut series = self.series.iter();
            series
                .find(|series| series.tag.as_deref() == wanted)
                .ok_or_else(|| {
                    let tags: Vec<_> = self.series.iter().map(Series::name).collect();
                    format!(
                        "{} has no tag `{tag}`; it has: {}",
                        self.name,
                        tags.join(", ")
                    )
                })
        };
        tags.iter().map(one).collect()
    }

    /// Only what lies whole between two instants, in seconds from the beginning.
    pub(crate) fn keep(&mut self, from: f64, to: f64) {
        // Lengths are written in milliseconds: an interval may seem that much longer.
        const ROUNDING: f64 = 0.002;
        for series in &mut self.series {
            series.intervals.retain(|interval| {
                interval.start_seconds >= from - ROUNDING && interval.end_seconds() <= to + ROUNDING
            });
        }
        self.series.retain(|series| !series.intervals.is_empty());
    }

    /// Intervals in order, counted from the first of all.
    pub(crate) fn settle(&mut self) {
        let starts = self.series.iter().flat_map(|series| &series.intervals);
        let first = starts
            .map(|interval| interval.start_seconds)
            .fold(f64::INFINITY, f64::min);
        if !first.is_finite() {
            return;
        }
        self.began = self.began.map(|began| began + first);
        for series in &mut self.series {
            for interval in &mut series.intervals {
                interval.start_seconds -= first;
            }
            series
                .intervals
                .sort_by(|one, other| one.start_seconds.total_cmp(&other.start_seconds));
        }
    }

    /// The values times `factor`: files may count in other units than nanoseconds.
    pub(crate) fn scale(&mut self, factor: u64) {
        if factor == 1 {
            return;
        }
        for interval in self
            .series
            .iter_mut()
            .flat_map(|series| &mut series.intervals)
        {
            interval.times = scaled(&interval.times, factor);
        }
    }

    /// Does it have intervals that tell times apart?
    pub(crate) fn has_times(&self) -> bool {
        self.series.iter().any(|series| series.intervals.len() > 1)
    }
}

/// What to call each of several series: by its file where there are several, by its tag where it
/// has one or where its file shows several.
pub(crate) fn names(shown: &[(&Recording, &Series)]) -> Vec<String> {
    let name = |&(recording, series): &(&Recording, &Series)| {
        let of_file = |(other, _): &&(&Recording, &Series)| other.name == recording.name;
        let siblings = shown.iter().filter(of_file).count();
        let file = &recording.name;
        match (siblings == shown.len(), siblings > 1, &series.tag) {
            (true, true, _) | (true, false, Some(_)) => series.name().to_owned(),
            (_, false, None) => file.clone(),
            (false, _, _) => format!("{file} {}", series.name()),
        }
    };
    shown.iter().map(name).collect()
}

/// An empty histogram that takes every value.
pub(crate) fn empty(digits: u8) -> Histogram<u64> {
    Histogram::new(digits).expect("up to five digits are allowed")
}

/// The sum, with the most digits that any of them has.
pub(crate) fn sum<'a>(
    histograms: impl Iterator<Item = &'a Histogram<u64>> + Clone,
) -> Histogram<u64> {
    let digits = histograms
        .clone()
        .map(Histogram::sigfig)
        .max()
        .unwrap_or(DIGITS);
    let mut total = empty(digits);
    for times in histograms {
        // It resizes, so there is nothing that does not fit.
        let _ = total.add(times);
    }
    total
}

fn scaled(times: &Histogram<u64>, factor: u64) -> Histogram<u64> {
    let mut scaled = empty(times.sigfig());
    for step in times.iter_recorded() {
        let value = times.median_equivalent(step.value_iterated_to());
        // The hour that histograms of times end at lies far below the end of 64 bits.
        let value = value.saturating_mul(factor).min(u64::MAX >> 2);
        let _ = scaled.record_n(value, step.count_since_last_iteration());
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start_seconds: f64, value: u64) -> Interval {
        let mut times = empty(3);
        times.record(value).expect("it resizes");
        Interval {
            start_seconds,
            length_seconds: 1.0,
            times,
        }
    }

    fn recording() -> Recording {
        let mut recording = Recording {
            began: Some(1_000.0),
            ..Recording::default()
        };
        recording
            .series_mut(Some("lag"))
            .intervals
            .push(interval(11.0, 5));
        recording
            .series_mut(None)
            .intervals
            .extend([interval(11.001, 10), interval(10.0, 20)]);
        recording.settle();
        recording
    }

    #[test]
    fn time_counts_from_the_first_interval() {
        let recording = recording();
        assert_eq!(recording.began, Some(1_010.0));
        let untagged = &recording.series[0];
        assert_eq!(
            (untagged.name(), untagged.intervals[0].start_seconds),
            ("untagged", 0.0)
        );
        assert_eq!(recording.series[1].intervals[0].start_seconds, 1.0);
        assert!((untagged.end_seconds() - 2.001).abs() < 1e-9);
        assert_eq!((untagged.total().len(), untagged.total().max()), (2, 20));
    }

    #[test]
    fn a_range_keeps_whole_intervals_only() {
        let mut recording = recording();
        recording.keep(1.0, 2.0);
        assert_eq!(recording.series.len(), 2);
        assert_eq!(recording.series[0].total().max(), 10);
        recording.keep(1.5, 9.0);
        assert!(recording.series.is_empty());
    }

    #[test]
    fn tags_are_chosen_by_name() {
        let recording = recording();
        let names = |tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
            let selected = recording.select(&tags)?;
            Ok::<_, String>(
                selected
                    .iter()
                    .map(|series| series.name())
                    .collect::<Vec<_>>()
                    .concat(),
            )
        };
        assert_eq!(names(&[]).as_deref(), Ok("untagged"));
        assert_eq!(names(&["lag", "-"]).as_deref(), Ok("laguntagged"));
        assert!(names(&["no"]).is_err_and(|error| error.contains("untagged, lag")));
    }

    #[test]
    fn names_say_what_tells_series_apart() {
        let (one, mut other) = (recording(), recording());
        other.name = "b".into();
        let [untagged, lag] = one.series.as_slice() else {
            unreachable!("two series")
        };
        assert_eq!(names(&[(&other, untagged)]), ["b"]);
        assert_eq!(names(&[(&other, lag)]), ["lag"]);
        assert_eq!(
            names(&[(&other, untagged), (&other, lag)]),
            ["untagged", "lag"]
        );
        let shown = [(&other, untagged), (&other, lag), (&one, untagged)];
        assert_eq!(names(&shown), ["b untagged", "b lag", ""]);
    }

    #[test]
    fn other_units_become_nanoseconds() {
        let mut recording = recording();
        recording.scale(1_000_000);
        let total = recording.series[0].total();
        assert!(total.equivalent(total.max(), 20_000_000));
    }
}
