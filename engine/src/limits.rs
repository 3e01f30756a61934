//! Every bound of the engine in one place: its value, its unit and its reason.
//!
//! Bounds that an operator sets are in the configuration; their defaults are here. Relations
//! between bounds are checked when the crate compiles.

mod discovery;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use self::discovery::*;

/// Descriptors of the process beside connections: standard streams, the admin listener and its
/// connections, built-in origins, log files, with as many again to spare.
pub const DESCRIPTORS_PROCESS: u64 = 256;
/// Descriptors of one shard beside connections: its ring and glommio's three, event
/// descriptors, one listening socket per listener, files being written.
pub const DESCRIPTORS_SHARD: u64 = 32;
/// Locked memory of one shard, in bytes: the rings, which recent kernels count for a user without
/// CAP_IPC_LOCK, and glommio's file buffers, which are registered with three of them.
pub const MEMLOCK_SHARD_BYTES: u64 = 2 << 20;
/// Locked memory below which glommio refuses to start, in bytes.
pub const MEMLOCK_MIN_BYTES: u64 = 512 << 10;
/// Connections of the admin interface that are served at once; more wait in the backlog.
pub const ADMIN_CONNECTIONS: usize = 64;
/// Bytes of a request head on the admin interface, which needs a path and a few fields.
pub const ADMIN_HEAD_BYTES: usize = 16 << 10;
/// How long a client of the admin interface may take for its request head.
pub const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection of the admin interface may last, its answer included.
pub const ADMIN_DEADLINE: Duration = Duration::from_secs(30);
/// How long a page waits for the shards; a busy shard answers within milliseconds.
pub const SCRAPE_PATIENCE: Duration = Duration::from_secs(1);
/// How often the control thread empties the shards' records without being asked: their 32-bit
/// counters must not overflow, which takes an hour at a million requests a second; and a cluster's
/// panic is told so late at most. Each time costs a quiet process a spare record (3 MB).
pub const COLLECT_INTERVAL: Duration = Duration::from_secs(60);
/// Bytes of the histogram dump that are kept while its file cannot be written.
pub const DUMP_UNWRITTEN_BYTES_MAX: usize = 4 << 20;
/// How long the end of the process waits for the last histogram dump.
pub const LAST_DUMP_PATIENCE: Duration = Duration::from_secs(5);
/// How long after the drain's deadline a shard that has not ended is given up.
pub const DRAIN_GRACE: Duration = Duration::from_secs(5);
/// Deadlines are rounded up to a multiple of this, so that an idle shard wakes once for many.
/// A deadline fires at most this late; none of ours is shorter than 100 ms by default.
pub const TIMER_GRAIN: Duration = Duration::from_millis(4);
/// Submission queue entries of a shard's ring. A full queue is submitted early, so this bounds
/// only how much one system call can carry.
pub const RING_SUBMISSIONS: u32 = 1024;

/// Completion queue entries of a shard's ring. The kernel keeps what does not fit and delivers it
/// later, so this bounds a batch (16 bytes each), not the number of connections.
pub const RING_COMPLETIONS: u32 = 8192;

/// Received bytes of one connection that nobody has taken: above this the receive is cancelled,
/// so that TCP's window tells the peer to wait. Checked at the end of a batch, which can overshoot
/// by what the kernel had buffered. Each receive ends after so many bytes and cuts what it was
/// receiving in two: large enough that most bodies of 128 KiB are not.
pub const RECEIVED_BYTES_MAX: usize = 192 * 1024;

/// Receiving goes on when a connection's untaken bytes have fallen to this.
pub const RECEIVED_BYTES_RESUME: usize = 32 * 1024;

/// Received runs of one connection that nobody has taken: a peer that sends byte by byte must not
/// make each cost a hundred in our lists. Checked like [`RECEIVED_BYTES_MAX`].
pub const RECEIVED_RUNS_MAX: usize = 512;

/// Receiving goes on when a connection's untaken runs have fallen to this.
pub const RECEIVED_RUNS_RESUME: usize = 128;

/// Segments of one `sendmsg`. More leave in further calls of the same batch.
pub const SEND_SEGMENTS: usize = 32;

/// Empty send queues that a shard keeps for reuse; a busy connection takes one, an idle one holds
/// none.
pub const SPARE_SEND_QUEUES: usize = 256;

/// A send queue whose copied bytes have grown beyond this is freed rather than kept.
pub const SPARE_SEND_BYTES: usize = 16 * 1024;

const _: () = assert!(RECEIVED_BYTES_RESUME < RECEIVED_BYTES_MAX);
const _: () = assert!(RECEIVED_RUNS_RESUME < RECEIVED_RUNS_MAX);

/// Copied bytes at the front of a send queue that are sent already are given up from here on.
pub const SEND_COMPACT_BYTES: usize = 8 * 1024;

/// Content of one sealed record: the most that TLS allows (RFC 8446 §5.1).
pub const SEAL_RECORD_BYTES: usize = 16 * 1024;

/// Sealed bytes that are collected before they are sent: a few records, which stay cached.
pub const SEAL_BATCH_BYTES: usize = 64 * 1024;

/// How long the driver suspends to let glommio work, while something waits for it. Long enough
/// to be a true suspension (a mere yield does not let its reactor run), short against a batch.
pub const FOREIGN_TURN: Duration = Duration::from_micros(30);

/// A busy driver gives glommio its turn this often: a file write then waits at most so long.
pub const FOREIGN_INTERVAL: Duration = Duration::from_millis(5);

/// How long a stopping shard waits for the kernel to complete cancelled operations.
pub const SHUT_DOWN_WAIT: Duration = Duration::from_secs(1);

/// Blocks of a shard's receive pool. 8 MiB with [`BUFFER_BYTES`]: enough for 64 busy connections
/// with two blocks each before received bytes are copied to the heap.
pub const BUFFER_COUNT: u16 = 256;

/// Blocks of the receive pool that lie in the kernel's ring to begin with. The kernel takes them
/// in turn, so this many blocks pass before one is used again: few stay in the processor's cache.
/// A shard whose kernel finds none doubles it.
pub const BUFFERS_OFFERED: u16 = 32;

/// Bytes of a block of the receive pool.
pub const BUFFER_BYTES: u32 = 32 * 1024;

/// Memory that glommio registers for file writes, with each of its three rings. It counts against
/// the locked-memory limit, and an access log goes through ordinary writes: the least it takes.
pub const FOREIGN_IO_MEMORY: usize = 64 * 1024;

/// Depth of glommio's own rings, which carry only file writes.
pub const FOREIGN_RING_DEPTH: usize = 32;

/// Bytes of a message head that an operator may allow at most; heads are addressed with 32 bits.
pub const HEAD_BYTES_MAX: usize = 1 << 20;

/// Bytes of a message head, by default: room for large cookies.
pub const HEAD_BYTES: usize = 64 << 10;

/// Bytes of a request line, by default: what other proxies accept.
pub const REQUEST_LINE_BYTES: usize = 8 << 10;

/// Fields of a head that an operator may allow at most: 5 KiB of each head's storage.
pub const FIELD_COUNT_MAX: usize = 256;

/// Fields of a head, by default.
pub const FIELD_COUNT: usize = 100;

/// Empty lines skipped before a request line; RFC 9112 §2.2 asks for at least one.
pub const LEADING_LINES_MAX: usize = 4;

/// Fields that `Connection` may name in one head: each is compared with every field.
pub const NOMINATIONS_MAX: usize = 32;

/// The largest body length that is believed, in bytes: peers hold it in a signed number.
pub const BODY_BYTES_MAX: u64 = i64::MAX as u64;

/// Bytes of chunk extensions in one body; they carry nothing and cost the receiver time.
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 4 << 10;

/// Bytes of trailer fields after one body; they are checked and dropped.
pub const TRAILER_BYTES_MAX: u32 = 16 << 10;

const _: () = assert!(HEAD_BYTES <= HEAD_BYTES_MAX && HEAD_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(REQUEST_LINE_BYTES <= HEAD_BYTES);
const _: () = assert!(FIELD_COUNT <= FIELD_COUNT_MAX);

/// Routes and clusters of one shard that have histograms: 512 of them take at most 28 MB, twice
/// that with the spare record. Past it they keep counters only.
pub const HISTOGRAM_SERIES_MAX: usize = 512;

/// Bytes of one value in an access-log line (path, user agent): a request line may have 8 KiB and
/// a head 64 KiB, of which a reader needs the beginning.
pub const ACCESS_LOG_VALUE_BYTES_MAX: usize = 2 << 10;

// Configuration: what is accepted at all.

/// Shortest duration that can be configured: timers fire a few milliseconds late.
pub const DURATION_MIN: Duration = Duration::from_millis(1);
/// Longest duration that can be configured: nanoseconds since the start must not overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 86_400);
/// Bytes of a configuration, all its files together: a mistyped path to a log must not be read into
/// memory.
pub const CONFIG_FILE_BYTES_MAX: u64 = 64 << 20;
/// Files that one place in `include` may stand for: one a service, for a large machine.
pub const INCLUDED_FILES_MAX: usize = 10_000;
/// Entries of a folder that is looked through for them; a folder of anything else has to end.
pub const INCLUDE_FOLDER_ENTRIES_MAX: usize = 100_000;
/// Places in `include`.
pub const INCLUDES_MAX: usize = 64;
/// Characters of a value quoted in a configuration error, so that it fits a line.
pub const CONFIG_ERROR_VALUE_CHARS: usize = 60;
/// Bytes of one compiled regular expression: hundreds of alternatives, but no bomb.
pub const REGEX_BYTES_MAX: usize = 1 << 20;
/// Bytes of a direct response's body: it is copied into every reply.
pub const DIRECT_RESPONSE_BYTES_MAX: usize = 64 << 10;
/// Shards of a process, and the highest core number: the kernel's `CPU_SETSIZE`.
pub const SHARDS_MAX: usize = 1024;
/// Certificates of one listener.
pub const CERTIFICATES_MAX: usize = 1024;
/// Bytes of a file with certificates, keys or revocations: a bundle of the world's authorities is
/// a quarter of a megabyte, large revocation lists are a few.
pub const TLS_FILE_BYTES_MAX: u64 = 32 << 20;
/// Names of fields in one list of external authorization: each is compared with every field.
pub const FIELD_PATTERNS_MAX: usize = 32;
/// Bytes of the content of an authorization service's denial, which is held whole: a page.
pub const EXTERNAL_CONTENT_BYTES_MAX: usize = 64 << 10;
/// Policies of one listener, virtual host or route: each is compared with those before it when the
/// configuration is read.
pub const POLICIES_MAX: usize = 10_000;
/// Entries in the index of one level's policies: past it a group of them is tried one by one.
pub const POLICY_INDEX_ENTRIES_MAX: usize = 1 << 20;
/// Bytes of a TLS client's first message with its records' headers, where it is read only to find
/// the name that it asks for: what TLS libraries take. Usual ones have a few hundred to two
/// thousand.
pub const CLIENT_HELLO_BYTES_MAX: usize = 64 << 10;
/// Rate limits of one listener, virtual host or route: a request takes a token of each.
pub const RATE_LIMITS_MAX: usize = 16;
/// Requests of a rate limit, in its time or at once.
pub const RATE_LIMIT_REQUESTS_MAX: u32 = 100_000_000;
/// Requests a second of a rate limit: its clock, of which 46 bits are kept, then runs for 11
/// years.
pub const RATE_LIMIT_PER_SECOND_MAX: u32 = 100_000;
/// Callers that one rate limit keeps apart, each in 8 bytes.
pub const RATE_LIMIT_CALLERS_MAX: u32 = 1 << 24;
/// The same, by default: half a megabyte a limit.
pub const RATE_LIMIT_CALLERS_DEFAULT: u32 = 1 << 16;
/// Weight of an endpoint or a cluster: percent with three decimals, as a whole number.
pub const WEIGHT_MAX: u32 = 100_000;
/// Proxies in front of this one that can be trusted.
pub const TRUSTED_HOPS_MAX: u8 = 32;

/// Methods that one route asks for: their challenges are written side by side.
pub const REQUIRED_METHODS_MAX: usize = 8;
/// API keys of one method: 100,000 of them take 6 MB and a look-up of 17 steps.
pub const API_KEYS_MAX: usize = 100_000;
/// Users of one method; each takes part in a search by name.
pub const BASIC_USERS_MAX: usize = 10_000;
/// Bytes of a name and a password together: people type them.
pub const BASIC_BYTES_MAX: usize = 512;
/// Memory that verifying one password may take, in KiB: a dozen times what is recommended.
pub const PASSWORD_MEMORY_KIB_MAX: u32 = 256 << 10;
/// Passes over that memory.
pub const PASSWORD_PASSES_MAX: u32 = 16;
/// Lanes of that memory.
pub const PASSWORD_LANES_MAX: u32 = 16;
/// Passwords that wait to be verified, in the whole process: at 21 ms each the last one waits for
/// less than two seconds. More are answered with 503.
pub const PASSWORD_QUEUE: usize = 64;
/// Passwords of one client in that queue, from one shard: one is being verified, the next waits. As
/// many as [`PASSWORD_QUEUE`] wait for a place in it.
pub const PASSWORDS_PER_CLIENT: usize = 2;
/// Bits of an IPv6 address that one subscriber has: the rest is theirs to choose (RFC 6177 §2).
pub const SUBSCRIBER_BITS: u8 = 64;
/// How long a request waits for its password to be verified.
pub const PASSWORD_PATIENCE: Duration = Duration::from_secs(5);
/// Calls for missing keys that wait for control: one is enough, and it is repeated.
pub const WANTED_KEYS: usize = 16;
/// How long a verified password is believed without asking again.
pub const PASSWORD_KEPT: Duration = Duration::from_secs(300);
/// How long a wrong one is: a client that repeats it costs one verification in this time.
pub const WRONG_PASSWORD_KEPT: Duration = Duration::from_secs(10);
/// Places for verified credentials in each shard, of 64 bytes.
pub const CREDENTIAL_CACHE_PLACES: usize = 4096;
/// Bytes of a token: Envoy's bound, and far more than what fits a cookie beside others.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// Values of a token's header or payload: a table is searched from its start.
pub const CLAIMS_MAX: u32 = 256;
/// Tables and lists within each other in a token.
pub const CLAIM_DEPTH_MAX: u32 = 8;
/// Headers that tell the upstream of a token.
pub const CLAIM_HEADERS_MAX: usize = 16;
/// Verified tokens of each shard: a few KiB each, 17 KiB at most.
pub const TOKEN_CACHE_PLACES: usize = 2048;
/// Bytes of the name of a key, which a token brings.
pub const KEY_ID_BYTES_MAX: usize = 256;
/// Keys that a token without the name of its key is tried with: each is a verification.
pub const KEY_TRIALS_MAX: usize = 4;
/// Bytes of a key set: a hundred RSA keys with their certificates.
pub const KEY_SET_BYTES_MAX: usize = 1 << 20;
/// Keys of a key set; issuers have two or three.
pub const KEY_SET_KEYS_MAX: usize = 128;
/// How long fetching a key set may take.
pub const KEYS_FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two fetches of a key set that missed keys ask for: strangers can name any key.
pub const KEYS_FETCH_PAUSE: Duration = Duration::from_secs(10);
/// How soon a fetch that failed is repeated at first...
pub const KEYS_RETRY_MIN: Duration = Duration::from_secs(1);
/// ...and in the end.
pub const KEYS_RETRY_MAX: Duration = Duration::from_secs(60);
/// How long fetched keys are used while no newer ones can be had.
pub const KEYS_STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Bytes of the hint of an identity.
pub const WORKLOAD_HINT_BYTES_MAX: usize = 1024;
/// How long the start waits for the first identity: an agent that starts beside us has to attest
/// itself first.
pub const WORKLOAD_START_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Bytes of an answer of the Workload API: what gRPC takes by default, a few thousand certificates.
pub const WORKLOAD_MESSAGE_BYTES_MAX: usize = 4 << 20;
/// How long the Workload API may take for its first answer, which it owes at once.
pub const WORKLOAD_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How soon the Workload API is asked again at first...
pub const WORKLOAD_RETRY_MIN: Duration = Duration::from_millis(200);
/// ...and in the end: an agent that is restarted is missed for no longer.
pub const WORKLOAD_RETRY_MAX: Duration = Duration::from_secs(10);
/// How often is looked whether a new identity is in use, and when the one in use ends.
pub const WORKLOAD_LOOK: Duration = Duration::from_secs(1);
/// Bytes of the address of a key set.
pub const KEY_ADDRESS_BYTES_MAX: usize = 2048;
/// Bytes of an RSA modulus: 2048 bits at least (RFC 7518 §3.3)...
pub const RSA_MODULUS_BYTES_MIN: usize = 256;
/// ...and 8192 at most: verifying takes time.
pub const RSA_MODULUS_BYTES_MAX: usize = 1024;
/// Bytes of an API key: keys are a few dozen, and each byte is hashed.
pub const API_KEY_BYTES_MAX: usize = 512;

// Configuration: defaults. Sources are compared in `config/README.md`.

/// Downstream connections of the process.
pub const CONNECTIONS_DEFAULT: u32 = 10_000;
/// Bytes of a request body at an edge: an upload should be a decision of the operator.
pub const BODY_BYTES_DEFAULT: u64 = 1 << 20;
/// Requests on one downstream connection at an edge: clients come back to a fresh core.
pub const REQUESTS_PER_CONNECTION_DEFAULT: u32 = 1000;
/// Connections, requests and waiting requests of one cluster: what other proxies allow.
pub const CIRCUIT_BREAKER_DEFAULT: u32 = 1024;
/// Requests that can be allowed to wait for one cluster: each holds its connection and its head.
pub const PENDING_MAX: u32 = 1_000_000;
/// How often a busy shard looks how long what arrives waits: often enough to see a burst end within
/// [`OVERLOAD_INTERVAL`], for one system call each.
pub const LAG_INTERVAL: Duration = Duration::from_millis(50);
/// Lag from which on requests wait to begin until the kernel has nothing else: above what a shard
/// with some work has, far below what anybody notices.
pub const BACKLOG_LAG: Duration = Duration::from_millis(10);
/// Completions in a turn from which on the kernel is held to have more: it hands out 20 at a time.
pub const BACKLOG_COMPLETIONS: usize = 16;
/// Waiting requests that begin in a turn when the kernel has nothing more...
pub const BACKLOG_TURN: u32 = 32;
/// ...and when it has: a shard whose relays never pause still begins.
pub const BACKLOG_TURN_BEHIND: u32 = 4;
/// Connections at rest from which on others rest although the shard lags no more: as many as would
/// make it lag if they came back at once, at 13 us for each refusal.
pub const BACKLOG_RESTING: usize = 768;
/// How long a shard must have lagged too much before requests are refused: longer than a burst, or
/// the growth of a table, takes.
pub const OVERLOAD_INTERVAL: Duration = Duration::from_millis(500);
/// Requests that are served for each that is refused because of the lag. A refusal takes up to two
/// thirds of what serving takes, and who is refused comes again: with 20, a thirtieth of a shard.
pub const SERVED_PER_REFUSAL: u32 = 20;
/// What `Retry-After` says, in seconds, to a request that was refused for overload...
pub const OVERLOAD_RETRY_AFTER: &str = "1";
/// ...and what its connection is held to where `max_pending` refused it and the shard lags.
pub const REFUSED_REST: Duration = Duration::from_secs(1);
/// How often the process looks what memory and descriptors it has left.
pub const SHORTAGE_INTERVAL: Duration = Duration::from_millis(500);
/// Per cent of its descriptors above which the process refuses requests: those in flight, and the
/// admin interface, need some.
pub const DESCRIPTORS_PERCENT_MAX: u64 = 95;
/// Health checks that run at once: they are short, and each takes a descriptor...
pub const HEALTH_CHECKS_AT_ONCE: usize = 64;
/// ...and how long one may take before it is held to hang, and leaves its place to others...
pub const HEALTH_CHECK_SHORT: Duration = Duration::from_millis(250);
/// ...as long as no more than these hang: those of a zone that is gone.
pub const HEALTH_CHECKS_HANGING: usize = 512;
/// Bytes of content in which a health check looks for what must be there.
pub const HEALTH_CONTENT_BYTES_MAX: usize = 64 << 10;
/// Results in a row that can be asked for before an endpoint's state changes.
pub const HEALTH_STREAK_MAX: u32 = 1000;
/// Retries of one request that can be configured: beyond it a failing cluster is only hit harder.
pub const RETRIES_MAX: u32 = 10;
/// Retries per second that can be allowed however few requests there are.
pub const RETRIES_PER_SECOND_MAX: u32 = 100_000;
/// Idle connections kept per endpoint.
pub const POOL_IDLE_DEFAULT: u32 = 128;
/// Bytes of access log lines each shard holds back.
pub const ACCESS_LOG_BUFFER_BYTES_DEFAULT: u64 = 1 << 20;
/// What can be configured for it: from a few hundred lines to what a machine can spare.
pub const ACCESS_LOG_BUFFER_BYTES_RANGE: RangeInclusive<u64> = 64 << 10..=1 << 30;

const _: () = assert!(POOL_IDLE_DEFAULT <= CIRCUIT_BREAKER_DEFAULT);

// Forwarding.

/// Bytes waiting in a send queue above which the other side is not received from: what bounds the
/// memory of a body. What one receive brings passes in one call and one batch; below that, each
/// body of 64 KiB and its head took two of both.
pub const RELAY_QUEUE_BYTES_MAX: usize = RECEIVED_BYTES_MAX;
/// Bytes waiting in a send queue at which receiving from the other side goes on.
pub const RELAY_QUEUE_BYTES_LOW: usize = 16 * 1024;
/// Body pieces up to this are copied into the send queue: cheaper than a segment of their own.
pub const BODY_COPY_BYTES_MAX: usize = 1024;
/// Bytes of a request body kept so that it can be sent again.
pub const REPLAY_BYTES_MAX: usize = 64 * 1024;
/// Time over which retries are compared with requests: long enough that a restart of an endpoint
/// is covered by what was saved up, short enough that yesterday's traffic pays for nothing.
pub const RETRY_BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// Interim responses to one request: a 100, some 103, and room; more is no conversation.
pub const INTERIM_RESPONSES_MAX: usize = 16;
/// How long a client that closed its sending side is waited for: it may only have half-closed.
pub const HALF_CLOSE_GRACE: Duration = Duration::from_secs(2);
/// Idle time of an upstream connection up to which it is used for a request that could not be
/// repeated. Far below any server's idle timeout.
pub const UNREPEATABLE_IDLE_MAX: Duration = Duration::from_secs(1);
/// How much earlier than a peer announced its idle connection is given up.
pub const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);
/// Time between two sweeps of the idle upstream connections, while there are any.
pub const POOL_SWEEP: Duration = Duration::from_secs(1);
/// Bytes of storage for heads that is kept from request to request.
pub const HEAD_STORAGE_KEPT_BYTES: usize = 8 * 1024;

const _: () = assert!(RELAY_QUEUE_BYTES_LOW < RELAY_QUEUE_BYTES_MAX);

/// Attempts at connecting for a connection that is carried through: with two endpoints down a
/// third is found.
pub const PASSAGE_ATTEMPTS_MAX: u32 = 3;

// Balancing.

/// How many times the mean latency of its cluster an attempt counts as that its endpoint refused...
pub const REFUSAL_FACTOR_FIRST: f64 = 2.0;
/// ...and how many times the one before each further one in a row: a refusal now and then must not
/// take an endpoint out, and one after the other must soon.
pub const REFUSAL_FACTOR: f64 = 4.0;
/// Numbers drawn for one choice before the endpoints are looked at in turn: as at least half of
/// them may be drawn, one pick in 2^16 does.
pub const DRAWS_MAX: u32 = 16;
/// Endpoints that one request avoids because attempts on them failed.
pub const AVOIDED_MAX: usize = 8;
/// Changes of endpoints that a balancer which was not asked for a while can make up for one by
/// one; after more it looks at all of its endpoints.
pub const ENDPOINT_CHANGES_KEPT: usize = 64;
/// How far below the mean a success rate must lie to be an outlier, as a share of one: less is
/// within what a hundred requests can tell.
pub const SUCCESS_RATE_DISTANCE: f64 = 0.1;
/// How likely it may be that a rate so low is chance: endpoints, shards and intervals are many.
pub const SUCCESS_RATE_CHANCE: f64 = 1e-5;
/// Requests from which on one shard judges a success rate, however many shards there are.
pub const SUCCESS_RATE_REQUESTS_MIN: u32 = 20;
/// Points on a hash ring: at least so many, so that a few endpoints have even shares; so many for
/// each endpoint; and at most so many (12 MiB), with which 100,000 endpoints have ten each.
pub const RING_POINTS_MIN: usize = 1024;
/// See above.
pub const RING_POINTS_EACH: usize = 100;
/// See above.
pub const RING_POINTS_MAX: usize = 1 << 20;
/// Entries of a Maglev table, a prime (256 KiB)...
pub const MAGLEV_ENTRIES: u64 = 65_537;
/// ...for up to so many endpoints, which then have eight entries each or more...
pub const MAGLEV_ENDPOINTS: usize = 8_192;
/// ...and for more (4 MiB).
pub const MAGLEV_ENTRIES_LARGE: u64 = 1_048_583;
/// Entries of a hash table that are looked at for one pick before chance decides: far more than a
/// bounded load or a few endpoints that are out need.
pub const HASH_STEPS_MAX: usize = 4_096;
/// Bytes of the secret that a sticky cookie is signed with: 128 bits, if they are random...
pub const COOKIE_KEY_BYTES_MIN: usize = 16;
/// ...and no more are read from its file.
pub const COOKIE_KEY_BYTES_MAX: u64 = 4096;
/// Share of its weight that an endpoint has when it begins to warm up: enough to be warmed.
pub const SLOW_START_SHARE_MIN: f64 = 0.1;

// Downstream connections.

/// Bytes discarded from a client after the last response, so that it reads it before a reset.
pub const LINGER_BYTES_MAX: usize = 1 << 20;
/// How long a client may take to close after the last response.
pub const LINGER: Duration = Duration::from_secs(2);
/// Idle time after which a drain closes a connection: a client that has just been answered may be
/// sending its next request already, and is answered with `Connection: close` instead.
pub const DRAIN_IDLE_GRACE: Duration = Duration::from_secs(1);
/// Recycled places for connections in an exchange, kept by each shard.
pub const SPARE_PLACES: usize = 1024;
/// Commands that a shard's mailbox holds: scrapes, a drain, and connections handed over in a
/// burst. A full mailbox makes the accepting shard keep the connection.
pub const MAILBOX: usize = 1024;

/// Backlog asked for each listening socket; the kernel cuts it to `net.core.somaxconn`.
pub const LISTEN_BACKLOG: u32 = 4096;

/// How long a listener waits after an accept failed for want of descriptors or memory.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often a draining shard looks whether its last connection has ended.
pub const DRAIN_POLL: Duration = Duration::from_millis(10);

/// How long the access log waits after its file failed, and at most when a shard ends.
pub const ACCESS_LOG_PAUSE: Duration = Duration::from_secs(1);

// Reload.

/// How long all shards together may take to prepare a generation: building the tables of 100,000
/// endpoints takes a fraction of it.
pub const PREPARE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a changed file must stay as it is before it is read: whoever writes a certificate and
/// its key does not do it in one step.
pub const WATCH_REST: Duration = Duration::from_millis(100);
/// How long a file that goes on changing is waited for.
pub const WATCH_REST_MAX: Duration = Duration::from_secs(2);
/// How often watched files are looked at without being told: file systems of other machines tell
/// nothing.
pub const WATCH_POLL: Duration = Duration::from_secs(5);
/// How often connections are looked at whose client's certificate has an end: one that is busy is
/// cut by at most so much after its time.
pub const PROOF_SWEEP: Duration = Duration::from_secs(5);
/// Links that are followed from a file's name to the file; the kernel follows 40.
pub const WATCH_LINKS_MAX: usize = 40;
