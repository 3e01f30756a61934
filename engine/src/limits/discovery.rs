//! Bounds of registration and discovery: names, leases, the journal, and what is asked of etcd, of
//! name servers and of files.
//!
//! What an operator sets is in the configuration; the defaults are here.

use std::time::Duration;

/// Bytes of the name of a service or an instance: a segment of a URL that fits a log line.
pub const REGISTRY_NAME_BYTES_MAX: usize = 128;
/// Services with an instance, by default: a large mesh has thousands.
pub const REGISTRY_SERVICES_DEFAULT: u32 = 10_000;
/// Instances of all services, by default; each takes some three kilobytes of memory, from its
/// registration to a shard's endpoint, and two hundred bytes in the journal.
pub const REGISTRY_INSTANCES_DEFAULT: u32 = 100_000;
/// Bytes of metadata of all instances: a third of what as many instances could bring.
pub const REGISTRY_METADATA_BYTES_MAX: usize = 128 << 20;
/// Bytes of metadata of one instance, names and values.
pub const METADATA_BYTES_MAX: usize = 4 << 10;
/// Metadata of one instance, in pairs: each endpoint's are compared when subsets are made.
pub const METADATA_PAIRS_MAX: usize = 64;
/// How long an instance is believed without a renewal, by default: three missed heartbeats of ten
/// seconds.
pub const LEASE_TTL_DEFAULT: Duration = Duration::from_secs(30);
/// The shortest lease: a shorter one ends whenever a disk or a collector pauses.
pub const LEASE_TTL_MIN: Duration = Duration::from_secs(1);
/// The longest lease: a dead instance is forgotten on the same day.
pub const LEASE_TTL_MAX: Duration = Duration::from_secs(86_400);
/// What a lease that ran out while the process was down has left after the start: its instance
/// had nobody to renew it with.
pub const LEASE_RESTART_GRACE: Duration = Duration::from_secs(10);
/// How much later than meant the control thread runs before it holds that it was away, and nobody
/// could renew a lease: the shortest lease.
pub const ABSENCE_MIN: Duration = Duration::from_secs(1);
/// Time between two checks of an instance, by default.
pub const CHECK_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// How long a check of an instance may take, by default.
pub const CHECK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// The longest that a check of an instance may take: it keeps a place from others meanwhile.
pub const CHECK_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Bytes of the path of a check.
pub const CHECK_PATH_BYTES_MAX: usize = 1 << 10;
/// Leases that ran out and are remembered, so that their instances are told so.
pub const REGISTRY_EXPIRED_KEPT: usize = 256;
/// Bytes of a line of the registry's journal: an instance with all its metadata, escaped.
pub const JOURNAL_LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes of the registry's journal below which it is not rewritten.
pub const JOURNAL_REWRITE_BYTES: u64 = 4 << 20;
/// How often it is looked whether the journal is folded: until then it grows on.
pub const JOURNAL_FOLD_POLL: Duration = Duration::from_millis(50);
/// Changes that may wait for the journal's disk; more are refused until it has caught up.
pub const JOURNAL_QUEUE: usize = 4096;
/// Changes of the registry in a second, renewals included, by default: what the journal's disk and
/// the control thread do without being noticed.
pub const REGISTRY_RATE_DEFAULT: u32 = 1000;
/// Bytes of the body of a registration: its metadata, escaped, and some fields.
pub const REGISTRATION_BYTES_MAX: usize = 32 << 10;
/// Time between two questions about a name, at least: what other proxies take.
pub const DNS_TTL_MIN_DEFAULT: Duration = Duration::from_secs(5);
/// Time between two questions about a name, at most: an address that moved is found in a minute.
pub const DNS_TTL_MAX_DEFAULT: Duration = Duration::from_secs(60);
/// How long one attempt at resolving a name may take.
pub const DNS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// Endpoints of one name, one file or one service that are used; more are left out, with a line in
/// the log.
pub const DISCOVERED_ENDPOINTS_MAX: usize = 10_000;
/// Bytes of an endpoint file.
pub const ENDPOINT_FILE_BYTES_MAX: u64 = 4 << 20;
/// How long a start or a reload waits for the first answers of a cluster's sources, by default: a
/// resolver that is there answers at once, one that starts along needs a moment.
pub const FIRST_ANSWER_DEFAULT: Duration = Duration::from_secs(5);
/// How soon a name that was never resolved is asked for again; twice as long after each failure.
pub const DNS_FIRST_RETRY: Duration = Duration::from_millis(250);
/// Questions to name servers that are under way at once: each takes a descriptor.
pub const DNS_QUESTIONS_AT_ONCE: usize = 128;
/// Sources without an answer that are named on a line; of more, how many there are.
pub const SILENT_SOURCES_TOLD: usize = 8;
/// Clusters of which a shard reports before it serves requests again: some tenths of a millisecond
/// with ten endpoints each.
pub const CLUSTERS_REPORTED_AT_ONCE: usize = 256;
/// How often endpoint files are looked at.
pub const ENDPOINT_FILE_POLL: Duration = Duration::from_secs(1);
/// How soon a journal that a disk did not take is tried again; twice as long after each failure.
pub const JOURNAL_PAUSE: Duration = Duration::from_secs(1);
/// Time between two such attempts, at most.
pub const JOURNAL_PAUSE_MAX: Duration = Duration::from_secs(15);
/// Bytes of a token that allows changes of the registry: fewer can be guessed.
pub const REGISTRY_TOKEN_BYTES_MIN: usize = 16;
/// SRV records of one name that are followed: each target is a question of its own.
pub const SRV_RECORDS_MAX: usize = 128;
/// What the keys of instances in etcd begin with, by default.
pub const ETCD_PREFIX_DEFAULT: &str = "/weft/services";
/// Bytes of what the keys of instances in etcd begin with.
pub const ETCD_PREFIX_BYTES_MAX: usize = 256;
/// How long the instances of a proxy that died stay in etcd, by default: as long as an instance
/// that does not renew stays in a registry.
pub const ETCD_LEASE_DEFAULT: Duration = Duration::from_secs(30);
/// The shortest lease in etcd: etcd itself makes shorter ones longer.
pub const ETCD_LEASE_MIN: Duration = Duration::from_secs(5);
/// The longest lease in etcd.
pub const ETCD_LEASE_MAX: Duration = Duration::from_secs(3600);
/// How long a connection to etcd or an answer of it may take, by default.
pub const ETCD_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);
/// The longest such time: while it lasts nothing is known about a member that has stopped.
pub const ETCD_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Time between two signs of life to etcd, at most; a third of the lease if that is less.
pub const ETCD_BEAT_MAX: Duration = Duration::from_secs(5);
/// Time before etcd is tried again when no member could be reached; doubles up to the next.
pub const ETCD_RETRY_MIN: Duration = Duration::from_millis(100);
/// Time between two attempts at reaching etcd, at most.
pub const ETCD_RETRY_MAX: Duration = Duration::from_secs(5);
/// Keys that are asked for in one question; a page of small instances is some 200 KiB.
pub const ETCD_PAGE_KEYS: usize = 500;
/// Bytes of one answer of etcd, or of one message of a watch; etcd cuts messages of a watch to some
/// 2 MiB when it is asked to, and base64 adds a third.
pub const ETCD_ANSWER_BYTES_MAX: usize = 8 << 20;
/// Bytes of one value in etcd that is read: a registration with all its metadata, escaped.
pub const ETCD_VALUE_BYTES_MAX: usize = 64 << 10;
/// Changes in one transaction; etcd takes 128.
pub const ETCD_TRANSACTION_CHANGES: usize = 100;
/// Bytes of one transaction in base64; etcd takes 1.5 MiB of what that stands for.
pub const ETCD_TRANSACTION_BYTES: usize = 1 << 20;
/// How often all is asked for again while there are instances that did not fit.
pub const ETCD_RELIST: Duration = Duration::from_secs(60);
/// How long instances of other proxies stay that are gone from an etcd that was away for long, or
/// has lost its data: their proxies come back within a pause, an attempt and a transaction, and
/// write them again.
pub const ETCD_ORPHAN_GRACE: Duration = Duration::from_secs(15);
