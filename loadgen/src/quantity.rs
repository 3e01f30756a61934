//! Quantities as people write them: durations, sizes, rates, shares, lists of cores.
//!
//! Text goes in, plain numbers come out, and the other way round for the report. Durations are
//! whole nanoseconds, sizes whole bytes, rates whole micro-requests per second, so that nothing
//! downstream rounds. An error is one sentence that says what would have been right; clap prints
//! it beside the option's name.

use std::time::Duration;

/// A request rate, exact to a millionth of a request per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    micros_per_second: u64,
}

impl Rate {
    /// Ten million requests per second: past it neighbouring due times fall within the cost of
    /// reading the clock.
    const MAX: u64 = 10_000_000 * 1_000_000;

    /// Parses `5000`, `0.5`, `20k` or `1.5M` (requests per second).
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a rate; write requests per second: 5000, 20k");
        let (number, factor) = match text.strip_suffix(['k', 'K']) {
            Some(number) => (number, 1_000),
            None => match text.strip_suffix('M') {
                Some(number) => (number, 1_000_000),
                None => (text, 1),
            },
        };
        let micros = decimal(number, factor * 1_000_000).ok_or_else(expected)?;
        if micros == 0 || micros > Self::MAX {
            return Err("a rate lies between 0.000001 and 10M requests per second".into());
        }
        Ok(Self {
            micros_per_second: micros,
        })
    }

    /// The rate nearest to so many requests per second.
    pub(crate) fn near(per_second: f64) -> Self {
        let micros = (per_second * 1e6).round().clamp(1.0, Self::MAX as f64);
        Self {
            micros_per_second: micros as u64,
        }
    }

    /// Millionths of a request per second.
    pub(crate) const fn micros_per_second(self) -> u64 {
        self.micros_per_second
    }

    /// Requests per second, for printing.
    pub(crate) fn per_second(self) -> f64 {
        self.micros_per_second as f64 / 1e6
    }
}

/// Parses `250ms`, `1.5s`, `20us`, `100ns`, `2m`, `1h`; a bare `0` needs no unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    // `ms` before `m` and `s`, and so on: the longer unit has to be tried first.
    const UNITS: [(&str, u64); 7] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    UNITS
        .iter()
        .find_map(|&(unit, nanos)| Some((text.strip_suffix(unit)?, nanos)))
        .and_then(|(number, nanos)| decimal(number, nanos))
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("`{text}` is not a duration; write 250ms, 1.5s, 20us, 2m"))
}

/// Parses `1024`, `64KiB`, `1MiB`, `10kB`, `2MB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    UNITS
        .iter()
        .find_map(|&(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)))
        .or(Some((text, 1)))
        .and_then(|(number, bytes)| decimal(number, bytes))
        .ok_or_else(|| format!("`{text}` is not a size; write 1024, 64KiB, 1MB"))
}

/// Parses a share: `0.01` or `1%`, from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, divisor) = text
        .strip_suffix('%')
        .map_or((text, 1.0), |number| (number, 100.0));
    number
        .parse::<f64>()
        .ok()
        .map(|value| value / divisor)
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| format!("`{text}` is not a share; write 0.01 or 1%"))
}

/// Parses a list of cores, `0,2-3`; each may stand there once.
pub(crate) fn cpus(text: &str) -> Result<Vec<usize>, String> {
    let expected = || format!("`{text}` is not a list of cores; write 0,2-3");
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| expected())?;
        let last: usize = last.trim().parse().map_err(|_| expected())?;
        if first > last || last >= 4096 {
            return Err(expected());
        }
        cpus.extend(first..=last);
    }
    let mut seen = cpus.clone();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() != cpus.len() {
        return Err(format!("`{text}` names a core twice"));
    }
    Ok(cpus)
}

/// Nanoseconds in the unit a reader wants: `812 ns`, `43.1 us`, `1.40 s`.
pub(crate) fn show_nanos(nanos: f64) -> String {
    let (value, unit) = match nanos {
        n if n < 1e3 => return format!("{n:.0} ns"),
        n if n < 1e6 => (n / 1e3, "us"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    match value {
        v if v < 10.0 => format!("{v:.2} {unit}"),
        v if v < 100.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

/// A rate as people say it: `850 requests/s`, `11.9k requests/s`.
pub(crate) fn show_rate(per_second: f64) -> String {
    let (value, unit) = match per_second {
        r if r < 1e4 => (r, ""),
        r if r < 1e6 => (r / 1e3, "k"),
        r => (r / 1e6, "M"),
    };
    // Three digits behind the point, and no zeros that say nothing.
    format!("{}{unit} requests/s", (value * 1e3).round() / 1e3)
}

/// A share in percent, to three digits: `0.99 %`, `12.5 %`.
pub(crate) fn show_share(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent {
        p if p >= 100.0 || p == 0.0 => 0,
        p if p >= 10.0 => 1,
        p if p >= 0.01 => 2,
        _ => return format!("{percent:.1e} %"),
    };
    format!("{percent:.digits$} %")
}

/// Bytes in the unit a reader wants: `512 B`, `1.50 MB`.
pub(crate) fn show_bytes(bytes: f64) -> String {
    match bytes {
        b if b < 1e3 => format!("{b:.0} B"),
        b if b < 1e6 => format!("{:.2} kB", b / 1e3),
        b if b < 1e9 => format!("{:.2} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}

/// `number` (digits, at most one point) times `factor`, exactly; a product that is not whole is
/// refused.
fn decimal(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return None;
    }
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(u128::from(factor))?;
    if scaled % scale != 0 {
        return None;
    }
    u64::try_from(scaled / scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        let check = |text: &str, nanos: u64| {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        };
        check("0", 0);
        check("100ns", 100);
        check("20us", 20_000);
        check("1.5ms", 1_500_000);
        check("0.1s", 100_000_000);
        check("2m", 120_000_000_000);
        check("1h", 3_600_000_000_000);
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.s",
            "1e3s",
            "1 s",
            "0.5ns",
            "99999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_know_both_families_of_units() {
        let check = |text: &str, bytes: u64| assert_eq!(size(text), Ok(bytes), "{text}");
        check("0", 0);
        check("1024", 1024);
        check("64KiB", 65_536);
        check("10kB", 10_000);
        check("1.5MiB", 1_572_864);
        check("7B", 7);
        for text in ["", "KiB", "1KB", "-1", "1.5", "64 KiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_exact_to_a_millionth() {
        let check = |text: &str, micros: u64| {
            assert_eq!(
                Rate::parse(text).map(Rate::micros_per_second),
                Ok(micros),
                "{text}"
            );
        };
        check("1", 1_000_000);
        check("0.000001", 1);
        check("33.333333", 33_333_333);
        check("20k", 20_000_000_000);
        check("1.5M", 1_500_000_000_000);
        for text in ["0", "", "k", "-5", "10.1M", "0.0000001", "5/s"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_and_cores() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.5"), Ok(0.5));
        assert!(share("101%").is_err() && share("-1").is_err() && share("NaN").is_err());
        assert_eq!(cpus("0"), Ok(vec![0]));
        assert_eq!(cpus("3,0-1"), Ok(vec![3, 0, 1]));
        for text in ["", "1-", "2-1", "1,1", "a", "0-99999"] {
            assert!(cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!(show_nanos(812.0), "812 ns");
        assert_eq!(show_nanos(43_140.0), "43.1 us");
        assert_eq!(show_nanos(1_400_000_000.0), "1.40 s");
        assert_eq!(show_nanos(123_456_789.0), "123 ms");
        assert_eq!(show_bytes(1_500_000.0), "1.50 MB");
        assert_eq!(show_rate(850.0), "850 requests/s");
        assert_eq!(show_rate(11_940.0), "11.94k requests/s");
        assert_eq!(Rate::near(0.1).micros_per_second(), 100_000);
        for (share, shown) in [
            (0.0, "0 %"),
            (0.009_900_99, "0.99 %"),
            (0.125, "12.5 %"),
            (1.0, "100 %"),
            (0.000_004_2, "4.2e-4 %"),
        ] {
            assert_eq!(show_share(share), shown);
        }
    }
}
