//! `weft identity`: an authority of one's own and the identities it issues, for development and
//! small sites.
//!
//! In: a command and the folders it names. Out: files, and a text that says what was made, until
//! when it holds and what comes next; or a [`Fault`] with the fix. `authority.rs` makes the
//! certificates, `folder.rs` keeps the files.
//!
//! What must stay true: a key is never readable by others, not for a moment; what exists is not
//! overwritten unless it is the same identity's; a reader sees a whole file or the one before, and
//! a certificate always with its own key, since both are in one file. Standards: SPIFFE X.509-SVID,
//! RFC 5280.

mod authority;
mod folder;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};

use self::authority::{Authority, Issued};
use self::folder::Folder;
use crate::config::{self, HeldIdentity, SpiffeId};
use crate::io::clock;
use crate::tls::Peer;

/// The authority's certificate with its key.
const AUTHORITY: &str = "authority.pem";
/// What a workload shows: its certificate with its key.
pub const SVID: &str = config::SVID_FILE;
/// What a workload trusts: the authority's certificate.
pub const BUNDLE: &str = config::BUNDLE_FILE;

/// What to make.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the authority of a trust domain
    ///
    /// Writes two files: authority.pem (its certificate and key, for whoever may issue) and
    /// bundle.pem (its certificate, for everybody). An authority that is there already is never
    /// overwritten.
    Init(Init),
    /// Issue an identity to a workload, or renew it
    ///
    /// Writes two files: svid.pem (the certificate and its key, for the proxy) and bundle.pem (whom
    /// it trusts). Issuing the same identity again renews it, with a new key, in one step that a
    /// running proxy can watch. Run it from a timer, well before a certificate ends:
    ///
    ///   weft identity issue /orders --renew-before 8h
    Issue(Issue),
}

/// `weft identity init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The domain that the identities are of: lower-case letters, digits, dots, dashes, underscores
    #[arg(long, value_name = "DOMAIN")]
    pub trust_domain: String,
    /// Where the authority is kept
    #[arg(long, value_name = "DIR", default_value = "authority")]
    pub authority: PathBuf,
    /// How long the authority is valid, from 1m to 365d
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = authority_validity)]
    pub validity: Duration,
}

/// `weft identity issue`.
#[derive(Debug, Args)]
pub struct Issue {
    /// Who it is for: spiffe://DOMAIN/PATH, or /PATH in the authority's own domain
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where the authority is kept
    #[arg(long, value_name = "DIR", default_value = "authority")]
    pub authority: PathBuf,
    /// Where the identity is written: `identity.directory` of the proxy's configuration
    #[arg(long, value_name = "DIR", default_value = "identity")]
    pub directory: PathBuf,
    /// A host name that it is for as well, for clients that know no identities; may be repeated
    #[arg(long, value_name = "NAME")]
    pub dns: Vec<String>,
    /// How long it is valid, from 1m; at most as long as the authority
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = validity)]
    pub validity: Duration,
    /// Do nothing while what is there is valid for longer than this
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub renew_before: Option<Duration>,
}

/// Why nothing was made.
#[derive(Debug)]
pub struct Fault {
    what: String,
    fix: String,
}

impl Fault {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix) = (what.into(), fix.into());
        Self { what, fix }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  FIX  {}", self.what, self.fix)
    }
}

/// Does what `command` says, at `now` since 1970. Returns what to tell the user.
///
/// # Errors
/// What kept it from being made; then nothing was.
pub fn run(command: &Command, now: Duration) -> Result<String, Fault> {
    match command {
        Command::Init(init) => make_authority(init, now),
        Command::Issue(issue) => issue_identity(issue, now),
    }
}

/// An identity that nobody trusts, for configurations that are only looked at.
///
/// # Errors
/// The machine cannot make a key.
pub fn stand_in() -> Result<HeldIdentity, Fault> {
    const VALIDITY: Duration = Duration::from_secs(3600);
    let now = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unfit = || Fault::new("A name for it is no SPIFFE ID.", "Report it");
    let domain = SpiffeId::parse("spiffe://stand-in.invalid").ok_or_else(unfit)?;
    let id = SpiffeId::parse("spiffe://stand-in.invalid/weft").ok_or_else(unfit)?;
    let authority = Authority::of(authority::create(&domain, now, VALIDITY)?, domain)?;
    let issued = authority.issue(&id, &[], now, VALIDITY)?;
    Ok(HeldIdentity {
        svid: issued.certificate + &issued.key,
        bundle: authority.certificate().to_owned(),
        crls: String::new(),
    })
}

fn make_authority(init: &Init, now: Duration) -> Result<String, Fault> {
    let domain = SpiffeId::parse(&format!("spiffe://{}", init.trust_domain));
    let domain = domain.filter(|id| id.path().is_empty()).ok_or_else(|| {
        Fault::new(
            format!("\"{}\" is no trust domain.", init.trust_domain),
            "Take lower-case letters, digits, dots, dashes and underscores: example.org",
        )
    })?;
    let folder = Folder::create(&init.authority)?;
    let Issued {
        certificate,
        key,
        not_after,
    } = authority::create(&domain, now, init.validity)?;
    folder.create_secret(AUTHORITY, &format!("{certificate}{key}"))?;
    folder.replace_public(BUNDLE, &certificate)?;
    Ok(format!(
        "Made the authority of {domain}, valid until {}.\n  {}  keep it: whoever reads it can be \
         anybody in this domain\n  {}  give it to whoever must verify\n\nNext: weft identity issue \
         /NAME{}\n",
        date(not_after),
        folder.file(AUTHORITY).display(),
        folder.file(BUNDLE).display(),
        unless_default("--authority", &init.authority, "authority"),
    ))
}

fn issue_identity(issue: &Issue, now: Duration) -> Result<String, Fault> {
    let source = Folder::open(&issue.authority)?;
    let authority = Authority::read(&source, AUTHORITY, now)?;
    let id = identity(&issue.id, authority.trust_domain())?;
    let folder = Folder::create(&issue.directory)?;
    if let Some(present) = present(&folder, &id)?
        && let Some(margin) = issue.renew_before
        && present.not_after > now.saturating_add(margin)
    {
        return Ok(format!(
            "{id} is valid until {}: nothing to do.\n",
            date(present.not_after)
        ));
    }
    let Issued {
        certificate,
        key,
        not_after,
    } = authority.issue(&id, &issue.dns, now, issue.validity)?;
    // The bundle first: whoever sees the new certificate can verify it.
    folder.replace_public(BUNDLE, authority.certificate())?;
    folder.replace_secret(SVID, &format!("{certificate}{key}"))?;
    let cut = match not_after < now.saturating_add(issue.validity) {
        true => " (when the authority ends)",
        false => "",
    };
    Ok(format!(
        "Issued {id}, valid until {}{cut}.\n  {}  certificate and key, for the proxy\n  {}  whom it \
         trusts\n",
        date(not_after),
        folder.file(SVID).display(),
        folder.file(BUNDLE).display(),
    ))
}

/// The ID that `text` names in `trust_domain`.
fn identity(text: &str, trust_domain: &str) -> Result<SpiffeId, Fault> {
    let whole = match text.starts_with('/') {
        true => format!("spiffe://{trust_domain}{text}"),
        false => text.to_owned(),
    };
    let id = SpiffeId::parse(&whole).filter(|id| !id.path().is_empty());
    let id = id.ok_or_else(|| {
        Fault::new(
            format!("\"{text}\" is no SPIFFE ID of a workload."),
            format!("Write spiffe://{trust_domain}/ns/shop/orders, or only /ns/shop/orders"),
        )
    })?;
    if id.trust_domain() != trust_domain {
        return Err(Fault::new(
            format!("{id} is not in {trust_domain}, whose authority this is."),
            "Name another --authority, or make one: weft identity init --trust-domain DOMAIN",
        ));
    }
    Ok(id)
}

/// The identity that is in `folder` already, which must be `id` if there is one.
fn present(folder: &Folder, id: &SpiffeId) -> Result<Option<Peer>, Fault> {
    let Some(text) = folder.read_secret(SVID)? else {
        return Ok(None);
    };
    // Whether it has expired is for the caller to see.
    let found = authority::leaf(&text).and_then(|der| Peer::read(&der, Duration::ZERO).ok());
    match found {
        Some(peer) if peer.identity.as_ref() == Some(id) => Ok(Some(peer)),
        other => {
            let whose = other.map_or_else(
                || "something that is no identity".to_owned(),
                |peer| format!("the identity of {}", peer.principal()),
            );
            Err(Fault::new(
                format!("{} holds {whose}.", folder.file(SVID).display()),
                "Name another --directory for this one, or remove that file",
            ))
        }
    }
}

/// ` --flag value`, unless it is what the flag defaults to.
fn unless_default(flag: &str, value: &std::path::Path, default: &str) -> String {
    match value.as_os_str() == default {
        true => String::new(),
        false => format!(" {flag} {}", value.display()),
    }
}

/// `2026-11-25 18:47:03 UTC`.
fn date(since_1970: Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    let time = x509_parser::time::ASN1Time::from_timestamp(seconds);
    let Ok(time) = time else {
        return format!("{seconds} s after 1970");
    };
    let time = time.to_datetime();
    let (date, clock) = (time.date(), time.time());
    format!(
        "{date} {:02}:{:02}:{:02} UTC",
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a duration such as \"24h\", \"90m\" or \"30d\"";
    config::parse_duration(text).ok_or_else(|| expected.to_owned())
}

fn validity(text: &str) -> Result<Duration, String> {
    let validity = duration(text)?;
    match validity >= authority::VALIDITY_MIN {
        true => Ok(validity),
        false => Err("expected at least \"1m\"".to_owned()),
    }
}

fn authority_validity(text: &str) -> Result<Duration, String> {
    let validity = validity(text)?;
    match validity <= authority::VALIDITY_MAX {
        true => Ok(validity),
        false => Err("expected at most \"365d\"".to_owned()),
    }
}

#[cfg(test)]
mod tests;
