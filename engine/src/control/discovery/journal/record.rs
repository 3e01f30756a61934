//! A line of the journal: one change of one instance, with a checksum.
//!
//! `5f0c31aa {"put":{...},"service":"orders","until":1764097200000}`: the CRC-32 of the JSON in
//! hexadecimal, a space, the JSON, a newline. Each line stands for itself, so that a damaged one
//! takes no other with it, and the file can be read by people. Pure.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::registry::Registration;

/// A change of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// What kind of file this is; its first line.
    Header,
    /// It registered, or something about it changed.
    Put {
        /// As it registered.
        registration: Arc<Registration>,
        /// It takes nothing new.
        is_draining: bool,
        /// When its lease ends, in milliseconds since 1970.
        until: u64,
    },
    /// Its lease began anew.
    Renew {
        /// Its service.
        service: Arc<str>,
        /// Its name.
        id: Arc<str>,
        /// When its lease ends, in milliseconds since 1970.
        until: u64,
    },
    /// It left, or its lease ran out.
    Gone {
        /// Its service.
        service: Arc<str>,
        /// Its name.
        id: Arc<str>,
    },
}

/// The version of the format.
const VERSION: u64 = 1;

impl Record {
    /// Appends the line.
    pub fn write(&self, out: &mut Vec<u8>) {
        let json = self.to_json().to_string();
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        out.extend_from_slice(line.as_bytes());
    }

    /// Reads a line without its newline; `None` when it is damaged or not of this version.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let (sum, json) = str::from_utf8(line).ok()?.split_once(' ')?;
        let is_sum = sum.len() == 8;
        let sum = u32::from_str_radix(sum, 16).ok().filter(|_| is_sum)?;
        (sum == crc32fast::hash(json.as_bytes())).then_some(())?;
        Self::from_json(&serde_json::from_str(json).ok()?)
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Header => json!({"weft_registry": VERSION}),
            Self::Put {
                registration,
                is_draining,
                until,
            } => {
                let mut fields = Map::new();
                fields.insert("put".into(), Value::Object(registration.to_json()));
                fields.insert("service".into(), json!(&*registration.service));
                fields.insert("until".into(), json!(until));
                if *is_draining {
                    fields.insert("draining".into(), json!(true));
                }
                Value::Object(fields)
            }
            Self::Renew { service, id, until } => {
                json!({"renew": &**id, "service": &**service, "until": until})
            }
            Self::Gone { service, id } => json!({"gone": &**id, "service": &**service}),
        }
    }

    fn from_json(json: &Value) -> Option<Self> {
        if let Some(version) = json.get("weft_registry") {
            return (version.as_u64()? == VERSION).then_some(Self::Header);
        }
        let service = json.get("service")?.as_str()?;
        let until = || json.get("until")?.as_u64();
        if let Some(document) = json.get("put") {
            let registration = Registration::read(service, None, document).ok()?;
            return Some(Self::Put {
                registration: Arc::new(registration),
                is_draining: json.get("draining").is_some(),
                until: until()?,
            });
        }
        if let Some(id) = json.get("renew") {
            return Some(Self::Renew {
                service: service.into(),
                id: id.as_str()?.into(),
                until: until()?,
            });
        }
        Some(Self::Gone {
            service: service.into(),
            id: json.get("gone")?.as_str()?.into(),
        })
    }
}
