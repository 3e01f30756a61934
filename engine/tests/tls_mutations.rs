//! Certificates, PEM files and TLS hellos that nobody thought of, made from good ones by breaking
//! them: what the fuzzer checks, without a fuzzer.
//!
//! Each run tries the same ones; `WEFT_TESTS_MUTATIONS` sets how many. A case that fails prints
//! its seed.

#[path = "../../tests/fuzz/bodies/certificate.rs"]
mod certificate;
#[path = "../../tests/harness/dice.rs"]
mod dice;
#[path = "../../tests/fuzz/bodies/hello.rs"]
mod hello;
#[path = "../../tests/fuzz/bodies/pem.rs"]
mod pem;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::client::{ClientConfig, ClientConnection};

use dice::Dice;

fn count() -> u64 {
    let wanted = std::env::var("WEFT_TESTS_MUTATIONS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

/// Breaks good inputs and checks each; every input is as it was in one of eight.
fn try_all(originals: &[Vec<u8>], tokens: &[&[u8]], check: impl Fn(&[u8])) {
    for seed in 0..count() {
        let mut dice = Dice::new(seed);
        let mut bytes = dice.pick(originals).clone();
        for _ in 0..dice.below(8) {
            let at = dice.below(bytes.len().max(1));
            match dice.below(6) {
                0 | 1 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << dice.below(8);
                    }
                }
                2 => bytes.truncate(at),
                3 => {
                    bytes.drain(at..(at + dice.below(9)).min(bytes.len()));
                }
                4 => {
                    let end = (at + dice.below(64)).min(bytes.len());
                    let copy: Vec<u8> = bytes.get(at..end).unwrap_or_default().to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => {
                    let token = dice.pick(tokens);
                    let at = at.min(bytes.len());
                    bytes.splice(at..at, token.iter().copied());
                }
            }
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&bytes)));
        assert!(outcome.is_ok(), "seed {seed}: {}", bytes.escape_ascii());
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// Certificates of every kind that is told apart, with the key of the last.
fn certificates() -> (Vec<rcgen::Certificate>, KeyPair) {
    let authority = authority();
    let key = KeyPair::generate().expect("a key");
    let uri = |id: &str| SanType::URI(id.to_owned().try_into().expect("a URI"));
    let names: [Vec<SanType>; 4] = [
        vec![uri("spiffe://example.org/ns/shop/orders")],
        vec![uri("spiffe://example.org/a"), uri("https://a.test/")],
        vec![SanType::DnsName(
            "a.test".to_owned().try_into().expect("a name"),
        )],
        Vec::new(),
    ];
    let issue = |names: Vec<SanType>| {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(2100, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let subject = "a, \"quoted\" \\ name; URI=spiffe://example.org/admin";
        params.distinguished_name.push(DnType::CommonName, subject);
        params.subject_alt_names = names;
        params.signed_by(&key, &authority).expect("signed")
    };
    (names.into_iter().map(issue).collect(), key)
}

#[test]
fn a_certificate_never_pretends_to_be_two() {
    let (certificates, _) = certificates();
    let originals: Vec<Vec<u8>> = certificates.iter().map(|one| one.der().to_vec()).collect();
    let taken = originals
        .iter()
        .filter(|der| certificate::check(der))
        .count();
    assert_eq!(taken, 3, "all but the one with two URIs");
    let tokens: [&[u8]; 6] = [
        b"spiffe://x.org/y",
        b"\",URI=spiffe://x.org/y",
        b"\x86\x10spiffe://x.org/y",
        b"\x82\x05a;b,c",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
    ];
    try_all(&originals, &tokens, |bytes| {
        certificate::check(bytes);
    });
}

#[test]
fn a_pem_file_is_read_or_refused_with_a_reason() {
    let (certificates, key) = certificates();
    let crl = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2100, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crl = crl.signed_by(&authority()).expect("signed");
    let chain = certificates.last().expect("one").pem();
    let svid = format!("{chain}{}", key.serialize_pem());
    let originals = [svid, authority().pem(), crl.pem().expect("PEM")];
    let originals = originals.map(String::into_bytes);
    assert_eq!(originals.each_ref().map(|text| pem::check(text)), [3, 2, 1]);
    let tokens: [&[u8]; 6] = [
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
        b"\n\n",
        b"====",
    ];
    try_all(&originals, &tokens, |bytes| {
        pem::check(bytes);
    });
}

/// What rustls says first to `name`.
fn client_hello(name: &str) -> Vec<u8> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().expect("a name");
    let mut connection = ClientConnection::new(config.into(), name).expect("a connection");
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).expect("written");
    bytes
}

#[test]
fn a_hello_is_the_same_however_it_is_cut() {
    let originals = ["a.test", "127.0.0.1"].map(client_hello);
    assert!(originals.iter().all(|bytes| hello::check(bytes)));
    let tokens: [&[u8]; 6] = [
        b"\x16\x03\x01\x00\x01",
        b"\x16\x03\x03\x40\x00",
        b"\x00\x00\x00\x0b\x00\x09\x00\x00\x06b.test",
        b"\x01\x00\x00\x04",
        b"\x00\x00",
        b"\xff\xff",
    ];
    try_all(&originals, &tokens, |bytes| {
        hello::check(bytes);
    });
}
