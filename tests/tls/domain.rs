//! A trust domain, as `weft identity` makes one.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::harness::{certificates::Certificate, proxy, scratch::Scratch};

/// The authority of a trust domain.
pub(super) struct Domain {
    scratch: Scratch,
    name: &'static str,
}

impl Domain {
    /// A new authority for the domain `name`.
    pub(super) fn new(name: &'static str) -> Self {
        let scratch = Scratch::new();
        let domain = Self { scratch, name };
        let place = domain.place();
        let words = ["init", "--trust-domain", name, "--authority", &place];
        expect(&identity(&words));
        domain
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn place(&self) -> String {
        self.scratch.file("authority").display().to_string()
    }

    /// The file with its certificate and key.
    pub(super) fn authority(&self) -> PathBuf {
        self.scratch.file("authority/authority.pem")
    }

    /// The file with its certificate.
    pub(super) fn bundle(&self) -> PathBuf {
        self.scratch.file("authority/bundle.pem")
    }

    /// Writes an identity into the folder `directory`.
    pub(super) fn issue(&self, path: &str, directory: &Path) -> Certificate {
        let id = format!("spiffe://{}{path}", self.name);
        let directory = directory.display().to_string();
        let place = self.place();
        let words = [
            "issue",
            &id,
            "--authority",
            &place,
            "--directory",
            &directory,
        ];
        expect(&identity(&words));
        let svid = Path::new(&directory).join("svid.pem");
        Certificate {
            chain: svid.clone(),
            key: svid,
        }
    }
}

/// Runs `weft identity` with these words.
fn identity(words: &[&str]) -> Output {
    proxy::output(proxy::weft().arg("identity").args(words))
}

fn expect(output: &Output) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
}
