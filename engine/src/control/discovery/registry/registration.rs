//! What an instance says of itself when it registers, and its JSON form.
//!
//! One form for the API, the journal and etcd: what one proxy accepted, every other one reads. In:
//! a JSON document from somebody else. Out: a [`Registration`] within its bounds, or the first
//! field that is wrong, with what stands there and what was expected. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::{Address, cut, format_duration, parse_address, parse_duration, parse_name};
use crate::limits;

/// An instance of a service, as it registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The service that it is an instance of.
    pub service: Arc<str>,
    /// Its name among the service's instances.
    pub id: Arc<str>,
    /// Where it is reached.
    pub address: Address,
    /// Its share of the requests; 0 takes none.
    pub weight: u32,
    /// Where it is: a zone, a rack, a machine.
    pub locality: Option<Arc<str>>,
    /// What it says of itself, for subsets and for people.
    pub metadata: Arc<BTreeMap<String, String>>,
    /// How long it is believed without a renewal.
    pub ttl: Duration,
    /// How the proxy it registered with finds out whether it works; always believed when absent.
    pub check: Option<Check>,
}

/// How an instance is asked whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// Time between two questions.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// GET of this path; any 2xx is well.
    Http(String),
    /// A connection that can be made is well.
    Tcp,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its path, such as `check.interval`; empty for the document as a whole.
    pub field: String,
    /// What stands there, as JSON, cut to what fits a line; `None` when nothing does.
    pub value: Option<String>,
    /// What would be right.
    pub expected: String,
}

const ADDRESS: &str =
    "an IP address and port such as \"10.0.0.1:80\" or \"[::1]:80\", or \"unix:/run/app.sock\"";
const NAME: &str = "1 to 128 letters, digits or -_.:";
const LOCALITY: &str = "1 to 128 letters, digits or -_.:/*";
const KEYS: [&str; 7] = [
    "id", "address", "weight", "locality", "metadata", "ttl", "check",
];

/// Whether `name` can name a service or an instance: what needs no escaping in a URL's segment.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=limits::REGISTRY_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_of_name)
        // Dot segments would be resolved away by clients.
        && !name.bytes().all(|byte| byte == b'.')
}

/// Whether names can have `byte` in them.
#[must_use]
pub fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)
}

/// What `name` in the path of a request is checked against.
///
/// # Errors
/// The field with what was expected.
pub fn check_name(field: &str, name: &str) -> Result<(), FieldError> {
    if is_name(name) {
        return Ok(());
    }
    Err(FieldError::new(field, Some(&Value::from(name)), NAME))
}

impl Registration {
    /// Reads the document of an instance of `service`. The id is `id` if it is given, else the
    /// document's, else made from the address.
    ///
    /// # Errors
    /// The first field that is wrong, in the order of the fields above; unknown ones first.
    pub fn read(service: &str, id: Option<&str>, document: &Value) -> Result<Self, FieldError> {
        check_name("service", service)?;
        let Value::Object(fields) = document else {
            let expected = "an object with at least `address`";
            return Err(FieldError::new("", Some(document), expected));
        };
        refuse_unknown("", fields, &KEYS)?;
        let written = text(fields, "id", NAME)?;
        if let (Some(id), Some(written)) = (id, written)
            && id != written
        {
            let expected = format!("{id:?}, as in the path");
            return Err(FieldError::new("id", fields.get("id"), expected));
        }
        let address = address(fields)?;
        let id = id.or(written).map_or_else(|| name_of(&address), Arc::from);
        check_name("id", &id)?;
        let ttl = limits::LEASE_TTL_DEFAULT;
        Ok(Self {
            service: service.into(),
            id,
            address,
            weight: number(fields, "weight", 1, limits::WEIGHT_MAX)?,
            locality: locality(fields)?,
            metadata: Arc::new(metadata(fields)?),
            ttl: duration(fields, "ttl", "", (ttl, limits::LEASE_TTL_MAX))?,
            check: check(fields)?,
        })
    }

    /// The document that [`Self::read`] reads, with every default.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("id".into(), json!(&*self.id));
        fields.insert("address".into(), json!(self.address.to_string()));
        fields.insert("weight".into(), json!(self.weight));
        if let Some(locality) = &self.locality {
            fields.insert("locality".into(), json!(&**locality));
        }
        fields.insert("metadata".into(), json!(*self.metadata));
        fields.insert("ttl".into(), json!(format_duration(self.ttl)));
        if let Some(check) = &self.check {
            let mut value = json!({
                "interval": format_duration(check.interval),
                "timeout": format_duration(check.timeout),
            });
            match &check.probe {
                Probe::Http(path) => value["http"] = json!(path),
                Probe::Tcp => value["tcp"] = json!(true),
            }
            fields.insert("check".into(), value);
        }
        fields
    }

    /// Bytes of its metadata, as they are counted against the bound.
    #[must_use]
    pub fn metadata_bytes(&self) -> usize {
        let pairs = self.metadata.iter();
        pairs.map(|(key, value)| key.len() + value.len()).sum()
    }

    /// Whether requests would be spread differently with `other` in its place.
    #[must_use]
    pub fn differs_for_balancing(&self, other: &Self) -> bool {
        (&self.address, self.weight, &self.locality, &self.metadata)
            != (
                &other.address,
                other.weight,
                &other.locality,
                &other.metadata,
            )
    }
}

impl FieldError {
    /// `field` has `value` where `expected` should be.
    #[must_use]
    pub fn new(field: &str, value: Option<&Value>, expected: impl Into<String>) -> Self {
        let shorten = |value: &Value| cut(&value.to_string());
        Self {
            field: field.to_owned(),
            value: value.map(shorten),
            expected: expected.into(),
        }
    }
}

/// Instances without a name are called by their address, so that registering twice is once.
fn name_of(address: &Address) -> Arc<str> {
    let text = address.to_string();
    let fit = |letter: char| match u8::try_from(letter) {
        Ok(byte) if is_of_name(byte) => letter,
        _ => '-',
    };
    text.chars().map(fit).collect::<String>().into()
}

fn refuse_unknown(
    path: &str,
    fields: &Map<String, Value>,
    keys: &[&str],
) -> Result<(), FieldError> {
    let unknown = fields.keys().find(|key| !keys.contains(&key.as_str()));
    let Some(key) = unknown else {
        return Ok(());
    };
    let expected = format!("no such field; there are {}", keys.join(", "));
    let name: String = key.chars().take(limits::CONFIG_ERROR_VALUE_CHARS).collect();
    Err(FieldError::new(
        &child(path, &name),
        fields.get(key),
        expected,
    ))
}

fn child(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn text<'a>(
    fields: &'a Map<String, Value>,
    key: &str,
    expected: &str,
) -> Result<Option<&'a str>, FieldError> {
    match fields.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(FieldError::new(key, Some(other), expected)),
    }
}

fn address(fields: &Map<String, Value>) -> Result<Address, FieldError> {
    let written = text(fields, "address", ADDRESS)?;
    let is_reachable = |address: &Address| match address {
        Address::Tcp(address) => address.port() != 0 && !address.ip().is_unspecified(),
        Address::Unix(_) => true,
    };
    written
        .and_then(parse_address)
        .filter(is_reachable)
        .ok_or_else(|| FieldError::new("address", fields.get("address"), ADDRESS))
}

fn number(
    fields: &Map<String, Value>,
    key: &str,
    default: u32,
    most: u32,
) -> Result<u32, FieldError> {
    let Some(value) = fields.get(key) else {
        return Ok(default);
    };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number <= most).ok_or_else(|| {
        let expected = format!("a whole number from 0 to {most}");
        FieldError::new(key, Some(value), expected)
    })
}

/// A name as the configuration has it, so that it can be compared with one there.
fn locality(fields: &Map<String, Value>) -> Result<Option<Arc<str>>, FieldError> {
    let Some(written) = text(fields, "locality", LOCALITY)? else {
        return Ok(None);
    };
    let read = parse_name(written).ok_or_else(|| {
        let value = fields.get("locality");
        FieldError::new("locality", value, LOCALITY)
    });
    read.map(Some)
}

fn metadata(fields: &Map<String, Value>) -> Result<BTreeMap<String, String>, FieldError> {
    let expected = format!(
        "an object of at most {} texts, {} bytes together",
        limits::METADATA_PAIRS_MAX,
        limits::METADATA_BYTES_MAX
    );
    let pairs = match fields.get("metadata") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(pairs)) => pairs,
        Some(other) => return Err(FieldError::new("metadata", Some(other), expected)),
    };
    let mut metadata = BTreeMap::new();
    let mut bytes = 0_usize;
    for (key, value) in pairs {
        let Value::String(text) = value else {
            let name: String = key.chars().take(limits::CONFIG_ERROR_VALUE_CHARS).collect();
            let field = format!("metadata.{name}");
            return Err(FieldError::new(&field, Some(value), "a text"));
        };
        bytes = bytes.saturating_add(key.len()).saturating_add(text.len());
        metadata.insert(key.clone(), text.clone());
    }
    if bytes > limits::METADATA_BYTES_MAX || metadata.len() > limits::METADATA_PAIRS_MAX {
        let written = json!(format!("{} texts, {bytes} bytes", metadata.len()));
        return Err(FieldError::new("metadata", Some(&written), expected));
    }
    Ok(metadata)
}

fn duration(
    fields: &Map<String, Value>,
    key: &str,
    path: &str,
    (default, most): (Duration, Duration),
) -> Result<Duration, FieldError> {
    let Some(value) = fields.get(key) else {
        return Ok(default);
    };
    let least = limits::LEASE_TTL_MIN;
    let read = value.as_str().and_then(parse_duration);
    let within = read.filter(|duration| (least..=most).contains(duration));
    within.ok_or_else(|| {
        let (least, most) = (format_duration(least), format_duration(most));
        let expected = format!("a duration from {least} to {most}, such as \"30s\"");
        FieldError::new(&child(path, key), Some(value), expected)
    })
}

fn check(fields: &Map<String, Value>) -> Result<Option<Check>, FieldError> {
    let expected = "an object with either `http` or `tcp`, and perhaps `interval` and `timeout`";
    let check = match fields.get("check") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(check)) => check,
        Some(other) => return Err(FieldError::new("check", Some(other), expected)),
    };
    refuse_unknown("check", check, &["http", "tcp", "interval", "timeout"])?;
    let probe = match (check.get("http"), check.get("tcp")) {
        (Some(Value::String(path)), None) if is_path(path) => Probe::Http(path.clone()),
        (Some(other), None) => {
            let expected = "a path such as \"/healthz\"";
            return Err(FieldError::new("check.http", Some(other), expected));
        }
        (None, Some(Value::Bool(true))) => Probe::Tcp,
        (None, Some(other)) => return Err(FieldError::new("check.tcp", Some(other), "true")),
        _ => return Err(FieldError::new("check", fields.get("check"), expected)),
    };
    let interval = (limits::CHECK_INTERVAL_DEFAULT, limits::LEASE_TTL_MAX);
    let timeout = (limits::CHECK_TIMEOUT_DEFAULT, limits::CHECK_TIMEOUT_MAX);
    Ok(Some(Check {
        probe,
        interval: duration(check, "interval", "check", interval)?,
        timeout: duration(check, "timeout", "check", timeout)?,
    }))
}

/// A path as a request line can carry it.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= limits::CHECK_PATH_BYTES_MAX
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}
