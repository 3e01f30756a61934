//! What may be tried again (pure).
//!
//! In: how an attempt failed and what is known about the request. Out: whether another attempt is
//! allowed, and where. The rule is one question: *could any of this request have been processed?*
//!
//! - Nothing was sent (connect failed): always, on another endpoint if there is one.
//! - A reused connection ended before the first byte of an answer: the peer closed it while we
//!   were sending (the keep-alive race, RFC 9112 §9.3.1). Once, on a fresh connection, and only if
//!   the method is idempotent: a proxy must not repeat others by itself (RFC 9110 §9.2.2).
//! - Anything else: never. In particular a fresh connection that dies before answering may have
//!   died *of* this request.
//!
//! And the request must still be whole: its body unsent, or all that was sent kept for replay.

use crate::http::Method;

/// How far the failed attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// No connection: nothing left this process.
    Nothing,
    /// The request went (at least partly) over a connection that had carried others before.
    SentOnReused,
    /// The request went over a connection made for it.
    SentOnFresh,
    /// A byte of the answer arrived.
    Answered,
}

/// What the next attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Another endpoint if there is one.
    Elsewhere,
    /// The same endpoint over a connection made for it.
    Fresh,
    /// Not at all.
    Never,
}

/// Whether the request may be tried again after the attempt number `attempts` failed.
///
/// *Input:* `replayable`: the body is unsent or wholly kept; `attempts_max` bounds connect
/// failures, the race is repeated once whatever it says.
pub(super) fn again(
    reached: Reached,
    method: Method,
    replayable: bool,
    raced_before: bool,
    attempts_left: bool,
) -> Again {
    match reached {
        Reached::Nothing if attempts_left && replayable => Again::Elsewhere,
        Reached::SentOnReused if replayable && !raced_before && is_idempotent(method) => {
            Again::Fresh
        }
        Reached::Nothing | Reached::SentOnReused | Reached::SentOnFresh | Reached::Answered => {
            Again::Never
        }
    }
}

/// RFC 9110 §9.2.2: repeating the request has the same effect as sending it once. An unknown
/// method is not assumed to be.
pub(super) const fn is_idempotent(method: Method) -> bool {
    match method {
        Method::Get
        | Method::Head
        | Method::Put
        | Method::Delete
        | Method::Options
        | Method::Trace => true,
        Method::Post | Method::Patch | Method::Connect | Method::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_9_2_2_only_idempotent_methods_are_repeated() {
        for (method, expected) in [
            (Method::Get, Again::Fresh),
            (Method::Head, Again::Fresh),
            (Method::Put, Again::Fresh),
            (Method::Delete, Again::Fresh),
            (Method::Options, Again::Fresh),
            (Method::Trace, Again::Fresh),
            (Method::Post, Again::Never),
            (Method::Patch, Again::Never),
            (Method::Connect, Again::Never),
            (Method::Other, Again::Never),
        ] {
            let decided = again(Reached::SentOnReused, method, true, false, true);
            assert_eq!(decided, expected, "{method:?}");
        }
    }

    #[test]
    fn rfc9112_9_3_1_a_failed_repetition_is_not_repeated() {
        let decided = again(Reached::SentOnReused, Method::Get, true, true, true);
        assert_eq!(decided, Again::Never);
    }

    #[test]
    fn a_body_that_is_gone_cannot_be_repeated() {
        let decided = again(Reached::SentOnReused, Method::Put, false, false, true);
        assert_eq!(decided, Again::Never);
    }

    #[test]
    fn a_fresh_connection_that_dies_may_have_died_of_the_request() {
        let decided = again(Reached::SentOnFresh, Method::Get, true, false, true);
        assert_eq!(decided, Again::Never);
    }

    #[test]
    fn an_answer_that_began_is_final() {
        let decided = again(Reached::Answered, Method::Get, true, false, true);
        assert_eq!(decided, Again::Never);
    }

    #[test]
    fn what_was_never_sent_goes_elsewhere_whatever_the_method() {
        let decided = again(Reached::Nothing, Method::Post, true, true, true);
        assert_eq!(decided, Again::Elsewhere);
        let decided = again(Reached::Nothing, Method::Post, true, false, false);
        assert_eq!(decided, Again::Never);
    }
}
