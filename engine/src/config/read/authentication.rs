//! Methods of authentication, from the file to the model; and what routes ask for.
//!
//! A method is known by its name. A route that names one that does not exist, or that no client of
//! its listener could ever meet, is refused here. Secrets are taken as hashes only.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Names, grammar, jwt};
use crate::config::error::near_miss;
use crate::config::file::{Field, Section};
use crate::config::model::{
    ApiKey, ApiKeys, Authenticate, Authentication, Basic, KeyHash, MTLS, MethodRef, MethodRule,
    PasswordHash, User,
};
use crate::limits;

const KEY_HASH: &str = "\"sha256:\" and 64 hexadecimal digits, as `weft hash-key` prints them";
const PASSWORD_HASH: &str = "an Argon2id hash, as `weft hash-password` prints it";
const METHODS: &str = "at least one method by its name, or \"mtls\"";

/// The methods of a configuration.
pub(super) fn authentication(section: &mut Section<'_>) -> Authentication {
    let mut names = Names::default();
    Authentication {
        api_keys: methods(section, "api_keys", &mut names, api_keys),
        basic: methods(section, "basic", &mut names, basic),
        jwt: methods(section, "jwt", &mut names, jwt::jwt),
    }
}

fn methods<T>(
    section: &mut Section<'_>,
    key: &'static str,
    names: &mut Names,
    read: impl Fn(&mut Section<'_>, &mut Names) -> Option<T>,
) -> Vec<T> {
    let fields = section.list(key).into_iter();
    let method = |field: Field<'_>| field.section(|section| read(section, names)).flatten();
    fields.filter_map(method).collect()
}

pub(super) fn method_name(section: &mut Section<'_>, names: &mut Names) -> Option<Arc<str>> {
    let field = section.required("name", grammar::NAME)?;
    let name: Arc<str> = field.parse(grammar::NAME, grammar::name)?;
    if &*name == MTLS {
        return field.refuse("is the name for clients' certificates");
    }
    names.take(&name, &field);
    Some(name)
}

fn api_keys(section: &mut Section<'_>, names: &mut Names) -> Option<ApiKeys> {
    let name = method_name(section, names);
    let header = section
        .field("header")
        .map(|field| credential_field(&field));
    let query = section.field("query").map(|field| parameter(&field));
    if header.is_some() == query.is_some() {
        section.refuse("", "expected exactly one of `header`, `query`");
    }
    let forward = section.flag("forward", false);
    let mut hashes = HashMap::new();
    let read = |field: Field<'_>| {
        field
            .section(|section| api_key(section, &mut hashes))
            .flatten()
    };
    let keys = section.some_list("keys", "at least one key");
    if keys.len() > limits::API_KEYS_MAX {
        let message = format!("more than {} keys", limits::API_KEYS_MAX);
        section.refuse("keys", &message);
    }
    Some(ApiKeys {
        keys: keys.into_iter().filter_map(read).collect(),
        name: name?,
        header: header.unwrap_or_default(),
        query: query.unwrap_or_default(),
        forward,
    })
}

fn basic(section: &mut Section<'_>, names: &mut Names) -> Option<Basic> {
    let name = method_name(section, names);
    let realm = section.field("realm").and_then(|field| {
        let quotable = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
        field.parse("a text without quotes and backslashes", |text| {
            (!text.is_empty() && text.bytes().all(quotable)).then(|| text.to_owned())
        })
    });
    let forward = section.flag("forward", false);
    let mut users_named = Names::default();
    let read = |field: Field<'_>| {
        let user = field.section(|section| user(section, &mut users_named));
        user.flatten()
    };
    let users = section.some_list("users", "at least one user");
    if users.len() > limits::BASIC_USERS_MAX {
        let message = format!("more than {} users", limits::BASIC_USERS_MAX);
        section.refuse("users", &message);
    }
    let users = users.into_iter().filter_map(read).collect();
    let name = name?;
    Some(Basic {
        realm: realm.unwrap_or_else(|| name.to_string()),
        name,
        forward,
        users,
    })
}

fn user(section: &mut Section<'_>, names: &mut Names) -> Option<User> {
    let expected = "a name without colons and control characters (RFC 7617)";
    let name = section.required("name", expected).and_then(|field| {
        let usable = |c: char| c != ':' && !c.is_control();
        let name: Arc<str> = field.parse(expected, |text| {
            (!text.is_empty() && text.chars().all(usable)).then(|| text.into())
        })?;
        names.take(&name, &field);
        Some(name)
    });
    let hash = section.required("hash", PASSWORD_HASH);
    let hash = hash.and_then(|field| field.parse_hidden(PASSWORD_HASH, password_hash));
    Some(User {
        name: name?,
        hash: hash?,
    })
}

/// An Argon2id hash whose cost this process can bear.
fn password_hash(text: &str) -> Option<PasswordHash> {
    let parsed = argon2::PasswordHash::new(text).ok()?;
    let parameters = argon2::Params::try_from(&parsed).ok()?;
    let is_bearable = parameters.m_cost() <= limits::PASSWORD_MEMORY_KIB_MAX
        && parameters.t_cost() <= limits::PASSWORD_PASSES_MAX
        && parameters.p_cost() <= limits::PASSWORD_LANES_MAX;
    let is_whole = parsed.salt.is_some() && parsed.hash.is_some();
    let is_argon2id = parsed.algorithm == argon2::Algorithm::Argon2id.ident();
    (is_argon2id && is_whole && is_bearable).then(|| PasswordHash::new(text.to_owned()))
}

fn api_key(section: &mut Section<'_>, hashes: &mut HashMap<KeyHash, String>) -> Option<ApiKey> {
    let owner = section.required("owner", grammar::NAME);
    let owner = owner.and_then(|field| field.parse(grammar::NAME, grammar::name));
    let hash = section.required("hash", KEY_HASH).and_then(|field| {
        let hash = field.parse_hidden(KEY_HASH, KeyHash::parse)?;
        match hashes.insert(hash.clone(), field.place()) {
            Some(other) => field.refuse(&format!("already used in {other}")),
            None => Some(hash),
        }
    });
    Some(ApiKey {
        owner: owner?,
        hash: hash?,
    })
}

/// A header that may hold credentials and be taken out of a request.
pub(super) fn credential_field(field: &Field<'_>) -> Option<String> {
    let name = field.parse(grammar::FIELD_NAME, grammar::field_name)?;
    super::route::editable(&name, field).map(|()| name)
}

/// The name of a query parameter that needs no encoding.
pub(super) fn parameter(field: &Field<'_>) -> Option<String> {
    let expected = "the name of a query parameter: letters, digits or `-_.~`";
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    field.parse(expected, |text| {
        (!text.is_empty() && text.bytes().all(plain)).then(|| text.to_owned())
    })
}

/// The methods that routes can ask for, by name.
#[derive(Debug)]
pub(super) struct Methods(HashMap<Arc<str>, MethodRef>);

impl Methods {
    pub(super) fn of(all: &Authentication) -> Self {
        let methods = all.methods().into_iter();
        Self(
            methods
                .map(|method| (Arc::clone(&method.name), method))
                .collect(),
        )
    }

    /// What `section` asks for under `authenticate`, if it says so.
    pub(super) fn authenticate(
        &self,
        section: &mut Section<'_>,
        asks_certificates: bool,
    ) -> Option<Authenticate> {
        let field = section.field("authenticate")?;
        if field.text() == Some("none") {
            return Some(Authenticate::default());
        }
        if !field.is_table() || field.is_list() {
            return field.expected("\"none\" or a table with `any_of` or `all_of`");
        }
        field.section(|section| self.rule(section, asks_certificates))?
    }

    fn rule(&self, section: &mut Section<'_>, asks_certificates: bool) -> Option<Authenticate> {
        let any_of = self.list(section, "any_of", asks_certificates);
        let all_of = self.list(section, "all_of", asks_certificates);
        let optional = section.flag("optional", false);
        let rule = match (any_of, all_of) {
            (Some(methods), None) => MethodRule::AnyOf(methods),
            (None, Some(methods)) => MethodRule::AllOf(methods),
            _ => {
                section.refuse("", "expected exactly one of `any_of`, `all_of`");
                return None;
            }
        };
        Some(Authenticate {
            rule: Some(rule),
            optional,
        })
    }

    fn list(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
        asks_certificates: bool,
    ) -> Option<Vec<MethodRef>> {
        let field = section.field(key)?;
        let elements = field.clone().list();
        if elements.is_empty() {
            field.expected::<()>(METHODS);
        }
        if elements.len() > limits::REQUIRED_METHODS_MAX {
            let most = limits::REQUIRED_METHODS_MAX;
            field.expected::<()>(&format!("at most {most} methods"));
        }
        let mut methods: Vec<MethodRef> = Vec::new();
        for element in elements {
            let Some(method) = self.method(&element) else {
                continue;
            };
            if &*method.name == MTLS && !asks_certificates {
                let never = "the listener asks its clients for no certificate \
                             (`tls.client_certificate`)";
                element.refuse::<()>(never);
            }
            if methods.contains(&method) {
                element.refuse::<()>("occurs twice");
            }
            methods.push(method);
        }
        Some(methods)
    }

    fn method(&self, field: &Field<'_>) -> Option<MethodRef> {
        let written = field.parse("the name of a method", Some)?;
        if let Some(method) = self.0.get(written) {
            return Some(method.clone());
        }
        let known: Vec<&str> = self.0.keys().map(|name| &**name).collect();
        match near_miss(written, &known) {
            Some(near) => field.refuse(&format!("no such method, did you mean \"{near}\"?")),
            None => field.refuse("no such method of authentication"),
        }
    }
}
