//! The head of an answer, as bytes: status line, `Date`, framing, `Connection`.
//!
//! Values go in, bytes are appended to a buffer that is used again, so nothing allocates. The
//! caller decides how the body is framed and sends it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::calendar::civil;

/// How the body after a head is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// By the status there is none (RFC 9110 §15.3.5, §15.4.5).
    Absent,
    /// `Content-Length`.
    Sized(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Appends the status line and fields of an answer.
pub(crate) fn push_head(
    out: &mut Vec<u8>,
    status: u16,
    framing: BodyFraming,
    close: bool,
    date: &Date,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, u64::from(status));
    out.extend_from_slice(reason(status));
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(&date.text);
    match framing {
        BodyFraming::Absent => {}
        BodyFraming::Sized(size) => {
            out.extend_from_slice(b"\r\nContent-Type: text/plain\r\nContent-Length: ");
            push_decimal(out, size);
        }
        BodyFraming::Chunked => {
            out.extend_from_slice(b"\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked")
        }
    }
    if close {
        out.extend_from_slice(b"\r\nConnection: close");
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// The reason phrase with the blank before it, which stands even before an empty one (RFC 9112 §4).
const fn reason(status: u16) -> &'static [u8] {
    match status {
        200 => b" OK",
        201 => b" Created",
        204 => b" No Content",
        301 => b" Moved Permanently",
        302 => b" Found",
        304 => b" Not Modified",
        400 => b" Bad Request",
        401 => b" Unauthorized",
        403 => b" Forbidden",
        404 => b" Not Found",
        429 => b" Too Many Requests",
        500 => b" Internal Server Error",
        502 => b" Bad Gateway",
        503 => b" Service Unavailable",
        504 => b" Gateway Timeout",
        _ => b" ",
    }
}

/// Appends `value` in decimal digits.
pub(crate) fn push_decimal(out: &mut Vec<u8>, value: u64) {
    push_digits(out, value, 10);
}

/// Appends `value` in hexadecimal digits.
pub(crate) fn push_hexadecimal(out: &mut Vec<u8>, value: usize) {
    push_digits(out, value as u64, 16);
}

fn push_digits(out: &mut Vec<u8>, mut value: u64, radix: u64) {
    // The longest: u64::MAX in decimal.
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b"0123456789abcdef"[(value % radix) as usize];
        value /= radix;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// The `Date` field's value (RFC 9110 §5.6.7), written anew when the second changes.
#[derive(Clone, Debug)]
pub(crate) struct Date {
    second: u64,
    text: Vec<u8>,
}

impl Date {
    /// The beginning of 1970.
    pub(crate) fn new() -> Self {
        let mut date = Self {
            second: u64::MAX,
            text: Vec::new(),
        };
        date.set(UNIX_EPOCH);
        date
    }

    /// The value.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Makes it show `now`.
    pub(crate) fn set(&mut self, now: SystemTime) {
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if second != self.second {
            self.second = second;
            self.text.clear();
            push_date(&mut self.text, second);
        }
    }
}

/// Appends `Sun, 06 Nov 1994 08:49:37 GMT`.
fn push_date(out: &mut Vec<u8>, second: u64) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (day, time) = (second / 86_400, second % 86_400);
    let (year, month, day_of_month) = civil(day);
    let two = |out: &mut Vec<u8>, value: u64| {
        out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
    };
    out.extend_from_slice(DAYS[(day % 7) as usize].as_bytes());
    out.extend_from_slice(b", ");
    two(out, day_of_month);
    out.push(b' ');
    out.extend_from_slice(MONTHS[month as usize].as_bytes());
    out.push(b' ');
    push_decimal(out, year);
    out.push(b' ');
    two(out, time / 3_600);
    out.push(b':');
    two(out, time / 60 % 60);
    out.push(b':');
    two(out, time % 60);
    out.extend_from_slice(b" GMT");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        fill(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn digits() {
        assert_eq!(text(|out| push_decimal(out, 0)), "0");
        assert_eq!(
            text(|out| push_decimal(out, u64::MAX)),
            "18446744073709551615"
        );
        assert_eq!(text(|out| push_hexadecimal(out, 0x10_00f)), "1000f");
    }

    #[test]
    fn rfc9110_5_6_7_dates() {
        let check = |second: u64, expected: &str| {
            assert_eq!(text(|out| push_date(out, second)), expected);
        };
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT");
        check(951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT");
        check(4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT");
        check(1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT");
    }

    #[test]
    fn heads() {
        let mut date = Date::new();
        date.set(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let head =
            |status, framing, close| text(|out| push_head(out, status, framing, close, &date));
        assert_eq!(
            head(200, BodyFraming::Sized(12), false),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/plain\r\nContent-Length: 12\r\n\r\n"
        );
        let closing = head(599, BodyFraming::Chunked, true);
        assert!(closing.starts_with("HTTP/1.1 599 \r\n"));
        assert!(closing.ends_with("\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"));
        assert!(!head(204, BodyFraming::Absent, false).contains("Content-"));
    }
}
