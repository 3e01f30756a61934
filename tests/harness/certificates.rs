//! Certificates as an operator makes them: with openssl, in the folder of the test.
//!
//! An [`Authority`] issues leaves with the extensions that are asked for, revokes them and signs
//! OCSP responses. Paths are what configurations name.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{proxy::output, scratch::Scratch};

/// An authority and everything that it issued.
pub(crate) struct Authority {
    scratch: Scratch,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// As an inline table of a configuration.
    pub(crate) fn toml(&self) -> String {
        let (chain, key) = (self.chain.display(), self.key.display());
        format!("{{ chain = \"{chain}\", key = \"{key}\" }}")
    }

    /// Arguments with which curl shows it.
    pub(crate) fn curl(&self) -> [String; 4] {
        let path = |path: &Path| path.display().to_string();
        [
            "--cert".into(),
            path(&self.chain),
            "--key".into(),
            path(&self.key),
        ]
    }
}

impl Authority {
    /// A new authority.
    pub(crate) fn new() -> Self {
        let authority = Self {
            scratch: Scratch::new(),
        };
        for folder in ["index", "serial", "crlnumber"] {
            let content = if folder == "index" { "" } else { "1000\n" };
            authority.scratch.write(folder, content);
        }
        authority.scratch.write(
            "ca.cnf",
            "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nserial = serial\ncrlnumber = \
             crlnumber\nnew_certs_dir = .\ncertificate = ca.pem\nprivate_key = ca.key\ndefault_md = \
             sha256\npolicy = any\ndefault_crl_days = 30\nunique_subject = no\n\
             [any]\ncommonName = supplied\n",
        );
        authority.key("ca.key", &[]);
        authority.openssl(
            "req -x509 -new -key ca.key -out ca.pem -days 30 -subj /CN=authority \
             -addext keyUsage=critical,keyCertSign,cRLSign",
            &[],
        );
        authority
    }

    /// The file with its own certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.scratch.file("ca.pem")
    }

    /// A certificate for these names, such as `DNS:a.test,URI:spiffe://x/y`.
    pub(crate) fn issue(&self, name: &str, names: &str) -> Certificate {
        self.issue_with(name, names, "-days 10", &[])
    }

    /// A certificate as an auditor wants it: for some months, and with a place where its revocation
    /// would be listed. Nobody looks there.
    pub(crate) fn issue_revocable(&self, name: &str, names: &str) -> Certificate {
        let names = format!("{names}\ncrlDistributionPoints=URI:http://127.0.0.1/revoked.crl");
        self.issue_with(name, &names, "-days 80", &[])
    }

    /// A certificate with an RSA key.
    pub(crate) fn issue_rsa(&self, name: &str, names: &str) -> Certificate {
        self.issue_with(name, names, "-days 10", &["-algorithm", "RSA"])
    }

    /// A certificate that has expired.
    pub(crate) fn issue_expired(&self, name: &str, names: &str) -> Certificate {
        let then = "-startdate 20200101000000Z -enddate 20200201000000Z";
        self.issue_with(name, names, then, &[])
    }

    /// A certificate that expires so many seconds from now.
    pub(crate) fn issue_for_seconds(&self, name: &str, names: &str, seconds: u32) -> Certificate {
        let mut date = Command::new("date");
        date.args([
            "--utc",
            "--date",
            &format!("+{seconds} seconds"),
            "+%Y%m%d%H%M%SZ",
        ]);
        let then = String::from_utf8_lossy(&output(&mut date).stdout).into_owned();
        let validity = format!("-startdate 20200101000000Z -enddate {then}");
        self.issue_with(name, names, &validity, &[])
    }

    fn issue_with(
        &self,
        name: &str,
        names: &str,
        validity: &str,
        algorithm: &[&str],
    ) -> Certificate {
        let file = |ending: &str| format!("{name}.{ending}");
        self.key(&file("key"), algorithm);
        let mut extensions = String::from(
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage=serverAuth,clientAuth\n",
        );
        writeln!(extensions, "subjectAltName={names}").expect("text");
        self.scratch.write(&file("ext"), &extensions);
        let (key, csr, pem, ext) = (file("key"), file("csr"), file("pem"), file("ext"));
        self.openssl(
            &format!("req -new -key {key} -out {csr} -subj /CN={name}"),
            &[],
        );
        self.openssl(
            &format!(
                "ca -batch -config ca.cnf -in {csr} -out {pem} -notext -extfile {ext} {validity}"
            ),
            &[],
        );
        Certificate {
            chain: self.scratch.file(&pem),
            key: self.scratch.file(&key),
        }
    }

    /// Revokes a certificate; gives the file with the list of all that are revoked.
    pub(crate) fn revoke(&self, certificate: &Certificate) -> PathBuf {
        let pem = certificate.chain.display();
        self.openssl(&format!("ca -config ca.cnf -revoke {pem}"), &[]);
        self.openssl("ca -config ca.cnf -gencrl -out revoked.crl", &[]);
        self.scratch.file("revoked.crl")
    }

    /// An OCSP response that says that a certificate is good.
    pub(crate) fn ocsp_response(&self, certificate: &Certificate) -> PathBuf {
        let pem = certificate.chain.display();
        self.openssl(
            &format!("ocsp -issuer ca.pem -cert {pem} -reqout ocsp.request -no_nonce"),
            &[],
        );
        self.openssl(
            "ocsp -index index -rsigner ca.pem -rkey ca.key -CA ca.pem -ndays 5 \
             -reqin ocsp.request -respout ocsp.response",
            &[],
        );
        self.scratch.file("ocsp.response")
    }

    /// Another file in its folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        self.scratch.write(name, text)
    }

    fn key(&self, file: &str, algorithm: &[&str]) {
        let elliptic = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let algorithm = if algorithm.is_empty() {
            &elliptic
        } else {
            algorithm
        };
        self.openssl(&format!("genpkey -out {file}"), algorithm);
    }

    fn openssl(&self, line: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command.args(line.split_ascii_whitespace()).args(more);
        let ended = output(command.current_dir(self.scratch.file("")));
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "openssl {line}: {err}");
    }
}
