//! What the installation is. Written once; another one is never taken.

use orrery_contracts::{Engine, Installation, Time};
use sqlx::PgConnection;
use uuid::Uuid;

/// The installation that the database belongs to, once known.
///
/// # Errors
/// When the database is away or refuses.
pub async fn installation(db: &mut PgConnection) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!("SELECT id FROM meta.installation").fetch_optional(db).await
}

/// The installation's whole record, once known.
///
/// # Errors
/// When the database is away or refuses.
pub async fn whole_installation(db: &mut PgConnection) -> sqlx::Result<Option<Installation>> {
    let row = sqlx::query!("SELECT id, engines, created_at FROM meta.installation").fetch_optional(db).await?;
    Ok(row.map(|row| Installation {
        id: row.id,
        engines: [Engine::Docker, Engine::Libvirt]
            .into_iter()
            .filter(|engine| row.engines.iter().any(|kept| kept == engine.as_str()))
            .collect(),
        created_at: Time::new(row.created_at),
    }))
}

/// Keeps what HEADS says of the installation; its id stays what it was.
///
/// # Errors
/// When the database is away or refuses.
pub async fn keep_installation(db: &mut PgConnection, it: &Installation) -> sqlx::Result<()> {
    let engines: Vec<String> = it.engines.iter().map(|engine| engine.as_str().to_owned()).collect();
    sqlx::query!(
        "INSERT INTO meta.installation (id, engines, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (one) DO UPDATE SET engines = excluded.engines",
        it.id,
        &engines,
        it.created_at.inner()
    )
    .execute(db)
    .await?;
    Ok(())
}
