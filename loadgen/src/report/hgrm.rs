//! The percentile spectrum that HdrHistogram plotters read (`.hgrm`).
//!
//! Columns `Value Percentile TotalCount 1/(1-Percentile)`, values in milliseconds, five ticks per
//! half distance to 100 %. Readers differ in what they accept, so: data rows begin with a blank,
//! the last row has no fourth column (it would be infinite), and the summary says `Total count`.

use std::io::{Result, Write};

use hdrhistogram::Histogram;

const TICKS_PER_HALF_DISTANCE: u32 = 5;
const NANOS_PER_MILLI: f64 = 1e6;

/// Writes `times`, recorded in nanoseconds.
pub(crate) fn write(out: &mut impl Write, times: &Histogram<u64>) -> Result<()> {
    writeln!(
        out,
        "{:>16} {:>16} {:>12} {:>16}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut total = 0;
    for tick in times.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += tick.count_since_last_iteration();
        let value = tick.value_iterated_to() as f64 / NANOS_PER_MILLI;
        let quantile = tick.quantile_iterated_to();
        write!(out, "{value:>16.6} {quantile:>16.12} {total:>12}")?;
        if quantile < 1.0 {
            write!(out, " {:>16.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(out)?;
    }
    let milli = |nanos: f64| nanos / NANOS_PER_MILLI;
    let (mean, deviation) = (milli(times.mean()), milli(times.stdev()));
    writeln!(
        out,
        "#[Mean    = {mean:>12.6}, StdDeviation   = {deviation:>12.6}]"
    )?;
    let (max, count) = (milli(times.max() as f64), times.len());
    writeln!(
        out,
        "#[Max     = {max:>12.6}, Total count    = {count:>12}]"
    )?;
    let (buckets, sub_buckets) = (times.buckets(), sub_buckets(times.sigfig()));
    writeln!(
        out,
        "#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]"
    )
}

/// Sub-buckets of a histogram: the power of two that tells `2 · 10^digits` values apart.
fn sub_buckets(digits: u8) -> u64 {
    (2 * 10u64.pow(u32::from(digits))).next_power_of_two()
}
