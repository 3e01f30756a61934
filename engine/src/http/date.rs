//! Dates as HTTP writes them: IMF-fixdate, RFC 9110 §5.6.7.
//!
//! Pure: the caller brings the time. A shard formats the date once a second and reuses it.

/// The length of an IMF-fixdate in bytes.
pub const DATE_BYTES: usize = 29;

/// `Sun, 06 Nov 1994 08:49:37 GMT` for the seconds since 1970-01-01.
///
/// *Input*: up to the year 9999; later times are written as its last second.
pub fn format(unix_seconds: u64) -> [u8; DATE_BYTES] {
    const LAST: u64 = 253_402_300_799;
    let seconds = unix_seconds.min(LAST);
    let days = seconds / 86_400;
    let of_day = seconds % 86_400;
    let (year, month, day) = civil(days);
    let weekday = name(b"ThuFriSatSunMonTueWed", days % 7);
    let month = name(b"JanFebMarAprMayJunJulAugSepOctNovDec", month);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    put(&mut text, 0, &weekday);
    put(&mut text, 5, &two(day));
    put(&mut text, 8, &month);
    put(&mut text, 12, &two(year / 100));
    put(&mut text, 14, &two(year % 100));
    put(&mut text, 17, &two(of_day / 3600));
    put(&mut text, 20, &two(of_day % 3600 / 60));
    put(&mut text, 23, &two(of_day % 60));
    text
}

/// Three letters of a list of names.
fn name(names: &[u8], index: u64) -> [u8; 3] {
    let mut chunks = names.as_chunks::<3>().0.iter();
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    chunks.nth(index).copied().unwrap_or(*b"???")
}

/// Two decimal digits of a number below 100.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a digit plus 0x30 fits a byte"
)]
fn two(number: u64) -> [u8; 2] {
    let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or(0);
    [digit(number / 10), digit(number)]
}

/// Writes `part` at `offset`.
fn put(text: &mut [u8], offset: usize, part: &[u8]) {
    if let Some((_, rest)) = text.split_at_mut_checked(offset) {
        for (to, &from) in rest.iter_mut().zip(part) {
            *to = from;
        }
    }
}

/// Year, month (0 to 11) and day (1 to 31) of the Gregorian calendar; days since 1970-01-01.
#[expect(clippy::arithmetic_side_effects, reason = "at most 9999 years of days")]
fn civil(days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    let mut left = days;
    // Whole 400-year cycles have 146097 days.
    year += 400 * (left / 146_097);
    left %= 146_097;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

/// The Gregorian leap-year rule.
fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_5_6_7_imf_fixdate() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(String::from_utf8_lossy(&format(seconds)), text);
        }
    }
}
