//! Where a program says a number: text with `#` in its place, as in `# requests in`. Pure.
//!
//! Blanks stand for any blanks, since programs pad their columns. The last match counts: totals
//! come after progress.

use serde::Deserialize;

/// Text around a number.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) struct Pattern {
    before: String,
    after: String,
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some((before, after)) = text.split_once('#') else {
            return Err(format!("`{text}` has no # where the number stands"));
        };
        match before.trim().is_empty() && after.trim().is_empty() {
            true => Err("a pattern needs words beside its #".into()),
            false => Ok(Self {
                before: single_blanks(before),
                after: single_blanks(after),
            }),
        }
    }
}

impl Pattern {
    /// The number in `output`; `None` if it does not stand there.
    pub(crate) fn find(&self, output: &str) -> Option<u64> {
        let text = single_blanks(output);
        let mut found = None;
        let mut at = 0;
        for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
            let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
            let (before, after) = (text.get(..at)?, text.get(at + digits.len()..)?);
            if before.ends_with(&self.before) && after.starts_with(&self.after) {
                found = digits.parse().ok().or(found);
            }
            at += part.len();
        }
        found
    }
}

/// The text with one blank for each run of blanks and line ends.
fn single_blanks(text: &str) -> String {
    let mut single = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_whitespace() {
            false => single.push(c),
            true if single.ends_with(' ') => {}
            true => single.push(' '),
        }
    }
    single
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, output: &str) -> Option<u64> {
        let pattern = Pattern::try_from(pattern.to_owned()).expect("a pattern");
        pattern.find(output)
    }

    #[test]
    fn numbers_are_found_where_generators_say_them() {
        let wrk = "  2 threads and 10 connections\n  74319 requests in 1.00s, 10.21MB read\n\
                   \x20 Socket errors: connect 0, read 3, write 0, timeout 0\n";
        assert_eq!(find("# requests in", wrk), Some(74_319));
        assert_eq!(find("read #,", wrk), Some(3));
        assert_eq!(find("Non-2xx or 3xx responses: #", wrk), None);
        let h2load = "requests: 70 total, 70 started, 70 done, 69 succeeded, 1 failed, 0 errored";
        assert_eq!(find("# succeeded,", h2load), Some(69));
        assert_eq!(find(", # failed,", h2load), Some(1));
        let ours = "requests       400 due: 399 answered, 1 failed, 0 unanswered\n";
        assert_eq!(find("due: # answered", ours), Some(399));
    }

    #[test]
    fn the_last_match_counts_and_part_of_a_number_is_none() {
        assert_eq!(find("# done", "1 done 2 done 3 gone"), Some(2));
        assert_eq!(find("a1# done", "a12 done"), None);
        assert_eq!(find("done #", "done 7"), Some(7));
        assert_eq!(find("# done", "99999999999999999999999 done"), None);
        assert_eq!(find("# done", ""), None);
    }

    #[test]
    fn a_pattern_says_where_the_number_stands() {
        for text in ["", "#", " # ", "requests"] {
            assert!(Pattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
