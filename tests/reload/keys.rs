//! Keys of callers that are replaced while they call: key sets in files, API keys, passwords.

use std::fs;

use crate::authenticate::{curl, hash, jwt};
use crate::harness::{Load, Origin, Proxy, Setup, ports, scratch::Scratch, wait};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const RELOADS: &str = "weft_config_reloads_total";

/// What stands in the files of a proxy.
struct Files {
    scratch: Scratch,
    proxy: Proxy,
    _origin: Origin,
}

impl Files {
    /// A proxy whose callers have a token by this key set, a key or a password.
    fn start(keys: &str, key: &str, password: &str) -> Self {
        let scratch = Scratch::new();
        scratch.write("keys.json", keys);
        let origin = Origin::answering(ANSWER);
        let (address, admin) = (ports::free(), ports::free());
        let text = Self::text(&scratch, &origin, key, password).render(address, admin);
        let proxy = Proxy::start_with(&text, address, admin);
        Self {
            scratch,
            proxy,
            _origin: origin,
        }
    }

    fn text(scratch: &Scratch, origin: &Origin, key: &str, password: &str) -> Setup {
        let keys = scratch.file("keys.json").display().to_string();
        let (key, password) = (
            hash("hash-key", key).expect("a hash"),
            hash("hash-password", password).expect("a hash"),
        );
        let route = |name: &str| {
            format!(
                "matches = [{{ path = {{ prefix = \"/{name}\" }} }}]\nforward = \"origin\"\n\
                 authenticate = {{ any_of = [\"{name}\"] }}"
            )
        };
        Setup::to(origin.address())
            .top(&format!(
                "[[authentication.jwt]]\nname = \"tokens\"\nissuer = \"{}\"\n\
                 audiences = [\"orders\"]\nkeys = {{ file = \"{keys}\" }}\n\
                 [[authentication.api_keys]]\nname = \"partners\"\nheader = \"X-Api-Key\"\n\
                 keys = [{{ owner = \"steady\", hash = \"{}\" }}, \
                 {{ owner = \"changing\", hash = \"{key}\" }}]\n\
                 [[authentication.basic]]\nname = \"people\"\nrealm = \"people\"\n\
                 users = [{{ name = \"ann\", hash = \"{password}\" }}]\n",
                jwt::ISSUER,
                hash("hash-key", STEADY).expect("a hash"),
            ))
            .route("tokens", &route("tokens"))
            .route("partners", &route("partners"))
            .route("people", &route("people"))
    }

    /// Replaces the key set by another file.
    fn replace_set(&self, text: &str) {
        let fresh = self.scratch.write("keys.next", text);
        fs::rename(fresh, self.scratch.file("keys.json")).expect("renamed");
    }

    /// Replaces the configuration by one with another key and password.
    fn replace_secrets(&self, key: &str, password: &str) {
        let setup = Self::text(&self.scratch, &self._origin, key, password);
        self.replace_config(&setup.render(self.proxy.address(), self.proxy.admin_address()));
    }

    /// Replaces the configuration, in one step.
    fn replace_config(&self, text: &str) {
        fs::write(self.proxy.file("weft.next"), text).expect("written");
        fs::rename(self.proxy.file("weft.next"), self.proxy.file("weft.toml")).expect("renamed");
    }

    fn by_token(&self, token: &str) -> u16 {
        let [flag, field] = jwt::with(token);
        curl(&self.proxy, "/tokens", &[&flag, &field]).0
    }

    fn by_key(&self, key: &str) -> u16 {
        curl(
            &self.proxy,
            "/partners",
            &["-H", &format!("X-Api-Key: {key}")],
        )
        .0
    }

    /// Passwords are hashed slowly on purpose: 503 says that there was no time for it.
    fn by_password(&self, password: &str) -> u16 {
        let user = format!("ann:{password}");
        wait::until("a verdict", || {
            let status = curl(&self.proxy, "/people", &["--user", &user]).0;
            (status != 503).then_some(status)
        })
    }
}

const STEADY: &str = "steady-b7e1c2a09d5f4e3b";
const OLD: &str = "old-0f9e8d7c6b5a4938";
const NEW: &str = "new-1a2b3c4d5e6f7081";

/// Requests of a caller whom none of it concerns.
fn load(files: &Files) -> Load {
    let request = format!("GET /partners HTTP/1.1\r\nHost: a\r\nX-Api-Key: {STEADY}\r\n\r\n");
    let load = Load::start(files.proxy.address(), &request);
    load.goes_on(20);
    load
}

#[test]
fn a_key_set_that_is_replaced_counts_from_then_on_and_a_broken_one_changes_nothing() {
    let made = jwt::tokens(&["first", "second"]);
    let set = |name: &str| made["sets"][name].to_string();
    let token = |name: &str| made["tokens"][name]["ES256"].as_str().expect("a token");
    let files = Files::start(&set("first"), OLD, "correct horse");
    let load = load(&files);
    // Verified, and remembered as such.
    assert_eq!(
        [
            files.by_token(token("first")),
            files.by_token(token("first"))
        ],
        [200, 200]
    );
    assert_eq!(files.by_token(token("second")), 401);
    files.replace_set(&set("second"));
    wait::for_("the second key set", || {
        files.by_token(token("second")) == 200
    });
    assert_eq!(
        files.by_token(token("first")),
        401,
        "what was known is over as well"
    );
    load.goes_on(20);
    let rejected = "result=\"rejected\"";
    for (times, broken) in [(1.0, "{ \"keys\": ["), (2.0, "{ \"keys\": [] }"), (3.0, "")] {
        files.replace_set(broken);
        wait::for_("the refusal", || {
            files.proxy.metric(RELOADS, rejected) >= times
        });
        assert_eq!(files.by_token(token("second")), 200, "{broken}");
    }
    fs::remove_file(files.scratch.file("keys.json")).expect("removed");
    wait::for_("the refusal", || {
        files.proxy.metric(RELOADS, rejected) >= 4.0
    });
    assert_eq!(files.by_token(token("second")), 200);
    let problem = &files.proxy.admin_json("/config_dump")["last_rejection"]["problems"][0];
    assert_eq!(problem["field"], "authentication.jwt[0].keys.file");
    let message = problem["message"].as_str().expect("why");
    assert!(message.contains("cannot be opened"), "{message}");
    let index = files.proxy.admin("/").text();
    assert!(index.contains("authentication.jwt[0].keys.file"), "{index}");
    let told = files.proxy.stderr();
    assert!(told.contains("not a JSON Web Key Set"), "{told}");
    assert!(
        told.contains("The configuration before it stays in effect."),
        "{told}"
    );
    files.replace_set(&set("first"));
    wait::for_("the first key set", || {
        files.by_token(token("first")) == 200
    });
    assert_eq!(files.by_token(token("second")), 401);
    load.goes_on(20);
    load.end();
}

#[test]
fn keys_and_passwords_that_are_replaced_count_from_then_on_and_broken_ones_change_nothing() {
    let made = jwt::tokens(&[]);
    let files = Files::start(&made["sets"]["first"].to_string(), OLD, "correct horse");
    let load = load(&files);
    // Passwords that were verified are remembered; this one must not be for long.
    assert_eq!((files.by_key(OLD), files.by_key(NEW)), (200, 401));
    assert_eq!(files.by_password("correct horse"), 200);
    files.replace_secrets(NEW, "battery staple");
    wait::for_("the new key", || files.by_key(NEW) == 200);
    assert_eq!(files.by_key(OLD), 401);
    assert_eq!(files.by_password("correct horse"), 401);
    assert_eq!(files.by_password("battery staple"), 200);
    load.goes_on(20);
    // A hash that is none.
    let text = fs::read_to_string(files.proxy.file("weft.toml")).expect("a configuration");
    let wrong = hash("hash-key", NEW).expect("a hash");
    files.replace_config(&text.replace(&wrong, "sha256:none"));
    files.proxy.expect_count(RELOADS, "result=\"rejected\"", 1);
    assert_eq!(
        (files.by_key(NEW), files.by_password("battery staple")),
        (200, 200)
    );
    let problem = &files.proxy.admin_json("/config_dump")["last_rejection"]["problems"][0];
    assert_eq!(problem["field"], "authentication.api_keys[0].keys[1].hash");
    assert!(
        files
            .proxy
            .stderr()
            .contains("authentication.api_keys[0].keys[1].hash")
    );
    load.goes_on(20);
    load.end();
}
