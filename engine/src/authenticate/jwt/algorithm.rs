//! Signature algorithms: RFC 7518 §3.1, RFC 8037 §3.1.
//!
//! Only asymmetric ones exist here. There is no `none` to be switched on by mistake, and no HMAC
//! that could be made to take a public key for its secret (RFC 8725 §2.1).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, VerificationAlgorithm,
};

use crate::config::model::JwtAlgorithm;

/// How an algorithm takes its key.
pub(super) enum Family {
    /// Modulus and exponent.
    Rsa(&'static RsaParameters),
    /// A point of the curve with this name.
    Curve(&'static str, &'static dyn VerificationAlgorithm),
    /// The key of an Edwards curve with this name.
    Edwards(&'static str, &'static dyn VerificationAlgorithm),
}

/// How `algorithm` takes its key. The parameters bind hash, padding and curve.
pub(super) fn family(algorithm: JwtAlgorithm) -> Family {
    match algorithm {
        JwtAlgorithm::Rs256 => Family::Rsa(&RSA_PKCS1_2048_8192_SHA256),
        JwtAlgorithm::Rs384 => Family::Rsa(&RSA_PKCS1_2048_8192_SHA384),
        JwtAlgorithm::Rs512 => Family::Rsa(&RSA_PKCS1_2048_8192_SHA512),
        JwtAlgorithm::Ps256 => Family::Rsa(&RSA_PSS_2048_8192_SHA256),
        JwtAlgorithm::Ps384 => Family::Rsa(&RSA_PSS_2048_8192_SHA384),
        JwtAlgorithm::Ps512 => Family::Rsa(&RSA_PSS_2048_8192_SHA512),
        JwtAlgorithm::Es256 => Family::Curve("P-256", &ECDSA_P256_SHA256_FIXED),
        JwtAlgorithm::Es384 => Family::Curve("P-384", &ECDSA_P384_SHA384_FIXED),
        JwtAlgorithm::EdDsa => Family::Edwards("Ed25519", &ED25519),
    }
}
