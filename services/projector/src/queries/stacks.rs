//! Stacks and machines, and their versions: both are versioned in one way, and lie in one table.

use orrery_contracts::heads::ServiceExpectation;
use orrery_contracts::{Desired, MachineSummary, Secret, StackId, Time};
use sqlx::PgConnection;

use super::big;
use crate::text::{storable, storable_json};

/// What is versioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stack.
    Stack,
    /// A machine.
    Machine,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Machine => "machine",
        }
    }
}

/// A stack or machine as its creation says it.
#[derive(Clone, Copy, Debug)]
pub struct NewStack<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: StackId,
    /// Its name.
    pub name: &'a str,
    /// Who owns it.
    pub owner: &'a str,
    /// Its Compose project, or the name of its domain.
    pub project: &'a str,
    /// Its host.
    pub host: &'a str,
    /// The command that makes it.
    pub command: u64,
    /// When.
    pub at: Time,
}

/// Who owns a stack, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackName {
    /// The stack.
    pub id: StackId,
    /// Who owns it.
    pub owner: String,
    /// Its name.
    pub name: String,
}

/// Makes a stack addressable whose creation waits.
///
/// # Errors
/// When the database is away or refuses.
pub async fn announced(db: &mut PgConnection, new: NewStack<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO stacks (id, name, owner, project, host, pending, created_by, created_at, desired, latest, changed_by, kind)
         VALUES ($1, $2, $3, $4, $5, true, $6, $7, 'created', 0, $6, $8)
         ON CONFLICT (id) DO NOTHING",
        new.id.uuid(),
        new.name,
        new.owner,
        new.project,
        new.host,
        big(new.command),
        new.at.inner(),
        new.kind.word()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that a stack exists; a repeat changes nothing.
///
/// # Errors
/// When the database is away or refuses.
pub async fn created(db: &mut PgConnection, new: NewStack<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO stacks (id, name, owner, project, host, pending, created_by, created_at, desired, latest, changed_by, kind)
         VALUES ($1, $2, $3, $4, $5, false, $6, $7, 'created', 0, $6, $8)
         ON CONFLICT (id) DO UPDATE
         SET name = excluded.name, owner = excluded.owner, project = excluded.project, host = excluded.host, pending = false,
             created_by = excluded.created_by, created_at = excluded.created_at
         WHERE stacks.pending",
        new.id.uuid(),
        new.name,
        new.owner,
        &storable(new.project),
        &storable(new.host),
        big(new.command),
        new.at.inner(),
        new.kind.word()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes back what [`announced`] said, when the command has ended without making it.
///
/// # Errors
/// When the database is away or refuses.
pub async fn withdrawn(db: &mut PgConnection, command: u64) -> sqlx::Result<Option<StackName>> {
    let row = sqlx::query!("DELETE FROM stacks WHERE created_by = $1 AND pending RETURNING id, owner, name", big(command))
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| StackName { id: StackId::new(row.id), owner: row.owner, name: row.name }))
}

/// Looks up whose a stack is and how it is called.
///
/// # Errors
/// When the database is away or refuses.
pub async fn named(db: &mut PgConnection, id: StackId) -> sqlx::Result<Option<StackName>> {
    let row = sqlx::query!("SELECT id, owner, name FROM stacks WHERE id = $1", id.uuid()).fetch_optional(db).await?;
    Ok(row.map(|row| StackName { id: StackId::new(row.id), owner: row.owner, name: row.name }))
}

/// A version as the event says it.
#[derive(Clone, Copy, Debug)]
pub struct NewVersion<'a> {
    /// The stack.
    pub stack: StackId,
    /// The number.
    pub version: u32,
    /// The number before it.
    pub parent: Option<u32>,
    /// Who wrote it.
    pub author: &'a str,
    /// What the author says.
    pub comment: &'a str,
    /// The bundle.
    pub digest: &'a str,
    /// What is in it.
    pub files: &'a [orrery_contracts::rest::VersionFile],
    /// The command that made it.
    pub command: u64,
    /// When.
    pub at: Time,
}

/// Adds a version; a repeat changes nothing.
///
/// # Errors
/// When the database is away or refuses.
pub async fn version_created(db: &mut PgConnection, new: NewVersion<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO versions (stack_id, version, parent, author, comment, digest, files, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (stack_id, version) DO NOTHING",
        new.stack.uuid(),
        i64::from(new.version),
        new.parent.map(i64::from),
        new.author,
        &storable(new.comment),
        new.digest,
        storable_json(&new.files),
        big(new.command),
        new.at.inner()
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "UPDATE stacks SET latest = greatest(latest, $2), changed_by = greatest(changed_by, $3) WHERE id = $1",
        new.stack.uuid(),
        i64::from(new.version),
        big(new.command)
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Moves the version that runs, with what should be seen of it. A stack that was never applied should run from now on.
///
/// # Errors
/// When the database is away or refuses.
pub async fn head_moved(
    db: &mut PgConnection,
    id: StackId,
    current: Option<u32>,
    services: &[ServiceExpectation],
    command: u64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE stacks
         SET current = $2, services = $3, changed_by = $4,
             desired = CASE WHEN desired = 'created' AND $2::bigint IS NOT NULL THEN 'running' ELSE desired END
         WHERE id = $1 AND changed_by <= $4",
        id.uuid(),
        current.map(i64::from),
        storable_json(&services),
        big(command)
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Keeps what a machine's current version is, in short.
///
/// # Errors
/// When the database is away or refuses.
pub async fn summarised(db: &mut PgConnection, id: StackId, summary: Option<&MachineSummary>, command: u64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE stacks SET summary = $2 WHERE id = $1 AND changed_by <= $3", id.uuid(), summary.map(storable_json), big(command))
        .execute(db)
        .await?;
    Ok(())
}

/// Changes whether a stack should run.
///
/// # Errors
/// When the database is away or refuses.
pub async fn desired_changed(db: &mut PgConnection, id: StackId, desired: Desired, command: u64) -> sqlx::Result<()> {
    let word = match desired {
        Desired::Created => "created",
        Desired::Running => "running",
        Desired::Stopped => "stopped",
    };
    sqlx::query!("UPDATE stacks SET desired = $2, changed_by = $3 WHERE id = $1 AND changed_by <= $3", id.uuid(), word, big(command))
        .execute(db)
        .await?;
    Ok(())
}

/// Keeps which secrets a stack has.
///
/// # Errors
/// When the database is away or refuses.
pub async fn secrets_changed(db: &mut PgConnection, id: StackId, secrets: &[Secret], command: u64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE stacks SET secrets = $2, changed_by = $3 WHERE id = $1 AND changed_by <= $3",
        id.uuid(),
        storable_json(&secrets),
        big(command)
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that a stack is gone. Its row and versions stay, for the history of its commands.
///
/// # Errors
/// When the database is away or refuses.
pub async fn deleted(db: &mut PgConnection, id: StackId, command: u64, at: Time) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE stacks SET deleted_at = coalesce(deleted_at, $2), pending = false, changed_by = greatest(changed_by, $3) WHERE id = $1",
        id.uuid(),
        at.inner(),
        big(command)
    )
    .execute(db)
    .await?;
    Ok(())
}
