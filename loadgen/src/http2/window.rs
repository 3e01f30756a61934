//! Flow control (RFC 9113 §5.2 and §6.9): what may be sent, and what the peer may send.
//!
//! Numbers only: whose window it is, a stream's or the connection's, is the owner's business. A
//! window that grows too large, or that the peer does not keep within, is a fault.

use super::Fault;

/// The largest window (§6.9.1).
const WINDOW_MAX: i64 = (1 << 31) - 1;
/// Every window at first, unless SETTINGS say otherwise (§6.9.2).
pub(crate) const WINDOW_INITIAL: u32 = 65_535;

/// What the peer lets us send. Below zero after the peer has made its windows smaller (§6.9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendWindow(i64);

impl SendWindow {
    /// A window of this size.
    pub(crate) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// How many of `wanted` bytes may be sent now.
    pub(crate) fn allows(self, wanted: usize) -> usize {
        wanted.min(usize::try_from(self.0).unwrap_or(0))
    }

    /// They were sent.
    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.0 -= bytes as i64;
    }

    /// The peer moves the window by `change`.
    pub(crate) fn change(&mut self, change: i64) -> Result<(), Fault> {
        self.0 += change;
        if self.0 > WINDOW_MAX {
            return Err(Fault::flow_control("a window beyond 2^31 - 1"));
        }
        Ok(())
    }
}

/// What we let the peer send. It is opened again in large steps: what is received is used at once,
/// so a small WINDOW_UPDATE for every frame would only cost both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveWindow {
    size: u32,
    left: u32,
}

impl ReceiveWindow {
    /// A window of this size.
    pub(crate) const fn new(size: u32) -> Self {
        Self { size, left: size }
    }

    /// The peer has sent `bytes`.
    pub(crate) fn received(&mut self, bytes: usize) -> Result<(), Fault> {
        let left = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.ok_or(Fault::flow_control("more than the window allowed"))?;
        Ok(())
    }

    /// By how much to open it now: `None` as long as half of it is left.
    pub(crate) fn refill(&mut self) -> Option<u32> {
        let used = self.size - self.left;
        if used <= self.size / 2 {
            return None;
        }
        self.left = self.size;
        Some(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9113_6_9_2_a_window_can_fall_below_zero_and_comes_back() {
        let mut window = SendWindow::new(10);
        assert_eq!((window.allows(4), window.allows(40)), (4, 10));
        window.sent(10);
        assert_eq!(window.change(-5), Ok(()));
        assert_eq!(window.allows(1), 0);
        assert_eq!(window.change(8), Ok(()));
        assert_eq!(window.allows(9), 3);
    }

    #[test]
    fn rfc9113_6_9_1_a_window_has_at_most_31_bits() {
        let mut window = SendWindow::new(1);
        assert_eq!(window.change(WINDOW_MAX - 1), Ok(()));
        assert!(window.change(1).is_err());
    }

    #[test]
    fn rfc9113_6_9_the_peer_keeps_within_the_window_and_gets_it_back_in_large_steps() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.received(50), Ok(()));
        assert_eq!(window.refill(), None);
        assert_eq!(window.received(1), Ok(()));
        assert_eq!(window.refill(), Some(51));
        assert_eq!(window.received(100), Ok(()));
        assert!(window.received(1).is_err());
    }
}
