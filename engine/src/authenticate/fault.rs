//! Why a caller is not who it would have to be.
//!
//! A closed list, so that each cause is counted apart. It is for the operator: what the caller is
//! told of it is a status and a challenge, which are decided elsewhere.

use super::requirement::MethodId;

/// What is missing or wrong. The caller is told no more than the status and the challenge; this is
/// for the access log and the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// No credentials that the route could use.
    CredentialsMissing,
    /// No client certificate, and nothing else would do.
    CertificateMissing,
    /// Credentials that cannot be read: several where one is asked for, not the right form.
    CredentialsMalformed,
    /// An API key that nobody has.
    ApiKeyUnknown,
    /// A user that does not exist, or another password than the user's.
    PasswordWrong,
    /// A token signed by an algorithm that the issuer may not use.
    TokenAlgorithm,
    /// A token signed with a key that the issuer does not have.
    TokenKeyUnknown,
    /// A token whose signature is not that of its key.
    TokenSignature,
    /// A token whose time is over.
    TokenExpired,
    /// A token whose time has not come.
    TokenNotYetValid,
    /// A token of another issuer.
    TokenIssuer,
    /// A token for somebody else.
    TokenAudience,
}

impl Fault {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 12] = [
        Self::CredentialsMissing,
        Self::CertificateMissing,
        Self::CredentialsMalformed,
        Self::ApiKeyUnknown,
        Self::PasswordWrong,
        Self::TokenAlgorithm,
        Self::TokenKeyUnknown,
        Self::TokenSignature,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::TokenIssuer,
        Self::TokenAudience,
    ];

    /// How much it tells of a credential: of what several methods say, the most is told. Far down
    /// is what an issuer says of any token that is not its own.
    pub(super) const fn weight(self) -> u8 {
        match self {
            Self::CredentialsMissing | Self::CertificateMissing => 0,
            Self::TokenAlgorithm | Self::TokenKeyUnknown => 1,
            Self::CredentialsMalformed => 2,
            Self::TokenSignature => 3,
            Self::TokenIssuer => 4,
            Self::TokenAudience
            | Self::TokenNotYetValid
            | Self::TokenExpired
            | Self::ApiKeyUnknown
            | Self::PasswordWrong => 5,
        }
    }

    /// It was said by the issuer that has signed the token: no other one would take it.
    pub(super) const fn is_final(self) -> bool {
        matches!(
            self,
            Self::TokenAudience | Self::TokenNotYetValid | Self::TokenExpired
        )
    }

    /// The name in logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::CredentialsMissing => "credentials_missing",
            Self::CertificateMissing => "certificate_missing",
            Self::CredentialsMalformed => "credentials_malformed",
            Self::ApiKeyUnknown => "api_key_unknown",
            Self::PasswordWrong => "password_wrong",
            Self::TokenAlgorithm => "token_algorithm",
            Self::TokenKeyUnknown => "token_key_unknown",
            Self::TokenSignature => "token_signature",
            Self::TokenExpired => "token_expired",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenIssuer => "token_issuer",
            Self::TokenAudience => "token_audience",
        }
    }
}

/// A request that is not served, and by which method it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is missing or wrong.
    pub fault: Fault,
    /// Whose credentials are.
    pub method: MethodId,
    /// The same more exactly, for the log; may be empty.
    pub detail: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_counted_at_its_own_place() {
        for (place, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place, "{fault:?}");
        }
    }
}
