//! Tables beside the read model, in which a rebuild grows, and the swap. A crash leaves nothing: they are temporary.

use sqlx::PgConnection;

/// Makes an empty table beside each table of the read model, with the same columns, checks and keys.
///
/// # Errors
/// When the database is away or refuses.
pub async fn make_beside(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "CREATE TEMPORARY TABLE offsets (LIKE read.offsets INCLUDING ALL);
         CREATE TEMPORARY TABLE commands (LIKE read.commands INCLUDING ALL);
         CREATE TEMPORARY TABLE steps (LIKE read.steps INCLUDING ALL);
         CREATE TEMPORARY TABLE stacks (LIKE read.stacks INCLUDING ALL);
         CREATE TEMPORARY TABLE versions (LIKE read.versions INCLUDING ALL);
         CREATE TEMPORARY TABLE containers (LIKE read.containers INCLUDING ALL);
         CREATE TEMPORARY TABLE domains (LIKE read.domains INCLUDING ALL);
         CREATE TEMPORARY TABLE boxes (LIKE read.boxes INCLUDING ALL);
         CREATE TEMPORARY TABLE engines (LIKE read.engines INCLUDING ALL);",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Puts what has grown beside in the place of what was there. Readers see the one or the other, never half.
///
/// # Errors
/// When the database is away or refuses.
pub async fn swap(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "DELETE FROM read.offsets;    INSERT INTO read.offsets SELECT * FROM pg_temp.offsets;
         DELETE FROM read.commands;   INSERT INTO read.commands SELECT * FROM pg_temp.commands;
         DELETE FROM read.steps;      INSERT INTO read.steps SELECT * FROM pg_temp.steps;
         DELETE FROM read.stacks;     INSERT INTO read.stacks SELECT * FROM pg_temp.stacks;
         DELETE FROM read.versions;   INSERT INTO read.versions SELECT * FROM pg_temp.versions;
         DELETE FROM read.containers; INSERT INTO read.containers SELECT * FROM pg_temp.containers;
         DELETE FROM read.domains;    INSERT INTO read.domains SELECT * FROM pg_temp.domains;
         DELETE FROM read.boxes;      INSERT INTO read.boxes SELECT * FROM pg_temp.boxes;
         DELETE FROM read.engines;    INSERT INTO read.engines SELECT * FROM pg_temp.engines;",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes the right to rebuild, for as long as this connection lives or until it gives it back; false when another has it.
///
/// # Errors
/// When the database is away or refuses.
pub async fn only_one(db: &mut PgConnection) -> sqlx::Result<bool> {
    let mine = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock(hashtext('orrery rebuild')) AS "mine!""#).fetch_one(db).await?;
    Ok(mine)
}

/// Gives the right to rebuild back. A connection that is dropped keeps it until the server notices.
///
/// # Errors
/// When the database is away or refuses.
pub async fn give_back(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query_scalar!("SELECT pg_advisory_unlock(hashtext('orrery rebuild'))").fetch_one(db).await.map(drop)
}
