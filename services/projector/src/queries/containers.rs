//! Containers and engines: what is observed now. Rows come and go with observations.

use orrery_contracts::{ContainerObservation, EngineMarker, Health, StackId, Time};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{big, small, unsigned};
use crate::text::{storable, storable_json, storable_option};

/// A container, by host and the engine's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerKey {
    /// The host.
    pub host: String,
    /// The engine's id.
    pub id: String,
}

/// A container that went, and the stack whose it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The container.
    pub key: ContainerKey,
    /// The stack.
    pub stack_id: Option<Uuid>,
}

const fn health_word(health: Health) -> &'static str {
    match health {
        Health::None => "none",
        Health::Starting => "starting",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

fn health(word: &str) -> Health {
    match word {
        "starting" => Health::Starting,
        "healthy" => Health::Healthy,
        "unhealthy" => Health::Unhealthy,
        _ => Health::None,
    }
}

/// What is known of a container.
///
/// # Errors
/// When the database is away or refuses.
pub async fn find(db: &mut PgConnection, key: &ContainerKey) -> sqlx::Result<Option<ContainerObservation>> {
    let row = sqlx::query!("SELECT * FROM containers WHERE host = $1 AND id = $2", key.host, key.id).fetch_optional(db).await?;
    Ok(row.map(|row| ContainerObservation {
        id: row.id,
        name: row.name,
        host: row.host,
        installation: row.installation,
        stack_id: row.stack_id.map(StackId::new),
        project: row.project,
        service: row.service,
        number: row.number.map(small),
        version: row.version.map(small),
        image: row.image,
        image_id: row.image_id,
        state: row.state,
        health: health(&row.health),
        exit_code: row.exit_code,
        ports: serde_json::from_value(row.ports).unwrap_or_default(),
        created_at: row.created_at.map(Time::new),
        started_at: row.started_at.map(Time::new),
        finished_at: row.finished_at.map(Time::new),
        transient: row.transient,
        drift: serde_json::from_value(row.drift).unwrap_or_default(),
        epoch: unsigned(row.epoch),
    }))
}

/// Keeps what an engine says of a container.
///
/// # Errors
/// When the database is away or refuses.
pub async fn seen(db: &mut PgConnection, it: &ContainerObservation) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO containers (host, id, name, installation, stack_id, project, service, number, version, image, image_id, state,
                                 health, exit_code, ports, created_at, started_at, finished_at, transient, drift, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
         ON CONFLICT (host, id) DO UPDATE
         SET name = excluded.name, installation = excluded.installation, stack_id = excluded.stack_id, project = excluded.project,
             service = excluded.service, number = excluded.number, version = excluded.version, image = excluded.image,
             image_id = excluded.image_id, state = excluded.state, health = excluded.health, exit_code = excluded.exit_code,
             ports = excluded.ports, created_at = excluded.created_at, started_at = excluded.started_at,
             finished_at = excluded.finished_at, transient = excluded.transient, drift = excluded.drift, epoch = excluded.epoch",
        &storable(&it.host),
        &storable(&it.id),
        &storable(&it.name),
        it.installation,
        it.stack_id.map(StackId::uuid),
        storable_option(it.project.as_deref()),
        storable_option(it.service.as_deref()),
        it.number.map(i64::from),
        it.version.map(i64::from),
        &storable(&it.image),
        &storable(&it.image_id),
        &storable(&it.state),
        health_word(it.health),
        it.exit_code,
        storable_json(&it.ports),
        it.created_at.map(Time::inner),
        it.started_at.map(Time::inner),
        it.finished_at.map(Time::inner),
        it.transient,
        storable_json(&it.drift),
        big(it.epoch),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes a container away.
///
/// # Errors
/// When the database is away or refuses.
pub async fn gone(db: &mut PgConnection, key: &ContainerKey) -> sqlx::Result<Option<Gone>> {
    let row =
        sqlx::query!("DELETE FROM containers WHERE host = $1 AND id = $2 RETURNING stack_id", key.host, key.id).fetch_optional(db).await?;
    Ok(row.map(|row| Gone { key: key.clone(), stack_id: row.stack_id }))
}

/// Takes away what a complete listing of a host did not have.
///
/// # Errors
/// When the database is away or refuses.
pub async fn not_listed(db: &mut PgConnection, host: &str, epoch: u64) -> sqlx::Result<Vec<Gone>> {
    let rows = sqlx::query!("DELETE FROM containers WHERE host = $1 AND epoch < $2 RETURNING host, id, stack_id", host, big(epoch))
        .map(|row| Gone { key: ContainerKey { host: row.host, id: row.id }, stack_id: row.stack_id });
    rows.fetch_all(db).await
}

/// Every container that is known.
///
/// # Errors
/// When the database is away or refuses.
pub async fn all(db: &mut PgConnection) -> sqlx::Result<Vec<ContainerKey>> {
    let rows = sqlx::query!("SELECT host, id FROM containers").map(|row| ContainerKey { host: row.host, id: row.id });
    rows.fetch_all(db).await
}

/// Keeps what the end of a listing says of an engine; false when that is known already.
///
/// # Errors
/// When the database is away or refuses.
pub async fn listed(db: &mut PgConnection, engine: &str, it: &EngineMarker) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO engines (host, engine, engine_version, api_version, cpus, memory, epoch, listed_at, accelerator)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (host, engine) DO UPDATE
         SET engine_version = excluded.engine_version, api_version = excluded.api_version, cpus = excluded.cpus,
             memory = excluded.memory, epoch = excluded.epoch, listed_at = excluded.listed_at, accelerator = excluded.accelerator
         WHERE engines IS DISTINCT FROM excluded",
        &storable(&it.host),
        &storable(engine),
        &storable(&it.engine_version),
        &storable(&it.api_version),
        i64::from(it.cpus),
        big(it.memory),
        big(it.epoch),
        it.at.inner(),
        storable_option(it.accelerator.as_deref())
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}
