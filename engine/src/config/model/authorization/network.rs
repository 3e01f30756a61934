//! Blocks of addresses: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.
//!
//! An IPv4 address that is written as IPv6 (`::ffff:192.0.2.7`, what a dual-stack listener sees)
//! is the IPv4 address here: otherwise a rule for it would not hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNetwork {
    /// The first address; the bits after `length` are 0.
    address: IpAddr,
    length: u8,
}

impl IpNetwork {
    /// The block that `text` is: an address with a length, or one alone. `None` also if bits after
    /// the length are set, where one of the two must be a mistake.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((address, length)) => (address, Some(length)),
        };
        let address: IpAddr = address.parse().ok()?;
        if address != address.to_canonical() {
            return None;
        }
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let most = bits_of(address);
        let length = match length {
            None => most,
            Some(length) => length.parse().ok().filter(|_| digits(length))?,
        };
        (length <= most && masked(address, length) == address).then_some(Self { address, length })
    }

    /// The block of this length that holds `address`.
    #[must_use]
    pub fn of(address: IpAddr, length: u8) -> Self {
        let address = address.to_canonical();
        let length = length.min(bits_of(address));
        Self {
            address: masked(address, length),
            length,
        }
    }

    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.length) == self.address
    }

    /// Whether every address of `other` is one of them.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits they share.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    let drop = u32::from(bits_of(address).saturating_sub(length));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(drop).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(drop).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.length)
    }
}

impl Serialize for IpNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        IpNetwork::parse(text).expect(text)
    }

    #[test]
    fn blocks_hold_their_addresses_and_no_other() {
        for (block, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::192.0.2.7"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "::1", "127.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let network = network(block);
            assert!(network.contains(inside.parse().expect(inside)), "{block}");
            assert!(
                !network.contains(outside.parse().expect(outside)),
                "{block}"
            );
        }
    }

    #[test]
    fn only_whole_blocks_are_taken() {
        for text in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::1/64",
            "10.0.0/8",
            "::ffff:10.0.0.0/104",
            "localhost",
            "10.0.0.0/8/8",
            "2001:db8::/129",
        ] {
            assert_eq!(IpNetwork::parse(text), None, "{text:?}");
        }
        assert_eq!(network("10.0.0.0/8").to_string(), "10.0.0.0/8");
        assert_eq!(network("::1").to_string(), "::1/128");
    }

    #[test]
    fn covering() {
        assert!(network("10.0.0.0/8").covers(&network("10.1.0.0/16")));
        assert!(!network("10.1.0.0/16").covers(&network("10.0.0.0/8")));
        assert!(!network("0.0.0.0/0").covers(&network("::/0")));
        let mapped = "::ffff:10.2.3.4".parse().expect("an address");
        assert_eq!(IpNetwork::of(mapped, 16), network("10.2.0.0/16"));
    }
}
