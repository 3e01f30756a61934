//! The times of access logs, as nanoseconds since 1970 in UTC.
//!
//! Text goes in, a number comes out, or nothing when it is not a time. Leap seconds are counted as
//! the second after them, and times before 1970 are none.

const NANOS: i128 = 1_000_000_000;

/// Parses `2026-11-23T01:43:33.120Z` or with an offset such as `+01:00` (RFC 3339).
pub(super) fn rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let offset = match zone {
        "Z" | "z" => 0,
        _ => offset(&zone.replacen(':', "", 1))?,
    };
    nanos(
        number(year, 4)?,
        number(month, 2)?,
        number(day, 2)?,
        time,
        fraction,
        offset,
    )
}

/// Parses `10/Oct/2000:13:55:36 -0700`.
pub(super) fn combined(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (stamp, zone) = text.split_once(' ')?;
    let (date, time) = stamp.split_once(':')?;
    let mut date = date.splitn(3, '/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as i64;
    nanos(
        number(year, 4)?,
        month,
        number(day, 2)?,
        time,
        "",
        offset(zone)?,
    )
}

/// Seconds east of UTC of `+0130`.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = (number(zone.get(1..3)?, 2)?, number(zone.get(3..)?, 2)?);
    Some(sign * (hours * 3_600 + minutes * 60))
}

fn nanos(year: i64, month: i64, day: i64, time: &str, fraction: &str, offset: i64) -> Option<u64> {
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (number(time.next()?, 2)?, number(time.next()?, 2)?);
    let second = number(time.next()?, 2)?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        // A leap second is counted as the second after it.
        && second <= 60;
    if !in_range || fraction.len() > 9 {
        return None;
    }
    let fraction = match fraction {
        "" => 0,
        digits => number(&format!("{digits:0<9}"), 9)?,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    u64::try_from(i128::from(seconds) * NANOS + i128::from(fraction)).ok()
}

fn number(digits: &str, width: usize) -> Option<i64> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    (digits.len() == width && all_digits).then(|| digits.parse().ok())?
}

/// Days from 1970-01-01. Years are counted from March, so that the leap day is the last of its
/// year; 400 such years are 146,097 days.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        let second = 1_000_000_000;
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            rfc3339("2026-11-23T01:43:33.120Z"),
            Some(1_795_398_213_120_000_000)
        );
        assert_eq!(
            rfc3339("2026-11-23T02:43:33+01:00"),
            Some(1_795_398_213 * second)
        );
        assert_eq!(
            rfc3339("2000-02-29T23:59:59.000000001Z"),
            Some(951_868_799 * second + 1)
        );
        assert_eq!(
            combined("10/Oct/2000:13:55:36 -0700"),
            Some(971_211_336 * second)
        );
        assert_eq!(
            combined("01/Mar/2000:00:00:00 +0000"),
            Some(951_868_800 * second)
        );
        for text in [
            "",
            "2026",
            "2026-11-23",
            "2026-11-23T01:43Z",
            "2026-13-23T01:43:33Z",
            "2026-11-23T24:43:33Z",
            "2026-11-23T01:43:33",
            "2026-11-23T01:43:33.x Z",
            "1969-12-31T23:59:59Z",
            "2026-11-23T01:43:33+1",
            "+026-11-23T01:43:33Z",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        for text in [
            "10/Oct/2000:13:55:36",
            "10/Okt/2000:13:55:36 -0700",
            "",
            "[10/Oct",
        ] {
            assert_eq!(combined(text), None, "{text}");
        }
    }
}
