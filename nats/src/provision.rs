//! Making the streams and buckets, or checking the ones that are there, and the installation's own record in HEADS.
//!
//! Which streams there are is said in `orrery_queue::topology`; this is the one caller that may make them, as `ops`.

use async_nats::jetstream;
use async_nats::jetstream::kv::{CreateErrorKind, Store};
use orrery_contracts::Time;
use orrery_contracts::engine::Engine;
use orrery_contracts::heads::Installation;
use orrery_contracts::subjects;
use orrery_queue::topology;
use uuid::Uuid;

use crate::errors::NatsError;
use crate::layout::Layout;
use crate::secrets;
use crate::settings::Settings;
use crate::signin::{self, Credentials};
use crate::users::User;

/// The engines of an installation that was not told otherwise.
pub const ALL_ENGINES: &str = "docker,libvirt";

/// Makes what is missing and checks what is there; `engines` is a list with commas.
///
/// Says what became of each stream.
pub async fn provision(layout: &Layout, engines: &str) -> Result<Vec<(String, topology::Ensured)>, NatsError> {
    let engines = parse_engines(engines)?;
    let settings =
        Settings::load(layout)?.ok_or_else(|| NatsError::NotReady { detail: format!("{} is not there", layout.settings().display()) })?;
    let password = secrets::password_at(&layout.password(User::Ops))?;
    let client = signin::connect(&Credentials::new(&settings.url(), User::Ops.name(), &password)).await?;
    let jetstream = jetstream::new(client);
    let wanted = topology::Settings { storage_bytes: settings.max_file_store, ..topology::Settings::default() };
    let ensured = topology::ensure(&jetstream, &wanted).await.map_err(|error| failed("a stream is missing or wrong", error))?;
    let heads = jetstream.get_key_value(subjects::HEADS).await.map_err(|error| failed("the bucket HEADS cannot be opened", error))?;
    record_installation(&heads, engines).await?;
    Ok(ensured)
}

/// The installation's record: written once; only its engines follow the configuration.
async fn record_installation(heads: &Store, engines: Vec<Engine>) -> Result<(), NatsError> {
    let fresh = Installation { id: Uuid::now_v7(), engines: engines.clone(), created_at: Time::new(time::OffsetDateTime::now_utc()) };
    match heads.create(subjects::INSTALLATION_KEY, encode(&fresh)?).await {
        Ok(_) => return Ok(()),
        Err(error) => match error.kind() {
            CreateErrorKind::AlreadyExists => {}
            CreateErrorKind::InvalidKey | CreateErrorKind::Publish | CreateErrorKind::Ack | CreateErrorKind::Other => {
                return Err(failed("the installation's record cannot be written", error));
            }
        },
    }
    let entry = heads
        .entry(subjects::INSTALLATION_KEY)
        .await
        .map_err(|error| failed("the installation's record cannot be read", error))?
        .ok_or_else(|| NatsError::NotReady { detail: "the installation's record came and went".to_owned() })?;
    let known: Installation =
        serde_json::from_slice(&entry.value).map_err(|error| failed("the installation's record cannot be understood", error))?;
    if known.engines == engines {
        return Ok(());
    }
    let changed = Installation { engines, ..known };
    heads
        .update(subjects::INSTALLATION_KEY, encode(&changed)?, entry.revision)
        .await
        .map(drop)
        .map_err(|error| failed("the installation's engines cannot be changed", error))
}

fn encode(installation: &Installation) -> Result<bytes::Bytes, NatsError> {
    serde_json::to_vec(installation).map(Into::into).map_err(|error| failed("the installation's record cannot be spelled", error))
}

fn parse_engines(list: &str) -> Result<Vec<Engine>, NatsError> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            serde_json::from_value(serde_json::Value::String(name.to_owned()))
                .map_err(|error| failed(&format!("{name:?} in ORRERY_ENGINES is no engine"), error))
        })
        .collect()
}

fn failed(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NatsError {
    NatsError::Provision { what: what.to_owned(), source: source.into() }
}
