//! Percentile spectra (`.hgrm`): what remains of a histogram in them, as a histogram again.
//!
//! A row says that so many samples were at most so long. The samples between two rows are put at
//! the upper one, so counts at the rows are exact and values in between are no more than one row
//! too high. Times, tags and the order of samples are not in the file, and the mean is the one of
//! what was put together. Rows of other tools are read as long as they begin with value, quantile
//! and count: wrk2, the Java and the Python tools write them so.

use crate::hist::recording::{Interval, Recording, empty};
use crate::report::hgrm;

/// Reads a spectrum whose values are in units of `unit_nanos`.
///
/// *Errors:* the number of the line, and what is wrong with it.
pub(crate) fn read(text: &str, unit_nanos: u64) -> Result<Recording, String> {
    let mut times = empty(3);
    let mut before = 0;
    let mut is_begun = false;
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let (Some(value), Some(quantile), Some(total)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let row = value.parse::<f64>().ok().zip(quantile.parse::<f64>().ok());
        let row = row.zip(total.parse::<u64>().ok());
        let Some(((value, quantile), total)) = row else {
            // Prose and heads around the table; within it only the summary's `#` may follow.
            if is_begun && !line.trim_start().starts_with('#') {
                break;
            }
            continue;
        };
        is_begun = true;
        if !(0.0..=1.0).contains(&quantile) || value < 0.0 || total < before {
            return Err(format!(
                "line {}: value, quantile and count must rise, within their ranges: `{}`",
                index + 1,
                line.trim()
            ));
        }
        let nanos = (value * unit_nanos as f64).round();
        if nanos > 1e18 {
            return Err(format!("line {}: `{value}` is no time", index + 1));
        }
        times
            .record_n(nanos as u64, total - before)
            .map_err(|error| format!("line {}: {error}", index + 1))?;
        before = total;
    }
    if !is_begun {
        return Err(
            "there is no row `value quantile count` in it, so it is no percentile spectrum, nor \
             is it a log (.hlog) or JSON of histograms"
                .into(),
        );
    }
    let mut recording = Recording::default();
    recording.series_mut(None).intervals.push(Interval {
        start_seconds: 0.0,
        length_seconds: 0.0,
        times,
    });
    let note = "a percentile spectrum: values between its rows are rounded up to the next row, \
                and it does not say when anything happened";
    recording.notes.push(note.into());
    Ok(recording)
}

/// The spectrum of one series, in milliseconds.
pub(crate) fn write(recording: &Recording) -> Result<String, String> {
    let [series] = recording.series.as_slice() else {
        return Err("a percentile spectrum holds one series; choose it with --tag".into());
    };
    let mut out = Vec::new();
    hgrm::write(&mut out, &series.total()).map_err(|error| error.to_string())?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    #[test]
    fn percentiles_survive_the_way_through_a_spectrum() {
        let mut original = Recording::default();
        let mut times = empty(3);
        for value in 1..=10_000u64 {
            times.record(value * 1_000).expect("it resizes");
        }
        let interval = Interval {
            start_seconds: 0.0,
            length_seconds: 1.0,
            times,
        };
        original.series_mut(None).intervals.push(interval);
        let text = write(&original).expect("it is written");
        let read = read(&text, MILLI).expect("our own spectrum").series[0].total();
        let original = original.series[0].total();
        assert_eq!(read.len(), original.len());
        for quantile in [0.5, 0.75, 0.9, 0.99, 0.999, 1.0] {
            let [read, original] =
                [&read, &original].map(|times| times.value_at_quantile(quantile) as f64);
            // Five rows for each halving of the distance: a tenth of it at worst.
            let rest = (1.0 - quantile) * 10e6 / 5.0 + original * 0.002;
            assert!(
                read >= original * 0.998 && read - original <= rest,
                "{quantile}: {read}"
            );
        }
    }

    #[test]
    fn what_wrk2_prints_is_read() {
        let text = "Running 10s test @ http://127.0.0.1/\n  Thread Stats   Avg      Stdev\n\
            \n  Detailed Percentile spectrum:\n       Value   Percentile   TotalCount 1/(1-Percentile)\n\
            \n       0.921     0.000000            1         1.00\n       4.053     0.500000          \
            500         2.00\n      15.671     1.000000         1000          inf\n\
            #[Mean    =        4.000, StdDeviation   =        1.000]\n\
            ----------------------------------------------------------\n  1000 requests in 10.00s\n";
        let total = read(text, MILLI).expect("a spectrum").series[0].total();
        assert_eq!(total.len(), 1_000);
        assert!(total.equivalent(total.value_at_quantile(0.5), 4_053_000));
        assert!(total.equivalent(total.max(), 15_671_000));
    }

    #[test]
    fn damage_is_named() {
        let error = read("1 0.5 10\n2 0.7 9\n", MILLI).expect_err("it falls");
        assert!(error.starts_with("line 2:"), "{error}");
        assert!(read("hello\n", MILLI).is_err());
        assert!(read("1e300 0.5 10\n", MILLI).is_err_and(|error| error.starts_with("line 1")));
    }
}
