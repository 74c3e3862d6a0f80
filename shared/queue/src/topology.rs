//! The streams and buckets, as data, and how they are made and checked. Only the provisioning user may make or change
//! one; what exists and differs is refused with every difference named, never silently used or changed.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use orrery_contracts::subjects;
use thiserror::Error;

const MIB: u64 = 1024 * 1024;
/// The shortest that the broker takes.
const SHORTEST_WINDOW: Duration = Duration::from_millis(100);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What an installation may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The broker's `max_file_store`: every stream reserves its share of it, so that none can eat another's.
    pub storage_bytes: u64,
    /// The first sequence of a COMMANDS that is made now: above every one ever seen, after a loss.
    pub commands_from: Option<u64>,
    /// The same for EVENTS.
    pub events_from: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { storage_bytes: 64 * 1024 * MIB, commands_from: None, events_from: None }
    }
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was not there, and was made.
    Created,
    /// It was there, as it should be.
    Verified,
    /// It was there, as it should be, with another size, which was changed.
    Resized,
}

/// A field of a stream that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field, as the broker spells it.
    pub field: &'static str,
    /// What the stream has.
    pub found: String,
    /// What it should have.
    pub wanted: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, should be {}", self.field, self.found, self.wanted)
    }
}

/// Why the topology could not be made sure of.
#[derive(Debug, Error)]
pub enum TopologyError {
    /// The broker did not answer, or refused.
    #[error("stream {stream}: the broker {what}")]
    Broker {
        /// The stream.
        stream: String,
        /// What it did.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stream exists and is another one.
    #[error(
        "stream {stream} exists and is not Orrery's: {}. Nothing was changed; rename or repair it, or use another broker",
        list(mismatches)
    )]
    Wrong {
        /// The stream.
        stream: String,
        /// Everything that differs.
        mismatches: Vec<Mismatch>,
    },
}

fn list(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Every stream, the buckets' included, in the order in which they are made.
#[must_use]
pub fn streams(settings: &Settings) -> Vec<Config> {
    let share = |percent: u64| settings.storage_bytes / 100 * percent;
    vec![
        Config {
            first_sequence: settings.commands_from,
            ..for_ever(subjects::COMMANDS, subjects::ALL_COMMANDS, share(20)).once_a_subject()
        },
        Config { first_sequence: settings.events_from, ..for_ever(subjects::EVENTS, subjects::ALL_EVENTS, share(20)) },
        for_ever(subjects::VERSIONS, subjects::ALL_VERSIONS, share(5)).once_a_subject(),
        for_ever(subjects::BUNDLES, subjects::ALL_BUNDLES, share(35)).once_a_subject(),
        Config { max_messages_per_subject: 1, ..ageing(subjects::OBSERVED, subjects::ALL_OBSERVED, share(2)) },
        Config { max_age: DAY, ..ageing(subjects::PROGRESS, subjects::ALL_PROGRESS, share(2).min(256 * MIB)) },
        bucket(subjects::HEADS, 5, share(2)),
        bucket(subjects::POLICY, 5, share(1)),
        object_store(subjects::UPLOADS, share(10)),
    ]
}

/// Adds "written once" to a stream.
trait OnceASubject {
    fn once_a_subject(self) -> Self;
}

impl OnceASubject for Config {
    fn once_a_subject(self) -> Self {
        Self { max_messages_per_subject: 1, discard_new_per_subject: true, ..self }
    }
}

fn stream(name: &str, captures: Vec<String>, bytes: u64) -> Config {
    Config {
        name: name.to_owned(),
        subjects: captures,
        max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        // The id in the subject tells a repeat from a new message; a header that a client reuses must not.
        duplicate_window: SHORTEST_WINDOW,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: 1,
        allow_direct: true,
        ..Config::default()
    }
}

fn for_ever(name: &str, captures: &str, bytes: u64) -> Config {
    let stream = stream(name, vec![captures.to_owned()], bytes);
    Config { discard: DiscardPolicy::New, deny_delete: true, deny_purge: true, ..stream }
}

fn ageing(name: &str, captures: &str, bytes: u64) -> Config {
    let stream = stream(name, vec![captures.to_owned()], bytes);
    Config { discard: DiscardPolicy::Old, deny_delete: true, ..stream }
}

fn bucket(name: &str, history: i64, bytes: u64) -> Config {
    let stream = stream(&format!("KV_{name}"), vec![format!("$KV.{name}.>")], bytes);
    Config { max_messages_per_subject: history, discard: DiscardPolicy::New, deny_delete: true, allow_rollup: true, ..stream }
}

fn object_store(name: &str, bytes: u64) -> Config {
    let stream = stream(&format!("OBJ_{name}"), vec![format!("$O.{name}.C.>"), format!("$O.{name}.M.>")], bytes);
    Config { discard: DiscardPolicy::New, allow_rollup: true, ..stream }
}

/// Makes what is missing, and verifies what is there, field by field.
///
/// # Errors
/// [`TopologyError::Wrong`] for the first stream that exists and differs in anything but its size.
pub async fn ensure(jetstream: &jetstream::Context, settings: &Settings) -> Result<Vec<(String, Ensured)>, TopologyError> {
    let mut ensured = Vec::new();
    for wanted in streams(settings) {
        let name = wanted.name.clone();
        ensured.push((name, ensure_one(jetstream, wanted).await?));
    }
    Ok(ensured)
}

/// Verifies that the streams of these names are there and as they should be, changing nothing.
///
/// # Errors
/// What is missing, or what differs.
pub async fn verify(jetstream: &jetstream::Context, names: &[&str]) -> Result<(), TopologyError> {
    for wanted in streams(&Settings::default()).into_iter().filter(|wanted| names.contains(&wanted.name.as_str())) {
        let found = jetstream.get_stream(&wanted.name).await;
        let found = found.map_err(|error| refused(&wanted.name, "does not show it", error))?;
        compare(&wanted, &found.cached_info().config)?;
    }
    Ok(())
}

async fn ensure_one(jetstream: &jetstream::Context, wanted: Config) -> Result<Ensured, TopologyError> {
    let name = wanted.name.clone();
    let found = match jetstream.get_stream(&name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) if is_missing(&error) => {
            jetstream.create_stream(wanted).await.map_err(|error| refused(&name, "does not make it", error))?;
            return Ok(Ensured::Created);
        }
        Err(error) => return Err(refused(&name, "does not show it", error)),
    };
    compare(&wanted, &found)?;
    if wanted.max_bytes == found.max_bytes {
        return Ok(Ensured::Verified);
    }
    let resized = Config { max_bytes: wanted.max_bytes, ..found };
    jetstream.update_stream(resized).await.map_err(|error| refused(&name, "does not change its size", error))?;
    Ok(Ensured::Resized)
}

fn is_missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
    use async_nats::jetstream::context::GetStreamErrorKind;
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName | GetStreamErrorKind::Request => false,
    }
}

fn refused(stream: &str, what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TopologyError {
    TopologyError::Broker { stream: stream.to_owned(), what: what.to_owned(), source: source.into() }
}

fn compare(wanted: &Config, found: &Config) -> Result<(), TopologyError> {
    let mismatches = mismatches(wanted, found);
    if mismatches.is_empty() {
        return Ok(());
    }
    Err(TopologyError::Wrong { stream: wanted.name.clone(), mismatches })
}

/// Everything in which a stream differs from what it should be. Its size may be changed and its first sequence is
/// history, so neither counts.
fn mismatches(wanted: &Config, found: &Config) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    let mut field = |field, found: &dyn fmt::Debug, wanted: &dyn fmt::Debug| {
        let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
        if found != wanted {
            mismatches.push(Mismatch { field, found, wanted });
        }
    };
    field("subjects", &found.subjects, &wanted.subjects);
    field("retention", &found.retention, &wanted.retention);
    field("storage", &found.storage, &wanted.storage);
    field("discard", &found.discard, &wanted.discard);
    field("discard_new_per_subject", &found.discard_new_per_subject, &wanted.discard_new_per_subject);
    field("max_msgs", &unlimited(found.max_messages), &unlimited(wanted.max_messages));
    field("max_msgs_per_subject", &unlimited(found.max_messages_per_subject), &unlimited(wanted.max_messages_per_subject));
    field("max_msg_size", &unlimited(found.max_message_size.into()), &unlimited(wanted.max_message_size.into()));
    field("max_age", &found.max_age, &wanted.max_age);
    field("duplicate_window", &found.duplicate_window, &wanted.duplicate_window);
    field("max_consumers", &unlimited(found.max_consumers.into()), &unlimited(wanted.max_consumers.into()));
    field("no_ack", &found.no_ack, &wanted.no_ack);
    field("sealed", &found.sealed, &wanted.sealed);
    field("deny_delete", &found.deny_delete, &wanted.deny_delete);
    field("deny_purge", &found.deny_purge, &wanted.deny_purge);
    field("allow_rollup_hdrs", &found.allow_rollup, &wanted.allow_rollup);
    field("allow_direct", &found.allow_direct, &wanted.allow_direct);
    field("mirror", &found.mirror.is_some(), &wanted.mirror.is_some());
    field("sources", &found.sources.as_ref().is_some_and(|sources| !sources.is_empty()), &wanted.sources.is_some());
    field("republish", &found.republish.is_some(), &wanted.republish.is_some());
    field("subject_transform", &found.subject_transform.is_some(), &wanted.subject_transform.is_some());
    mismatches
}

/// The broker writes "no limit" as -1, and reads 0 as the same.
fn unlimited(limit: i64) -> i64 {
    if limit == 0 { -1 } else { limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_fit_into_the_storage() {
        let settings = Settings { storage_bytes: 1000 * MIB, ..Settings::default() };
        let reserved: i64 = streams(&settings).iter().map(|stream| stream.max_bytes).sum();
        assert!(u64::try_from(reserved).unwrap() <= settings.storage_bytes, "{reserved}");
    }

    #[test]
    fn a_stream_that_differs_is_refused_with_every_difference() {
        let wanted = streams(&Settings::default()).remove(0);
        let found = Config { deny_purge: false, max_messages_per_subject: -1, max_bytes: 1, first_sequence: Some(9), ..wanted.clone() };
        let error = compare(&wanted, &found).unwrap_err().to_string();
        assert_eq!(
            error,
            "stream COMMANDS exists and is not Orrery's: max_msgs_per_subject is -1, should be 1; \
             deny_purge is false, should be true. Nothing was changed; rename or repair it, or use another broker"
        );
    }
}
