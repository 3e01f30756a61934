//! SETTINGS (RFC 9113 §6.5): what the peer announces, and what we do.
//!
//! Only what changes what we may send is kept. Values that cannot be are faults with the codes of
//! §6.5.2; settings that nobody knows are ignored.

use super::frame::{Kind, push_head};
use super::window::WINDOW_INITIAL;
use super::{ErrorCode, FRAME_BYTES_MAX, Fault};

const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// What the peer announces, as far as it matters to what we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Streams that we may have open at a time.
    pub streams_max: u32,
    /// What each new stream may send at first.
    pub window: u32,
    /// The longest frame payload it takes.
    pub frame_bytes_max: usize,
}

impl Settings {
    /// What holds before the peer has announced anything (§6.5.2).
    pub(crate) const fn initial() -> Self {
        Self {
            streams_max: u32::MAX,
            window: WINDOW_INITIAL,
            frame_bytes_max: FRAME_BYTES_MAX,
        }
    }

    /// Applies the payload of a frame. `from_client` says who sent it.
    pub(crate) fn apply(&mut self, payload: &[u8], from_client: bool) -> Result<(), Fault> {
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(Fault::frame_size(
                "SETTINGS of a length that is not a multiple of six",
            ));
        }
        for &[a, b, value @ ..] in settings {
            let value = u32::from_be_bytes(value);
            match u16::from_be_bytes([a, b]) {
                // Only a client may be pushed to.
                ENABLE_PUSH if value > 1 || (value == 1 && !from_client) => {
                    return Err(Fault::protocol("ENABLE_PUSH that cannot be"));
                }
                MAX_CONCURRENT_STREAMS => self.streams_max = value,
                INITIAL_WINDOW_SIZE if value > 0x7fff_ffff => {
                    return Err(Fault::flow_control("INITIAL_WINDOW_SIZE beyond 2^31 - 1"));
                }
                INITIAL_WINDOW_SIZE => self.window = value,
                MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => {
                    return Err(Fault::new(
                        ErrorCode::Protocol,
                        "MAX_FRAME_SIZE out of range",
                    ));
                }
                MAX_FRAME_SIZE => self.frame_bytes_max = value as usize,
                // HEADER_TABLE_SIZE bounds a table that we leave empty, MAX_HEADER_LIST_SIZE is
                // advice, and what is unknown is ignored.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends a client's SETTINGS: no push, this window for every stream.
pub(crate) fn push_client(out: &mut Vec<u8>, window: u32) {
    push(out, &[(ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, window)]);
}

/// Appends an origin's SETTINGS.
pub(crate) fn push_origin(out: &mut Vec<u8>, window: u32, streams_max: u32) {
    let list_bytes_max = super::FIELDS_BYTES_MAX as u32;
    push(
        out,
        &[
            (MAX_CONCURRENT_STREAMS, streams_max),
            (INITIAL_WINDOW_SIZE, window),
            (MAX_HEADER_LIST_SIZE, list_bytes_max),
        ],
    );
}

fn push(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    push_head(out, Kind::Settings, 0, 0, 6 * settings.len());
    for (name, value) in settings {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(settings: &[(u16, u32)], from_client: bool) -> Result<Settings, Fault> {
        let mut out = Vec::new();
        push(&mut out, settings);
        let mut peer = Settings::initial();
        peer.apply(&out[9..], from_client).map(|()| peer)
    }

    #[test]
    fn rfc9113_6_5_2_settings_are_applied_in_order_and_unknown_ones_ignored() {
        let given = [(3, 7), (4, 1), (4, 70_000), (5, 20_000), (1, 0), (0x99, 1)];
        let expected = Settings {
            streams_max: 7,
            window: 70_000,
            frame_bytes_max: 20_000,
        };
        assert_eq!(applied(&given, false), Ok(expected));
        assert_eq!(applied(&[(2, 1)], true), Ok(Settings::initial()));
    }

    #[test]
    fn rfc9113_6_5_2_values_out_of_range_are_errors_with_their_codes() {
        for (setting, code) in [
            ((2, 2), ErrorCode::Protocol),
            ((2, 1), ErrorCode::Protocol),
            ((4, 1 << 31), ErrorCode::FlowControl),
            ((5, 16_383), ErrorCode::Protocol),
            ((5, 1 << 24), ErrorCode::Protocol),
        ] {
            let error = applied(&[setting], false).expect_err("out of range");
            assert_eq!(error.code, code, "{setting:?}");
        }
        let mut peer = Settings::initial();
        let error = peer.apply(&[0; 5], false).expect_err("cut");
        assert_eq!(error.code, ErrorCode::FrameSize);
    }
}
