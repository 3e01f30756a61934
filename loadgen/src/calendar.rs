//! From seconds since the epoch to the calendar, in UTC.

/// Year, month (from 0) and day (from 1) of the Gregorian calendar, `day` days after 1970-01-01.
///
/// Counts in eras of 400 years (146,097 days) that begin on 1 March, so that the leap day comes
/// last in its year.
pub(crate) const fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + (month < 2) as u64;
    (year, month, day_of_month)
}

/// The day of an instant: `2026-11-23`.
pub(crate) fn date(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year:04}-{:02}-{day:02}", month + 1)
}

/// An instant: `2026-11-23 15:45:28 UTC`.
pub(crate) fn instant(seconds: u64) -> String {
    let (day, of_day) = (date(seconds), seconds % 86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{day} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(951_868_800), "2000-03-01");
        assert_eq!(date(1_709_164_800), "2024-02-29");
        assert_eq!(date(1_767_225_599), "2025-12-31");
        assert_eq!(date(1_795_392_000), "2026-11-23");
        assert_eq!(date(4_107_542_400), "2100-03-01");
        assert_eq!(instant(1_500_000_000), "2017-07-14 02:40:00 UTC");
    }
}
