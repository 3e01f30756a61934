//! Field names and values; which names the proxy knows.
//!
//! A name is recognised once, when the head is parsed: by its length, its first byte and one
//! case-insensitive comparison. Everything later (framing, hop-by-hop rules, routing, logs)
//! compares one byte. Names keep the case they arrived in; RFC 9110 §5.1 makes them
//! case-insensitive, and some receivers still are not.
//!
//! Does not judge syntax (`h1` does) and knows no values.

use super::head::Span;

/// Declares the names the proxy knows: variant, spelling, and how the name is forwarded.
macro_rules! field_names {
    ($($variant:ident $spelling:literal $class:ident),+ $(,)?) => {
        /// A field name the proxy knows, or [`FieldName::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum FieldName {
            $(
                #[doc = concat!("`", $spelling, "`")]
                $variant,
            )+
            /// Any other name that begins with `X-Forwarded-`.
            XForwardedOther,
            /// Any other name; its bytes are in the head.
            Other,
        }

        impl FieldName {
            /// All names with a spelling of their own.
            pub const KNOWN: &'static [(Self, &'static str)] =
                &[$((Self::$variant, $spelling)),+];

            /// The usual spelling; empty for names without one.
            pub fn spelling(self) -> &'static str {
                match self {
                    $(Self::$variant => $spelling,)+
                    Self::XForwardedOther | Self::Other => "",
                }
            }

            /// How a field of this name is forwarded.
            pub(crate) fn class(self) -> Class {
                match self {
                    $(Self::$variant => Class::$class,)+
                    Self::XForwardedOther => Class::EndToEnd,
                    Self::Other => Class::Nominable,
                }
            }
        }
    };
}

/// How a field is forwarded; RFC 9110 §7.6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Concerns this connection only: never forwarded.
    HopByHop,
    /// The proxy writes it itself (message framing and `Host`): the received line is not copied.
    Rewritten,
    /// Forwarded, and `Connection` cannot remove it.
    EndToEnd,
    /// Forwarded unless `Connection` names it.
    Nominable,
}

field_names! {
    Host "Host" Rewritten,
    ContentLength "Content-Length" Rewritten,
    TransferEncoding "Transfer-Encoding" Rewritten,
    Connection "Connection" HopByHop,
    KeepAlive "Keep-Alive" HopByHop,
    ProxyConnection "Proxy-Connection" HopByHop,
    Te "TE" HopByHop,
    Trailer "Trailer" HopByHop,
    Upgrade "Upgrade" HopByHop,
    Http2Settings "HTTP2-Settings" HopByHop,
    ProxyAuthenticate "Proxy-Authenticate" HopByHop,
    ProxyAuthenticationInfo "Proxy-Authentication-Info" HopByHop,
    ProxyAuthorization "Proxy-Authorization" HopByHop,
    Expect "Expect" EndToEnd,
    MaxForwards "Max-Forwards" EndToEnd,
    Via "Via" EndToEnd,
    Forwarded "Forwarded" EndToEnd,
    XForwardedFor "X-Forwarded-For" EndToEnd,
    XForwardedProto "X-Forwarded-Proto" EndToEnd,
    XForwardedHost "X-Forwarded-Host" EndToEnd,
    XForwardedClientCert "X-Forwarded-Client-Cert" EndToEnd,
    XRealIp "X-Real-Ip" EndToEnd,
    XRequestId "X-Request-Id" EndToEnd,
    Date "Date" EndToEnd,
    Server "Server" EndToEnd,
    Authorization "Authorization" EndToEnd,
    WwwAuthenticate "WWW-Authenticate" EndToEnd,
    Cookie "Cookie" EndToEnd,
    SetCookie "Set-Cookie" EndToEnd,
    Origin "Origin" EndToEnd,
    Referer "Referer" EndToEnd,
    CacheControl "Cache-Control" EndToEnd,
    Pragma "Pragma" EndToEnd,
    Expires "Expires" EndToEnd,
    Age "Age" EndToEnd,
    Vary "Vary" EndToEnd,
    ETag "ETag" EndToEnd,
    LastModified "Last-Modified" EndToEnd,
    IfMatch "If-Match" EndToEnd,
    IfNoneMatch "If-None-Match" EndToEnd,
    IfModifiedSince "If-Modified-Since" EndToEnd,
    IfUnmodifiedSince "If-Unmodified-Since" EndToEnd,
    IfRange "If-Range" EndToEnd,
    Range "Range" EndToEnd,
    ContentRange "Content-Range" EndToEnd,
    AcceptRanges "Accept-Ranges" EndToEnd,
    ContentType "Content-Type" EndToEnd,
    ContentEncoding "Content-Encoding" EndToEnd,
    ContentDisposition "Content-Disposition" EndToEnd,
    ContentLocation "Content-Location" EndToEnd,
    Accept "Accept" EndToEnd,
    AcceptEncoding "Accept-Encoding" EndToEnd,
    AcceptLanguage "Accept-Language" EndToEnd,
    UserAgent "User-Agent" EndToEnd,
    Location "Location" EndToEnd,
    RetryAfter "Retry-After" EndToEnd,
    Allow "Allow" EndToEnd,
    StrictTransportSecurity "Strict-Transport-Security" EndToEnd,
    Traceparent "Traceparent" EndToEnd,
    Tracestate "Tracestate" EndToEnd,
}

const X_FORWARDED: &[u8] = b"x-forwarded-";

impl FieldName {
    /// The name that these bytes spell, in any case.
    ///
    /// *Cost*: one comparison in nearly all cases, no allocation.
    #[inline]
    pub fn recognise(name: &[u8]) -> Self {
        let Some(first) = name.first() else {
            return Self::Other;
        };
        let candidate = Self::candidate(name, first | 0x20);
        match candidate {
            Self::Other => Self::Other,
            Self::XForwardedOther => Self::forwarded(name),
            known => {
                let spelling = known.spelling().as_bytes();
                // Most peers use the usual spelling, and comparing whole words is several times
                // cheaper than folding case byte by byte.
                if name == spelling || name.eq_ignore_ascii_case(spelling) {
                    known
                } else {
                    Self::Other
                }
            }
        }
    }

    /// The only known name of this length and first byte; for a few, a later byte decides.
    #[inline]
    fn candidate(name: &[u8], first: u8) -> Self {
        let byte = |index: usize| name.get(index).copied().unwrap_or(0) | 0x20;
        match (name.len(), first) {
            (2, b't') => Self::Te,
            (3, b'v') => Self::Via,
            (3, b'a') => Self::Age,
            (4, b'h') => Self::Host,
            (4, b'd') => Self::Date,
            (4, b'v') => Self::Vary,
            (4, b'e') => Self::ETag,
            (5, b'r') => Self::Range,
            (5, b'a') => Self::Allow,
            (6, b'a') => Self::Accept,
            (6, b'c') => Self::Cookie,
            (6, b'e') => Self::Expect,
            (6, b'o') => Self::Origin,
            (6, b'p') => Self::Pragma,
            (6, b's') => Self::Server,
            (7, b'u') => Self::Upgrade,
            (7, b't') => Self::Trailer,
            (7, b'e') => Self::Expires,
            (7, b'r') => Self::Referer,
            (8, b'i') if byte(3) == b'm' => Self::IfMatch,
            (8, b'i') => Self::IfRange,
            (8, b'l') => Self::Location,
            (9, b'f') => Self::Forwarded,
            (9, b'x') => Self::XRealIp,
            (10, b'c') => Self::Connection,
            (10, b'k') => Self::KeepAlive,
            (10, b'u') => Self::UserAgent,
            (10, b's') => Self::SetCookie,
            (10, b't') => Self::Tracestate,
            (11, b't') => Self::Traceparent,
            (11, b'r') => Self::RetryAfter,
            (12, b'c') => Self::ContentType,
            (12, b'm') => Self::MaxForwards,
            (12, b'x') => Self::XRequestId,
            (13, b'a') if byte(1) == b'u' => Self::Authorization,
            (13, b'a') => Self::AcceptRanges,
            (13, b'c') if byte(1) == b'a' => Self::CacheControl,
            (13, b'c') => Self::ContentRange,
            (13, b'i') => Self::IfNoneMatch,
            (13, b'l') => Self::LastModified,
            (14, b'c') => Self::ContentLength,
            (14, b'h') => Self::Http2Settings,
            (15, b'a') if byte(7) == b'e' => Self::AcceptEncoding,
            (15, b'a') => Self::AcceptLanguage,
            (16, b'c') if byte(8) == b'e' => Self::ContentEncoding,
            (16, b'c') => Self::ContentLocation,
            (16, b'p') => Self::ProxyConnection,
            (16, b'w') => Self::WwwAuthenticate,
            (17, b't') => Self::TransferEncoding,
            (17, b'i') => Self::IfModifiedSince,
            (18, b'p') => Self::ProxyAuthenticate,
            (19, b'p') => Self::ProxyAuthorization,
            (19, b'c') => Self::ContentDisposition,
            (19, b'i') => Self::IfUnmodifiedSince,
            (25, b'p') => Self::ProxyAuthenticationInfo,
            (25, b's') => Self::StrictTransportSecurity,
            (13.., b'x') => Self::XForwardedOther,
            _ => Self::Other,
        }
    }

    /// Tells the `X-Forwarded-` names apart.
    #[inline]
    fn forwarded(name: &[u8]) -> Self {
        let Some((prefix, rest)) = name.split_at_checked(X_FORWARDED.len()) else {
            return Self::Other;
        };
        if !prefix.eq_ignore_ascii_case(X_FORWARDED) {
            return Self::Other;
        }
        if rest.eq_ignore_ascii_case(b"for") {
            Self::XForwardedFor
        } else if rest.eq_ignore_ascii_case(b"proto") {
            Self::XForwardedProto
        } else if rest.eq_ignore_ascii_case(b"host") {
            Self::XForwardedHost
        } else if rest.eq_ignore_ascii_case(b"client-cert") {
            Self::XForwardedClientCert
        } else {
            Self::XForwardedOther
        }
    }
}

/// One received field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What the name was recognised as.
    pub name: FieldName,
    /// The name as received.
    pub name_bytes: &'a [u8],
    /// The value without surrounding whitespace; may hold bytes above 0x7f, never controls
    /// except HTAB.
    pub value: &'a [u8],
}

/// One field line as ranges into the head's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldLine {
    /// What the name was recognised as.
    pub(crate) name: FieldName,
    /// Copied when the message is forwarded.
    pub(crate) forward: bool,
    /// The name as received.
    pub(crate) name_span: Span,
    /// The value without surrounding whitespace.
    pub(crate) value: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_5_1_every_known_name_is_recognised_in_any_case() {
        for &(name, spelling) in FieldName::KNOWN {
            for text in [
                spelling.to_owned(),
                spelling.to_ascii_lowercase(),
                spelling.to_ascii_uppercase(),
            ] {
                assert_eq!(FieldName::recognise(text.as_bytes()), name, "{text}");
            }
        }
    }

    #[test]
    fn rfc9110_5_1_a_name_that_differs_in_one_byte_is_not_recognised() {
        for &(name, spelling) in FieldName::KNOWN {
            for index in 0..spelling.len() {
                let mut text = spelling.as_bytes().to_vec();
                text[index] = b'~';
                assert_ne!(FieldName::recognise(&text), name, "{spelling} at {index}");
            }
            let longer = format!("{spelling}x");
            assert_ne!(FieldName::recognise(longer.as_bytes()), name);
        }
        assert_eq!(FieldName::recognise(b""), FieldName::Other);
        assert_eq!(FieldName::recognise(b"X-Forwarded-"), FieldName::Other);
        assert_eq!(
            FieldName::recognise(b"x-forwarded-port"),
            FieldName::XForwardedOther
        );
    }
}
