//! Both ends of a connection in memory, cut into pieces of every size; and files that are wrong.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;

use super::certificates::Asked;
use super::channel::{Channel, Handshake, Side};
use super::error::HandshakeError;
use super::files::{Fault, Files};
use super::peer::Peer;
use super::settings;
use crate::config::{
    CertificateFiles, ClientCertificate, ClientIdentities, ClusterTls, ListenerTls, SpiffeId,
    TlsVersion,
};
use crate::io::{Cipher, Opened};

/// An authority and the folder of its certificates, which goes when the test ends.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("weft-tls-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, test);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        fs::write(folder.join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, folder }
    }

    fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate as `adjust` wants it, under `name`.
    fn issue(&self, name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> CertificateFiles {
        let mut params = CertificateParams::new(vec![format!("{name}.test")]).expect("a name");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, name);
        adjust(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let files = CertificateFiles {
            chain: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
            ocsp: None,
        };
        fs::write(&files.chain, certificate.pem()).expect("written");
        fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn listener(certificates: Vec<CertificateFiles>) -> ListenerTls {
    ListenerTls {
        min_version: TlsVersion::Tls12,
        client_certificate: ClientCertificate::Off,
        client_ca: None,
        client_crls: Vec::new(),
        client_identities: None,
        certificates,
    }
}

fn cluster(authority: &Authority) -> ClusterTls {
    ClusterTls {
        min_version: TlsVersion::Tls12,
        server_name: Some("a.test".into()),
        identity: None,
        ca: Some(authority.ca()),
        crls: Vec::new(),
        certificate: None,
    }
}

/// One end in memory: a channel, what it has to say and what it was told.
struct End {
    channel: Channel,
    handshake: Handshake,
    out: Vec<u8>,
    told: Vec<u8>,
    opened: Opened,
}

impl End {
    fn new(side: Side) -> Self {
        let (side, handshake) = (Rc::new(RefCell::new(side)), Handshake::default());
        let mut channel = Channel::new(side, Rc::clone(&handshake));
        let mut out = Vec::new();
        let opened = channel.open(&mut [], &mut Vec::new(), &mut out);
        Self {
            channel,
            handshake,
            out,
            told: Vec::new(),
            opened,
        }
    }

    fn hear(&mut self, bytes: &mut [u8]) {
        if self.opened == Opened::More {
            self.opened = self.channel.open(bytes, &mut self.told, &mut self.out);
        }
    }

    fn result(&self) -> Option<Result<(), HandshakeError>> {
        *self.handshake.borrow()
    }
}

fn pair(listener: &ListenerTls, cluster: &ClusterTls) -> [End; 2] {
    pair_with(listener, cluster, None)
}

fn pair_with(listener: &ListenerTls, cluster: &ClusterTls, fragment: Option<usize>) -> [End; 2] {
    let settings::Listening {
        config: mut server,
        certificates,
        ..
    } = settings::server(listener, Files::default()).expect("a listener");
    server.cert_resolver = Arc::new(Asked::new(certificates, Arc::new(OnceLock::new())));
    server.max_fragment_size = fragment;
    let client = settings::client(cluster, Files::default())
        .expect("a cluster")
        .config;
    let name = cluster.server_name.clone().expect("a name");
    let name = ServerName::try_from(name).expect("a name");
    let server = UnbufferedServerConnection::new(server.into()).expect("a connection");
    let client = UnbufferedClientConnection::new(client.into(), name).expect("a connection");
    [
        End::new(Side::Client(client)),
        End::new(Side::Server(server)),
    ]
}

/// Carries what either end has to say to the other, `piece` bytes at a time, until both are silent.
fn exchange([client, server]: &mut [End; 2], piece: usize) {
    while !client.out.is_empty() || !server.out.is_empty() {
        for piece in std::mem::take(&mut client.out).chunks_mut(piece) {
            server.hear(piece);
        }
        for piece in std::mem::take(&mut server.out).chunks_mut(piece) {
            client.hear(piece);
        }
    }
}

#[test]
fn rfc8446_5_1_records_may_be_cut_anywhere() {
    let authority = Authority::new("cut");
    let listener = listener(vec![authority.issue("a", |_| ())]);
    let content: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
    for min_version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        for piece in [1, 2, 3, 5, 7, 64, 1_000, 16_401, 100_000] {
            let mut listener = listener.clone();
            listener.min_version = min_version;
            let mut ends = pair(&listener, &cluster(&authority));
            exchange(&mut ends, piece);
            assert_eq!(
                ends.each_ref().map(End::result),
                [Some(Ok(())); 2],
                "{piece}"
            );
            for record in content.chunks(limits_record()) {
                for end in &mut ends {
                    let sealed = end.channel.seal(record, &mut end.out);
                    assert_eq!(sealed, Ok(()));
                }
            }
            exchange(&mut ends, piece);
            for end in &mut ends {
                assert!(end.told == content, "pieces of {piece}");
                end.channel.finish(&mut end.out);
            }
            exchange(&mut ends, piece);
            let opened = ends.each_ref().map(|end| end.opened);
            assert_eq!(opened, [Opened::Finished; 2], "pieces of {piece}");
        }
    }
}

#[test]
fn rfc8446_5_1_a_message_in_several_records_is_no_hindrance_to_sending() {
    let authority = Authority::new("fragments");
    let listener = listener(vec![authority.issue("a", |_| ())]);
    let [mut client, mut server] = pair_with(&listener, &cluster(&authority), Some(64));
    while server.result().is_none() {
        for end in [&mut client, &mut server] {
            assert_eq!(end.opened, Opened::More);
        }
        server.hear(&mut std::mem::take(&mut client.out));
        if server.result().is_none() {
            client.hear(&mut std::mem::take(&mut server.out));
        }
    }
    // What is left to say are tickets, in records that hold a part of a message each.
    let mut tickets = std::mem::take(&mut server.out);
    assert!(tickets.len() > 300, "{} bytes", tickets.len());
    for byte in tickets.chunks_mut(1) {
        client.hear(byte);
        client.channel.seal(b"x", &mut client.out).expect("sealed");
    }
    server.hear(&mut std::mem::take(&mut client.out));
    assert_eq!((client.opened, server.opened), (Opened::More, Opened::More));
    assert_eq!(server.told.len(), tickets.len());
}

const fn limits_record() -> usize {
    crate::limits::SEAL_RECORD_BYTES
}

#[test]
fn a_changed_byte_breaks_the_connection_and_the_peer_is_told() {
    let authority = Authority::new("changed");
    let listener = listener(vec![authority.issue("a", |_| ())]);
    let mut ends = pair(&listener, &cluster(&authority));
    exchange(&mut ends, 1_000);
    let [client, server] = &mut ends;
    client
        .channel
        .seal(b"pay 1", &mut client.out)
        .expect("sealed");
    let mut sealed = std::mem::take(&mut client.out);
    if let Some(last) = sealed.last_mut() {
        *last ^= 1;
    }
    server.hear(&mut sealed);
    assert_eq!((server.opened, server.told.len()), (Opened::Broken, 0));
    assert!(!server.out.is_empty(), "an alert");
    assert!(server.channel.seal(b"x", &mut Vec::new()).is_err());
}

#[test]
fn a_request_in_clear_text_is_answered_in_clear_text() {
    let authority = Authority::new("clear");
    let [_, mut server] = pair(
        &listener(vec![authority.issue("a", |_| ())]),
        &cluster(&authority),
    );
    server.hear(&mut b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec());
    assert_eq!(server.result(), Some(Err(HandshakeError::NotTls)));
    let answer = String::from_utf8(server.out).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{head}"
    );
    // What is neither gets nothing back.
    let [_, mut server] = pair(
        &listener(vec![authority.issue("a", |_| ())]),
        &cluster(&authority),
    );
    server.hear(&mut b"\x00\x01\x02\x03".to_vec());
    assert_eq!((server.opened, server.out.len()), (Opened::Broken, 0));
}

#[test]
fn whoever_must_prove_something_does_or_is_refused() {
    let authority = Authority::new("prove");
    let other = Authority::new("prove-other");
    let spiffe = |id: &str| {
        let id = id.to_owned();
        move |params: &mut CertificateParams| {
            params.subject_alt_names = vec![SanType::URI(id.try_into().expect("a URI"))];
        }
    };
    let shown = authority.issue("a", |_| ());
    let workload = authority.issue("w", spiffe("spiffe://x.org/w"));
    let required = |files: &CertificateFiles| ListenerTls {
        client_certificate: ClientCertificate::Required,
        client_ca: Some(authority.ca()),
        ..listener(vec![files.clone()])
    };
    let with = |certificate: Option<CertificateFiles>, name: &str, id: Option<&str>| ClusterTls {
        certificate,
        server_name: Some(name.into()),
        identity: id.and_then(SpiffeId::parse),
        ..cluster(&authority)
    };
    let results = |listener: &ListenerTls, cluster: &ClusterTls| {
        let mut ends = pair(listener, cluster);
        exchange(&mut ends, 10_000);
        ends.each_ref().map(End::result)
    };
    let good = with(Some(workload.clone()), "a.test", None);
    assert_eq!(results(&required(&shown), &good), [Some(Ok(())); 2]);
    // The listener refuses.
    let [_, server] = results(&required(&shown), &with(None, "a.test", None));
    assert_eq!(server, Some(Err(HandshakeError::CertificateRequired)));
    let stranger = with(Some(other.issue("s", |_| ())), "a.test", None);
    let [_, server] = results(&required(&shown), &stranger);
    assert_eq!(server, Some(Err(HandshakeError::CertificateUnknownIssuer)));
    // The cluster refuses, and the listener is told by an alert.
    let [client, server] = results(&required(&shown), &with(None, "b.test", None));
    assert_eq!(client, Some(Err(HandshakeError::CertificateName)));
    assert_eq!(server, Some(Err(HandshakeError::Alert)));
    let [client, _] = results(&listener(vec![other.issue("a", |_| ())]), &good);
    assert_eq!(client, Some(Err(HandshakeError::CertificateUnknownIssuer)));
    // X.509-SVID §5: an identity instead of a name.
    let right = with(None, "any.test", Some("spiffe://x.org/w"));
    assert_eq!(
        results(&listener(vec![workload.clone()]), &right),
        [Some(Ok(())); 2]
    );
    let wrong = with(None, "any.test", Some("spiffe://x.org/v"));
    let [client, _] = results(&listener(vec![workload]), &wrong);
    assert_eq!(client, Some(Err(HandshakeError::CertificateName)));
    let [client, _] = results(&listener(vec![shown.clone()]), &right);
    assert_eq!(client, Some(Err(HandshakeError::CertificateName)));
    // The same of clients.
    let own = |files: &CertificateFiles| ListenerTls {
        client_identities: Some(ClientIdentities::OwnTrustDomain),
        ..required(files)
    };
    let workload = authority.issue("w", spiffe("spiffe://x.org/w"));
    let as_ = |certificate: CertificateFiles| with(Some(certificate), "a.test", None);
    let at_home = |params: &mut CertificateParams| {
        let id = "spiffe://x.org/home".to_owned().try_into().expect("a URI");
        params.subject_alt_names.push(SanType::URI(id));
    };
    let home = authority.issue("a", at_home);
    assert_eq!(results(&own(&home), &as_(workload)), [Some(Ok(())); 2]);
    let abroad = authority.issue("v", spiffe("spiffe://y.org/w"));
    for other in [abroad, authority.issue("n", |_| ())] {
        let [_, server] = results(&own(&home), &as_(other));
        assert_eq!(server, Some(Err(HandshakeError::CertificateName)));
    }
    let nobody = authority.issue("a", |_| ());
    let faults = settings::server(&own(&nobody), Files::default()).expect_err("no trust domain");
    assert!(faults[0].message.contains("has no SPIFFE ID"), "{faults:?}");
}

#[test]
fn x509_svid_2_to_4_who_has_an_identity() {
    let authority = Authority::new("svid");
    let peer = |name: &str, uris: &[&str], adjust: fn(&mut CertificateParams)| {
        let files = authority.issue(name, |params| {
            let uris = uris.iter().map(|uri| (*uri).to_owned());
            let uris = uris.map(|uri| SanType::URI(uri.try_into().expect("a URI")));
            params.subject_alt_names.extend(uris);
            adjust(params);
        });
        let pem = fs::read(files.chain).expect("a file");
        let chain = CertificateDer::from_pem_slice(&pem).expect("PEM");
        Peer::read(&chain, super::accept::since_1970())
    };
    let none: fn(&mut CertificateParams) = |_| ();
    let id = |peer: Result<Peer, HandshakeError>| {
        peer.map(|peer| peer.identity.map(|identity| identity.to_string()))
    };
    let invalid = Err(HandshakeError::CertificateInvalid);
    let right = "spiffe://x.org/w";
    assert_eq!(id(peer("a", &[right], none)), Ok(Some(right.into())));
    assert_eq!(id(peer("b", &[], none)), Ok(None));
    assert_eq!(id(peer("c", &["https://x.org/w"], none)), Ok(None));
    assert_eq!(id(peer("d", &[right, "https://x.org"], none)), invalid);
    assert_eq!(id(peer("e", &["https://x.org", right], none)), invalid);
    assert_eq!(id(peer("f", &["spiffe://x.org"], none)), invalid);
    assert_eq!(id(peer("g", &["SPIFFE://x.org/w"], none)), invalid);
    let signs = |params: &mut CertificateParams| {
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    };
    assert_eq!(id(peer("h", &[right], signs)), invalid);
    let is_ca = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    assert_eq!(id(peer("i", &[right], is_ca)), invalid);
    let unsaid = |params: &mut CertificateParams| params.key_usages.clear();
    assert_eq!(id(peer("j", &[right], unsaid)), invalid);
    let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    assert_eq!(
        id(peer("k", &[right], past)),
        Err(HandshakeError::CertificateExpired)
    );
}

#[test]
fn files_that_are_wrong_are_named_with_the_reason() {
    let authority = Authority::new("files");
    let good = authority.issue("good", |_| ());
    let other = authority.issue("other", |_| ());
    let old = authority.issue("old", |params| params.not_after = date_time_ymd(2021, 1, 1));
    let young = authority.issue("young", |params| {
        params.not_before = date_time_ymd(2999, 1, 1)
    });
    let put = |name: &str, content: String| {
        let path = authority.folder.join(name);
        fs::write(&path, content).expect("written");
        path
    };
    let text = |path: &Path| fs::read_to_string(path).expect("a file");
    let unordered = put("unordered", text(&good.chain) + &text(&other.chain));
    let empty = put("empty", String::new());
    let locked = put("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n".into());
    let missing = authority.folder.join("missing");
    let files = |chain: &Path, key: &Path| CertificateFiles {
        chain: chain.into(),
        key: key.into(),
        ocsp: None,
    };
    let check = |shown: CertificateFiles, field: &str, complaint: &str| {
        let faults = settings::server(&listener(vec![shown]), Files::default()).map(|_| ());
        let faults: Vec<Fault> = faults.expect_err(complaint);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(
            faults[0].field,
            format!("certificates[0].{field}"),
            "{faults:?}"
        );
        assert!(faults[0].message.contains(complaint), "{faults:?}");
    };
    check(files(&missing, &good.key), "chain", "cannot be opened");
    check(files(&empty, &good.key), "chain", "holds no certificate");
    check(files(&good.key, &good.key), "chain", "holds no certificate");
    check(files(&good.chain, &other.key), "key", "is not the key");
    check(files(&good.chain, &empty), "key", "holds no private key");
    check(files(&good.chain, &locked), "key", "encrypted");
    check(files(&unordered, &good.key), "chain", "out of order");
    check(old, "chain", "has expired");
    check(young, "chain", "not valid before");
    let ocsp = CertificateFiles {
        ocsp: Some(good.chain.clone()),
        ..good.clone()
    };
    check(ocsp, "ocsp", "OCSP");
    // All faults at once, and two certificates that contradict each other.
    let shown = vec![good.clone(), good.clone(), files(&missing, &empty)];
    let twice = settings::server(&listener(shown), Files::default());
    let twice = twice.map(|_| ()).expect_err("three faults");
    let fields: Vec<&str> = twice.iter().map(|fault| fault.field.as_str()).collect();
    let expected = [
        "certificates[1].chain",
        "certificates[2].chain",
        "certificates[2].key",
    ];
    assert_eq!(fields, expected);
    assert!(twice[0].message.contains("good.test"), "{twice:?}");
    let bad_ca = ListenerTls {
        client_certificate: ClientCertificate::Required,
        client_ca: Some(good.key.clone()),
        ..listener(vec![good])
    };
    let faults = settings::server(&bad_ca, Files::default())
        .map(|_| ())
        .expect_err("no authority");
    assert_eq!(faults[0].field, "client_ca");
}
