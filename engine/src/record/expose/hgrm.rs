//! `.hgrm`: a percentile spectrum, as HdrHistogram's `outputPercentileDistribution` writes it.
//!
//! One spectrum is rows of value (milliseconds), percentile (0 to 1), count up to it and
//! 1/(1-percentile), then three summary lines in brackets. The HdrHistogram plotter takes every
//! line of four columns that does not begin with `#`; hdr-plot wants rows to begin with white
//! space and the words `Total count`. The last row has no fourth column, which would be infinite.

use hdrhistogram::Histogram;

use super::print;
use super::series::Series;

/// Percentiles per halving of the distance to 100 %: Java's default.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// Nanoseconds of the unit that values are printed in.
const MILLISECOND: f64 = 1e6;

/// Appends one spectrum for each series, each under a comment that names it.
pub fn write_series<'a>(out: &mut String, all: impl Iterator<Item = Series<'a>>) {
    for series in all {
        print(out, format_args!("#[{}, milliseconds]\n", series.tag()));
        write(out, series.histogram());
        out.push('\n');
    }
}

/// Appends the spectrum of a histogram of nanoseconds.
pub fn write(out: &mut String, histogram: &Histogram<u64>) {
    let digits = usize::from(histogram.sigfig());
    print(
        out,
        format_args!(
            "{:>12} {:>14} {:>10} {:>14}\n\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        ),
    );
    let mut count = 0u64;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        count = count.saturating_add(step.count_since_last_iteration());
        let value = milliseconds(step.value_iterated_to());
        let quantile = step.quantile_iterated_to();
        print(
            out,
            format_args!("{value:>12.digits$} {quantile:>2.12} {count:>10}"),
        );
        if quantile < 1.0 {
            print(out, format_args!(" {:>14.2}", 1.0 / (1.0 - quantile)));
        }
        out.push('\n');
    }
    write_summary(out, histogram, digits);
}

fn write_summary(out: &mut String, histogram: &Histogram<u64>, digits: usize) {
    let mean = histogram.mean() / MILLISECOND;
    let deviation = histogram.stdev() / MILLISECOND;
    let max = milliseconds(histogram.max());
    let total = histogram.len();
    let buckets = histogram.buckets();
    // Twice 10^digits, rounded up to a power of two: the counters of the first bucket.
    let sub_buckets = 2 * 10u32.pow(u32::from(histogram.sigfig()));
    let sub_buckets = sub_buckets.next_power_of_two();
    print(
        out,
        format_args!(
            "#[Mean    = {mean:>12.digits$}, StdDeviation   = {deviation:>12.digits$}]\n\
             #[Max     = {max:>12.digits$}, Total count    = {total:>12}]\n\
             #[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]\n"
        ),
    );
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an hour of nanoseconds fits 53 bits"
)]
fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / MILLISECOND
}
