//! Domains and boxes: what libvirt has now. Rows come and go with observations.

use orrery_contracts::{BoxObservation, MachineId, MachineObservation, StackId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::big;
use crate::text::{storable, storable_json};

/// Keeps what libvirt says of a domain; false when nothing has changed but the listing that it came from.
///
/// # Errors
/// When the database is away or refuses.
pub async fn seen(db: &mut PgConnection, it: &MachineObservation) -> sqlx::Result<bool> {
    let changed = sqlx::query_scalar!(
        r#"WITH before AS (SELECT to_jsonb(d) - 'epoch' AS it FROM domains d WHERE d.host = $1 AND d.uuid = $2),
                now AS (
                    INSERT INTO domains AS d (host, uuid, name, installation, machine_id, kind, version, state, reason, cpus, memory,
                                              addresses, snapshots, drift, epoch)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                    ON CONFLICT (host, uuid) DO UPDATE
                    SET name = excluded.name, installation = excluded.installation, machine_id = excluded.machine_id,
                        kind = excluded.kind, version = excluded.version, state = excluded.state, reason = excluded.reason,
                        cpus = excluded.cpus, memory = excluded.memory, addresses = excluded.addresses,
                        snapshots = excluded.snapshots, drift = excluded.drift, epoch = excluded.epoch
                    RETURNING to_jsonb(d) - 'epoch' AS it)
           SELECT now.it IS DISTINCT FROM (SELECT before.it FROM before) AS "changed!" FROM now"#,
        &storable(&it.host),
        it.uuid,
        &storable(&it.name),
        it.installation,
        it.machine_id.map(MachineId::uuid),
        it.kind.as_str(),
        it.version.map(i64::from),
        it.state.as_str(),
        &storable(&it.reason),
        i64::from(it.cpus),
        big(it.memory),
        storable_json(&it.addresses),
        storable_json(&it.snapshots),
        storable_json(&it.drift),
        big(it.epoch),
    )
    .fetch_one(db)
    .await?;
    Ok(changed)
}

/// Takes a domain away; answers the machine whose it was.
///
/// # Errors
/// When the database is away or refuses.
pub async fn gone(db: &mut PgConnection, host: &str, uuid: Uuid) -> sqlx::Result<Option<StackId>> {
    let row = sqlx::query_scalar!("DELETE FROM domains WHERE host = $1 AND uuid = $2 RETURNING machine_id", host, uuid)
        .fetch_optional(db)
        .await?;
    Ok(row.flatten().map(StackId::new))
}

/// Takes away what a complete listing of a host did not have; answers the machines whose it was.
///
/// # Errors
/// When the database is away or refuses.
pub async fn not_listed(db: &mut PgConnection, host: &str, epoch: u64) -> sqlx::Result<Vec<StackId>> {
    sqlx::query!("DELETE FROM boxes WHERE host = $1 AND epoch < $2", host, big(epoch)).execute(&mut *db).await?;
    let rows = sqlx::query_scalar!("DELETE FROM domains WHERE host = $1 AND epoch < $2 RETURNING machine_id", host, big(epoch))
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().flatten().map(StackId::new).collect())
}

/// Keeps what the pool has of a box.
///
/// # Errors
/// When the database is away or refuses.
pub async fn box_seen(db: &mut PgConnection, it: &BoxObservation) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO boxes (host, name, format, sha256, size, capacity, description, origin, imported_at, used_by, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (host, name) DO UPDATE
         SET format = excluded.format, sha256 = excluded.sha256, size = excluded.size, capacity = excluded.capacity,
             description = excluded.description, origin = excluded.origin, imported_at = excluded.imported_at,
             used_by = excluded.used_by, epoch = excluded.epoch",
        &storable(&it.host),
        &storable(&it.name),
        it.format.as_str(),
        it.sha256.as_str(),
        big(it.size),
        big(it.capacity),
        &storable(&it.description),
        &storable(&it.origin),
        it.imported_at.inner(),
        storable_json(&it.used_by),
        big(it.epoch),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes a box away.
///
/// # Errors
/// When the database is away or refuses.
pub async fn box_gone(db: &mut PgConnection, host: &str, name: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM boxes WHERE host = $1 AND name = $2", host, name).execute(db).await?;
    Ok(())
}
