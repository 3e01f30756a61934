//! Endpoint files: a list that somebody else keeps.
//!
//! Each file is looked at every second (`stat`), and read when it is another one than before: by
//! its inode, its size or the time of its last change, of its rights too. That works for a file
//! that is renamed over another, for a link that is moved, and on file systems that report no
//! changes. A file that cannot be read, or in which anything is wrong, changes nothing and is told
//! once. One that is wrong is tried again when it is another, one that cannot be read each time.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::directory::{Directory, Source};
use crate::config::{self, Endpoint};
use crate::control::log::Log;
use crate::io::clock;
use crate::limits;

/// What tells a file from another one at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Of its content, its rights, its names: unlike the time of its content nobody can set it.
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// Looks at the files that the directory wants, until the future is dropped.
pub(super) async fn run(directory: Rc<Directory>, log: Log) {
    let mut stamps: HashMap<PathBuf, Stamp> = HashMap::new();
    loop {
        let changed = directory.changed();
        let wanted = directory.files();
        stamps.retain(|path, _| wanted.contains(path));
        if wanted.is_empty() {
            changed.await;
            continue;
        }
        let known = |path: PathBuf| (stamps.get(&path).copied(), path);
        let known: Vec<_> = wanted.into_iter().map(known).collect();
        // One walk over all of them, however many; a disk that hangs must not hold the control
        // thread.
        let looks = spawn_blocking(move || {
            let looks = known.into_iter();
            let looks = looks.filter_map(|(before, path)| Some((look(&path, before)?, path)));
            looks.collect::<Vec<_>>()
        });
        for ((stamp, found), path) in looks.await.unwrap_or_default() {
            match stamp {
                Some(stamp) => stamps.insert(path.clone(), stamp),
                None => stamps.remove(&path),
            };
            tell(&directory, path, found, log);
        }
        tokio::select! {
            () = sleep(limits::ENDPOINT_FILE_POLL) => {}
            () = changed => {}
        }
    }
}

type Look = (Option<Stamp>, Result<Vec<Endpoint>, String>);

/// What is in a file, if it is another one than `before`; its stamp, if it could be read.
fn look(path: &Path, before: Option<Stamp>) -> Option<Look> {
    let stamp = fs::metadata(path).ok().map(|file| Stamp::of(&file));
    if stamp.is_some() && before == stamp {
        return None;
    }
    Some(match content(path) {
        Ok(content) => (stamp, endpoints(content, path)),
        Err(why) => (None, Err(why)),
    })
}

fn tell(directory: &Directory, path: PathBuf, found: Result<Vec<Endpoint>, String>, log: Log) {
    let source = Source::File(path);
    match found {
        Ok(endpoints) => {
            let count = endpoints.len();
            let left_out = directory.found(&source, endpoints, clock::now());
            log.note(
                "An endpoint file was read.",
                &[
                    ("source", &source),
                    ("endpoints", &count),
                    ("left_out", &left_out),
                ],
            );
        }
        Err(why) if directory.failed(&source, &why) => log.error(
            "An endpoint file cannot be used; the last good one stays in effect.",
            &[("source", &source), ("error", &why)],
        ),
        Err(_) => {}
    }
}

/// Reads a file: TOML if it is called so, JSON otherwise.
///
/// # Errors
/// Every problem of it, as a sentence with place, value and what was expected.
pub(in crate::control) fn read(path: &Path) -> Result<Vec<Endpoint>, String> {
    endpoints(content(path)?, path)
}

fn content(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut content = Vec::new();
    file.take(limits::ENDPOINT_FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(content)
}

fn endpoints(content: Vec<u8>, path: &Path) -> Result<Vec<Endpoint>, String> {
    if content.len() as u64 > limits::ENDPOINT_FILE_BYTES_MAX {
        let most = limits::ENDPOINT_FILE_BYTES_MAX;
        return Err(format!("longer than {most} bytes"));
    }
    let text = String::from_utf8(content);
    let mut text = text.map_err(|error| format!("cannot be read: {error}"))?;
    let is_toml = path.extension().is_some_and(|ending| ending == "toml");
    if !is_toml {
        // The same reader for both: a JSON document is written as the TOML that says the same.
        text = from_json(&text)?;
    }
    config::parse_endpoints(&text, path).map_err(|errors| errors.to_string())
}

/// A list of endpoints in JSON, as TOML.
fn from_json(text: &str) -> Result<String, String> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let list = match &document {
        Value::Array(list) => list,
        Value::Object(fields) => match (fields.len(), fields.get("endpoints")) {
            (1, Some(Value::Array(list))) => list,
            _ => return Err(EXPECTED.to_owned()),
        },
        _ => return Err(EXPECTED.to_owned()),
    };
    let mut toml = String::from("endpoints = [\n");
    for value in list {
        toml.push_str(&toml_of(value));
        toml.push_str(",\n");
    }
    toml.push_str("]\n");
    Ok(toml)
}

const EXPECTED: &str = "expected a list of endpoints, or an object with `endpoints` alone";

/// A JSON value as TOML writes it in one line. Strings have the same escapes in both.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                format!("{} = {}", Value::from(key.as_str()), toml_of(value))
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(toml_of).collect();
            format!("[{}]", list.join(", "))
        }
        // TOML has no null; whatever reads it wants something else anyway.
        Value::Null => "\"null\"".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn read_as(name: &str, text: &str) -> Result<Vec<String>, String> {
        let name = format!("weft-endpoints-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("written");
        let found = read(&path);
        fs::remove_file(&path).expect("removed");
        let texts = found?
            .into_iter()
            .map(|endpoint| format!("{} {}", endpoint.address, endpoint.weight));
        Ok(texts.collect())
    }

    #[test]
    fn a_file_is_read_again_when_it_is_another_or_could_not_be_read() {
        let path = std::env::temp_dir().join(format!("weft-looked-{}", std::process::id()));
        let seen = |before| look(&path, before).map(|(stamp, found)| (stamp, found.is_ok()));
        let told = |seen: Option<(Option<Stamp>, bool)>| {
            seen.map(|(stamp, is_well)| (stamp.is_some(), is_well))
        };
        assert_eq!(told(seen(None)), Some((false, false)), "it is not there");
        // There, but no file: reading it fails, and is tried again.
        fs::create_dir(&path).expect("made");
        assert_eq!(told(seen(None)), Some((false, false)));
        fs::remove_dir(&path).expect("removed");
        fs::write(&path, "[").expect("written");
        let (stamp, is_well) = seen(None).expect("new");
        assert!(stamp.is_some() && !is_well);
        assert_eq!(seen(stamp), None, "wrong as before");
        // Whoever could not read it may be able to now.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        let (stamp, _) = seen(stamp).expect("other rights");
        fs::write(&path, "[]").expect("written");
        assert_eq!(told(seen(stamp)), Some((true, true)));
        fs::remove_file(&path).expect("removed");
        assert_eq!(told(seen(stamp)), Some((false, false)), "it is gone");
    }

    #[test]
    fn json_and_toml_say_the_same() {
        let expected = ["10.0.0.1:80 1", "[::1]:80 2", "unix:/run/a \"b\".sock 1"];
        let json = r#"["10.0.0.1:80", {"address": "[::1]:80", "weight": 2},
            "unix:/run/a \"b\".sock"]"#;
        let wrapped = format!("{{\"endpoints\": {json}}}");
        let toml = "endpoints = ['10.0.0.1:80', { address = '[::1]:80', weight = 2 },\n\
            'unix:/run/a \"b\".sock']";
        for (name, text) in [("a.json", json), ("b", &wrapped), ("c.toml", toml)] {
            assert_eq!(read_as(name, text).expect("valid"), expected, "{name}");
        }
        assert_eq!(read_as("d.json", "[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (name, text, expected) in [
            ("e.json", "[", "not JSON: EOF"),
            ("f.json", "{\"endpoint\": []}", EXPECTED),
            (
                "g.json",
                "[\"10.0.0.1\"]",
                "endpoints[0] = \"10.0.0.1\": expected an IP address",
            ),
            ("h.json", "[null, 5]", "endpoints[1] = 5: expected"),
            ("i.json", "[{\"adress\": 1}]", "did you mean `address`?"),
            (
                "j.json",
                "[\"a.internal:80\"]",
                "a host name cannot stand in an endpoint file",
            ),
            ("k.toml", "endpoints = 5", "endpoints = 5: expected a list"),
            ("l.toml", "endpoint = []", "unknown key"),
        ] {
            let error = read_as(name, text).expect_err("wrong");
            assert!(error.contains(expected), "{name}: {error}");
        }
        let missing = read(Path::new("/nonexistent/x.json")).expect_err("missing");
        assert!(missing.starts_with("cannot be opened"), "{missing}");
    }
}
