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
            #[inline(always)]
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
    Upgrade "Upgrade" HopByHop,
    Expect "Expect" EndToEnd,
    MaxForwards "Max-Forwards" EndToEnd,
    ProxyConnection "Proxy-Connection" HopByHop,
    Te "TE" HopByHop,
    Trailer "Trailer" HopByHop,
    Http2Settings "HTTP2-Settings" HopByHop,
    ProxyAuthenticate "Proxy-Authenticate" HopByHop,
    ProxyAuthenticationInfo "Proxy-Authentication-Info" HopByHop,
    ProxyAuthorization "Proxy-Authorization" HopByHop,
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
    /// How many names, the first ones, rules ask for; see `Notes`.
    pub(super) const NOTED: usize = Self::MaxForwards as usize + 1;

    /// The name that these bytes spell, in any case.
    ///
    /// *Cost*: one comparison in nearly all cases, no allocation.
    #[inline]
    pub fn recognise(name: &[u8]) -> Self {
        // The only known name of this length and first byte; for a few, a later byte decides.
        let byte = |index: usize| name.get(index).copied().unwrap_or(0) | 0x20;
        let is = |known: Self| known.if_spelt(name);
        match (name.len(), byte(0)) {
            (2, b't') => is(Self::Te),
            (3, b'v') => is(Self::Via),
            (3, b'a') => is(Self::Age),
            (4, b'h') => is(Self::Host),
            (4, b'd') => is(Self::Date),
            (4, b'v') => is(Self::Vary),
            (4, b'e') => is(Self::ETag),
            (5, b'r') => is(Self::Range),
            (5, b'a') => is(Self::Allow),
            (6, b'a') => is(Self::Accept),
            (6, b'c') => is(Self::Cookie),
            (6, b'e') => is(Self::Expect),
            (6, b'o') => is(Self::Origin),
            (6, b'p') => is(Self::Pragma),
            (6, b's') => is(Self::Server),
            (7, b'u') => is(Self::Upgrade),
            (7, b't') => is(Self::Trailer),
            (7, b'e') => is(Self::Expires),
            (7, b'r') => is(Self::Referer),
            (8, b'i') if byte(3) == b'm' => is(Self::IfMatch),
            (8, b'i') => is(Self::IfRange),
            (8, b'l') => is(Self::Location),
            (9, b'f') => is(Self::Forwarded),
            (9, b'x') => is(Self::XRealIp),
            (10, b'c') => is(Self::Connection),
            (10, b'k') => is(Self::KeepAlive),
            (10, b'u') => is(Self::UserAgent),
            (10, b's') => is(Self::SetCookie),
            (10, b't') => is(Self::Tracestate),
            (11, b't') => is(Self::Traceparent),
            (11, b'r') => is(Self::RetryAfter),
            (12, b'c') => is(Self::ContentType),
            (12, b'm') => is(Self::MaxForwards),
            (12, b'x') => is(Self::XRequestId),
            (13, b'a') if byte(1) == b'u' => is(Self::Authorization),
            (13, b'a') => is(Self::AcceptRanges),
            (13, b'c') if byte(1) == b'a' => is(Self::CacheControl),
            (13, b'c') => is(Self::ContentRange),
            (13, b'i') => is(Self::IfNoneMatch),
            (13, b'l') => is(Self::LastModified),
            (14, b'c') => is(Self::ContentLength),
            (14, b'h') => is(Self::Http2Settings),
            (15, b'a') if byte(7) == b'e' => is(Self::AcceptEncoding),
            (15, b'a') => is(Self::AcceptLanguage),
            (16, b'c') if byte(8) == b'e' => is(Self::ContentEncoding),
            (16, b'c') => is(Self::ContentLocation),
            (16, b'p') => is(Self::ProxyConnection),
            (16, b'w') => is(Self::WwwAuthenticate),
            (17, b't') => is(Self::TransferEncoding),
            (17, b'i') => is(Self::IfModifiedSince),
            (18, b'p') => is(Self::ProxyAuthenticate),
            (19, b'p') => is(Self::ProxyAuthorization),
            (19, b'c') => is(Self::ContentDisposition),
            (19, b'i') => is(Self::IfUnmodifiedSince),
            (25, b'p') => is(Self::ProxyAuthenticationInfo),
            (25, b's') => is(Self::StrictTransportSecurity),
            (13.., b'x') => Self::forwarded(name),
            _ => Self::Other,
        }
    }

    /// This name, if the bytes spell it. Inlined where the name is known, so that its length is.
    #[inline(always)]
    fn if_spelt(self, name: &[u8]) -> Self {
        let spelling = self.spelling().as_bytes();
        // Most peers use the usual spelling, and comparing whole words is several times cheaper
        // than folding case byte by byte.
        if name == spelling || name.eq_ignore_ascii_case(spelling) {
            self
        } else {
            Self::Other
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
