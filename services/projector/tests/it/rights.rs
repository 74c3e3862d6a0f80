//! What each role may not do is tried, with the role.

use anyhow::Result;
use sqlx::PgConnection;

use crate::support::{Database, Story};

async fn refused(db: &mut PgConnection, statement: &'static str) -> Result<()> {
    let tried = sqlx::raw_sql(statement).execute(db).await;
    let code = tried.as_ref().err().and_then(|error| error.as_database_error()?.code().map(std::borrow::Cow::into_owned));
    anyhow::ensure!(code.as_deref() == Some("42501"), "{statement}: {tried:?}");
    Ok(())
}

#[tokio::test]
async fn the_projector_does_not_touch_accounts_nor_change_a_raw_copy() -> Result<()> {
    let db = Database::new().await?;
    let mut story = Story::new();
    story.create("shop");
    db.take(&story.said, 1).await?;
    let mut projector = db.as_role("orrery_projector").await?;
    for statement in [
        "SELECT * FROM auth.users",
        "INSERT INTO auth.audit (action, succeeded) VALUES ('x', true)",
        "UPDATE raw.messages SET body = ''",
        "DELETE FROM raw.messages",
        "TRUNCATE raw.messages",
        "DELETE FROM meta.installation",
        "CREATE TABLE read.more (x int)",
        "DROP TABLE read.commands",
        "CREATE SCHEMA mine",
        "CREATE TABLE public.mine (x int)",
    ] {
        refused(&mut projector, statement).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_api_reads_the_read_model_and_writes_accounts_alone() -> Result<()> {
    let db = Database::new().await?;
    let mut api = db.as_role("orrery_api").await?;
    for statement in [
        "INSERT INTO read.offsets VALUES ('COMMANDS', 1)",
        "UPDATE read.commands SET status = 'DONE'",
        "DELETE FROM read.feed",
        "UPDATE meta.feed_head SET n = 0",
        "SELECT * FROM raw.messages",
        "UPDATE auth.audit SET action = 'nothing'",
        "DELETE FROM auth.audit",
        "CREATE TEMPORARY TABLE t (x int)",
        "CREATE TABLE auth.more (x int)",
    ] {
        refused(&mut api, statement).await?;
    }
    for statement in [
        "SELECT * FROM read.stack_overview",
        "SELECT * FROM meta.feed_head",
        "INSERT INTO auth.users (id, username, password_hash, role) VALUES (gen_random_uuid(), 'ann', 'h', 'admin')",
        "INSERT INTO auth.sessions (id, user_id, token_hash, expires_at) SELECT gen_random_uuid(), id, sha256('a'), now() FROM auth.users",
        "INSERT INTO auth.tokens (id, user_id, name, token_hash) SELECT gen_random_uuid(), id, 'n', sha256('b') FROM auth.users",
        "INSERT INTO auth.login_attempts (username, succeeded) VALUES ('ann', false)",
        "DELETE FROM auth.login_attempts",
        "INSERT INTO auth.audit (action, succeeded) VALUES ('x', true)",
        "DELETE FROM auth.users",
    ] {
        sqlx::raw_sql(statement).execute(&mut api).await?;
    }
    Ok(())
}

#[tokio::test]
async fn migrations_run_from_empty_and_again_without_effect() -> Result<()> {
    let db = Database::new().await?;
    let before = orrery_projector::database::migrate(&db.cluster.url("orrery_owner")).await?;
    assert_eq!(db.rows("SELECT count(*) AS n FROM _sqlx_migrations WHERE success").await?, [serde_json::json!({"n": before})]);
    Ok(())
}
