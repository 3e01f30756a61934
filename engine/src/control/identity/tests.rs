//! Files made in a folder of the test, read back with the code that serves them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// 2026-01-01.
const NOW: Duration = Duration::from_secs(1_767_225_600);
const HOUR: Duration = Duration::from_secs(3600);

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("weft-identity-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn init(&self, domain: &str, now: Duration) -> Result<String, Fault> {
        let init = Init {
            trust_domain: domain.into(),
            authority: self.0.join("authority"),
            validity: 24 * HOUR * 365,
        };
        run(&Command::Init(init), now)
    }

    fn issue(&self, id: &str) -> Issue {
        Issue {
            id: id.into(),
            authority: self.0.join("authority"),
            directory: self.0.join("identity"),
            dns: Vec::new(),
            validity: 24 * HOUR,
            renew_before: None,
        }
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).expect(file)
    }

    fn shown(&self) -> Peer {
        let der = authority::leaf(&self.text("identity/svid.pem")).expect("a certificate");
        Peer::read(&der, NOW).expect("a valid identity")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn run_issue(issue: Issue, now: Duration) -> Result<String, Fault> {
    run(&Command::Issue(issue), now)
}

#[test]
fn an_authority_issues_an_identity_that_only_its_owner_can_read() {
    let scratch = Scratch::new("issues");
    let told = scratch.init("example.org", NOW).expect("made");
    assert!(
        told.contains("weft identity issue /NAME --authority "),
        "{told}"
    );
    let mut issue = scratch.issue("/ns/shop/orders");
    issue.dns = vec!["orders.example.org".into()];
    let told = run_issue(issue, NOW).expect("issued");
    assert!(told.contains("2026-01-02 00:00:00 UTC."), "{told}");
    let shown = scratch.shown();
    assert_eq!(shown.principal(), "spiffe://example.org/ns/shop/orders");
    assert_eq!(shown.names, [Box::from("orders.example.org")]);
    assert_eq!(shown.not_after, NOW + 24 * HOUR);
    for (file, expected) in [
        ("authority", 0o700),
        ("authority/authority.pem", 0o600),
        ("authority/bundle.pem", 0o644),
        ("identity", 0o700),
        ("identity/svid.pem", 0o600),
        ("identity/bundle.pem", 0o644),
    ] {
        assert_eq!(mode(&scratch.0.join(file)), expected, "{file}");
    }
    assert!(!scratch.text("identity/bundle.pem").contains("PRIVATE"));
    assert_eq!(
        scratch.text("identity/bundle.pem"),
        scratch.text("authority/bundle.pem")
    );
    // Nothing else is left.
    assert_eq!(
        fs::read_dir(scratch.0.join("identity"))
            .expect("read")
            .count(),
        2
    );
}

#[test]
fn an_authority_is_never_overwritten() {
    let scratch = Scratch::new("overwritten");
    scratch.init("example.org", NOW).expect("made");
    let before = scratch.text("authority/authority.pem");
    let fault = scratch
        .init("other.org", NOW)
        .expect_err("refused")
        .to_string();
    assert!(fault.contains("authority.pem is there already"), "{fault}");
    assert!(fault.contains("FIX"), "{fault}");
    assert_eq!(scratch.text("authority/authority.pem"), before);
    let bundle = scratch.text("authority/bundle.pem");
    assert!(before.starts_with(&bundle), "the bundle is still its own");
}

#[test]
fn an_identity_is_renewed_and_another_is_not_overwritten() {
    let scratch = Scratch::new("renewed");
    scratch.init("example.org", NOW).expect("made");
    run_issue(scratch.issue("/orders"), NOW).expect("issued");
    let first = scratch.text("identity/svid.pem");
    let mut later = scratch.issue("spiffe://example.org/orders");
    later.renew_before = Some(8 * HOUR);
    let told = run_issue(later, NOW + HOUR).expect("looked at");
    assert!(told.contains("nothing to do"), "{told}");
    assert_eq!(scratch.text("identity/svid.pem"), first);
    let mut later = scratch.issue("/orders");
    later.renew_before = Some(8 * HOUR);
    run_issue(later, NOW + 17 * HOUR).expect("renewed");
    let second = scratch.text("identity/svid.pem");
    let key = |text: &str| {
        text.split_once("PRIVATE KEY")
            .map(|parts| parts.1.to_owned())
    };
    assert_ne!(key(&first), key(&second), "with a new key");
    assert_eq!(scratch.shown().not_after, NOW + 41 * HOUR);
    // One that has expired is renewed as well.
    run_issue(scratch.issue("/orders"), NOW + 1000 * HOUR).expect("renewed");
    let fault = run_issue(scratch.issue("/users"), NOW).expect_err("refused");
    let fault = fault.to_string();
    assert!(
        fault.contains("the identity of spiffe://example.org/orders"),
        "{fault}"
    );
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let scratch = Scratch::new("readable");
    scratch.init("example.org", NOW).expect("made");
    run_issue(scratch.issue("/orders"), NOW).expect("issued");
    for (file, open, right) in [
        ("authority/authority.pem", 0o640, 0o600),
        ("authority", 0o755, 0o700),
        ("identity/svid.pem", 0o604, 0o600),
        ("identity", 0o711, 0o700),
    ] {
        let path = scratch.0.join(file);
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        set(open).expect("opened");
        let fault = run_issue(scratch.issue("/orders"), NOW)
            .expect_err(file)
            .to_string();
        assert!(fault.contains("Others can get at"), "{fault}");
        assert!(fault.contains(&format!("chmod {right:o} ")), "{fault}");
        set(right).expect("closed");
    }
    run_issue(scratch.issue("/orders"), NOW).expect("issued");
}

#[test]
fn nothing_outlives_its_authority() {
    let scratch = Scratch::new("outlives");
    scratch.init("example.org", NOW).expect("made");
    let end = NOW + 365 * 24 * HOUR;
    let told = run_issue(scratch.issue("/orders"), end - HOUR).expect("issued");
    assert!(
        told.contains("2027-01-01 00:00:00 UTC (when the authority ends)"),
        "{told}"
    );
    let fault = run_issue(scratch.issue("/orders"), end)
        .expect_err("refused")
        .to_string();
    assert!(fault.contains("has expired on 2027-01-01"), "{fault}");
}

#[test]
fn what_is_no_identity_is_refused_with_the_fix() {
    let scratch = Scratch::new("refused");
    let fault = run_issue(scratch.issue("/orders"), NOW).expect_err("no authority");
    assert!(fault.to_string().contains("weft identity init"), "{fault}");
    for domain in ["", "Example.org", "example.org/x", "a b"] {
        let fault = scratch.init(domain, NOW).expect_err(domain).to_string();
        assert!(fault.contains("is no trust domain"), "{fault}");
    }
    scratch.init("example.org", NOW).expect("made");
    for (id, why) in [
        ("orders", "is no SPIFFE ID"),
        ("/", "is no SPIFFE ID"),
        ("spiffe://example.org", "is no SPIFFE ID"),
        ("spiffe://other.org/orders", "is not in example.org"),
    ] {
        let fault = run_issue(scratch.issue(id), NOW).expect_err(id).to_string();
        assert!(fault.contains(why) && fault.contains("FIX"), "{fault}");
    }
    for name in ["", "a b", "\u{e9}.org"] {
        let mut issue = scratch.issue("/orders");
        issue.dns = vec![name.into()];
        assert!(run_issue(issue, NOW).is_err(), "{name}");
    }
    assert!(!scratch.0.join("identity/svid.pem").exists());
}

#[test]
fn an_authority_must_be_one() {
    let scratch = Scratch::new("foreign");
    scratch.init("example.org", NOW).expect("made");
    run_issue(scratch.issue("/orders"), NOW).expect("issued");
    let (authority, svid) = (
        scratch.text("authority/authority.pem"),
        scratch.text("identity/svid.pem"),
    );
    let key_of = |text: &str| text[text.find("-----BEGIN PRIVATE").expect("a key")..].to_owned();
    let certificate_of =
        |text: &str| text[..text.find("-----BEGIN PRIVATE").expect("a key")].to_owned();
    for (text, why) in [
        (String::new(), "holds no certificate"),
        (svid.clone(), "is not the authority"),
        (certificate_of(&authority), "holds no private key"),
        (
            certificate_of(&authority) + &key_of(&svid),
            "is not the certificate's",
        ),
    ] {
        fs::write(scratch.0.join("authority/authority.pem"), text).expect("written");
        let fault = run_issue(scratch.issue("/orders"), NOW)
            .expect_err(why)
            .to_string();
        assert!(fault.contains(why), "{fault}");
    }
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let scratch = Scratch::new("failed");
    scratch.init("example.org", NOW).expect("made");
    run_issue(scratch.issue("/orders"), NOW).expect("issued");
    let before = scratch.text("identity/svid.pem");
    // A folder cannot be replaced by a file.
    let bundle = scratch.0.join("identity/bundle.pem");
    fs::remove_file(&bundle).expect("removed");
    fs::create_dir(&bundle).expect("a folder");
    let fault = run_issue(scratch.issue("/orders"), NOW)
        .expect_err("refused")
        .to_string();
    assert!(fault.contains("bundle.pem cannot be written"), "{fault}");
    assert_eq!(scratch.text("identity/svid.pem"), before);
    assert_eq!(
        fs::read_dir(scratch.0.join("identity"))
            .expect("read")
            .count(),
        2
    );
}
