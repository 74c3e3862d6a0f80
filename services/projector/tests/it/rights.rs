//! What each role may do is tried, with the role, on everything that the catalogue knows: what comes out is the table in
//! `migrations/README.md`, and nothing else. A new table is in it as soon as a migration makes one.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use sqlx::postgres::PgQueryResult;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::Database;

const README: &str = include_str!("../../../../migrations/README.md");
const BEGIN: &str = "<!-- rights: held by the projector's test `rights` -->\n\n";
const END: &str = "\n<!-- end of rights -->";

const OWNER: &str = "orrery_owner";
const SERVICES: [&str; 2] = ["orrery_projector", "orrery_api"];

/// PostgreSQL's word for "you may not".
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What is tried with one thing of the catalogue: the word of a right, and a statement that needs it.
struct Tries {
    thing: String,
    tries: Vec<(&'static str, String)>,
}

impl Tries {
    fn new(thing: String, tries: &[(&'static str, String)]) -> Self {
        Self { thing, tries: tries.to_vec() }
    }

    fn of_schema(name: &str) -> Self {
        let tries = [("use", format!("SELECT FROM {name}.is_not_there")), ("create", format!("CREATE TABLE {name}.more (x int)"))];
        Self::new(format!("schema `{name}`"), &tries)
    }

    fn of_table(kind: &str, name: &str, column: &str) -> Self {
        let tries = [
            ("select", format!("SELECT FROM {name}")),
            ("insert", format!("INSERT INTO {name} DEFAULT VALUES")),
            ("update", format!("UPDATE {name} SET {column} = DEFAULT WHERE false")),
            ("delete", format!("DELETE FROM {name} WHERE false")),
            ("truncate", format!("TRUNCATE {name}")),
            ("trigger", format!("CREATE TRIGGER t AFTER INSERT ON {name} EXECUTE FUNCTION suppress_redundant_updates_trigger()")),
            ("alter", format!("ALTER TABLE {name} ADD COLUMN more int")),
            ("drop", format!("DROP TABLE {name} CASCADE")),
        ];
        Self::new(format!("{kind} `{name}`"), &tries)
    }

    fn of_view(name: &str) -> Self {
        let tries = [
            ("select", format!("SELECT FROM {name}")),
            ("alter", format!("ALTER VIEW {name} SET (security_barrier)")),
            ("drop", format!("DROP VIEW {name} CASCADE")),
        ];
        Self::new(format!("view `{name}`"), &tries)
    }

    fn of_sequence(name: &str) -> Self {
        let tries = [
            ("select", format!("SELECT last_value FROM {name}")),
            ("next", format!("SELECT nextval('{name}')")),
            ("set", format!("SELECT setval('{name}', 1000)")),
        ];
        Self::new(format!("sequence `{name}`"), &tries)
    }

    /// The words of the rights that a role has.
    async fn tried(&self, db: &mut PgConnection) -> Result<Vec<&'static str>> {
        let mut may = Vec::new();
        for (right, statement) in &self.tries {
            if !refused(db, statement).await? {
                may.push(*right);
            }
        }
        Ok(may)
    }
}

/// Whether the database says that this role may not; whatever else it says comes after that question. Nothing is kept.
async fn refused(db: &mut PgConnection, statement: &str) -> Result<bool> {
    let mut transaction = db.begin().await?;
    let tried = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *transaction).await;
    transaction.rollback().await?;
    is_refusal(statement, tried)
}

fn is_refusal(statement: &str, tried: sqlx::Result<PgQueryResult>) -> Result<bool> {
    match tried {
        Ok(_) => Ok(false),
        Err(error) => {
            let said =
                error.as_database_error().and_then(sqlx::error::DatabaseError::code).with_context(|| format!("{statement}: {error}"))?;
            ensure!(!said.starts_with("42") || ["42501", "42P01"].contains(&said.as_ref()), "{statement} asks nothing: {error}");
            Ok(said == INSUFFICIENT_PRIVILEGE)
        }
    }
}

async fn names(db: &mut PgConnection, query: &str) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query_as(AssertSqlSafe(query.to_owned())).fetch_all(db).await?)
}

/// Everything in the database that is not PostgreSQL's own.
async fn everything(db: &mut PgConnection) -> Result<Vec<Tries>> {
    const OURS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
    let mut all = Vec::new();
    for (name, _) in names(db, &format!("SELECT nspname::text, '' FROM pg_namespace n WHERE {OURS} ORDER BY 1")).await? {
        all.push(Tries::of_schema(&name));
    }
    let relations = format!(
        "SELECT c.relkind::text || ' ' || n.nspname || '.' || c.relname,
                coalesce((SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum LIMIT 1), '')
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {OURS} AND c.relkind NOT IN ('i', 'I', 'c', 't') ORDER BY n.nspname, c.relname"
    );
    for (relation, column) in names(db, &relations).await? {
        all.push(match relation.split_once(' ').context("a kind")? {
            ("r" | "p", name) => Tries::of_table("table", name, &column),
            ("f", name) => Tries::of_table("foreign table", name, &column),
            ("v", name) => Tries::of_view(name),
            ("S", name) => Tries::of_sequence(name),
            (kind, name) => anyhow::bail!("nobody knows how to try {name}, a relation of kind {kind}"),
        });
    }
    let functions =
        format!("SELECT p.oid::regprocedure::text, '' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {OURS}");
    let functions = names(db, &functions).await?;
    ensure!(functions.is_empty(), "nobody knows how to try the functions {functions:?}: every role may call them unless that is revoked");
    let temporary = ("temporary tables", "CREATE TEMPORARY TABLE mine (x int)".to_owned());
    all.push(Tries::new("the database".into(), &[temporary, ("create schemas", "CREATE SCHEMA mine".to_owned())]));
    Ok(all)
}

/// The table, as the README has it.
async fn table(db: &Database) -> Result<String> {
    let mut owner = db.as_role(OWNER).await?;
    let [mut projector, mut api] = [db.as_role(SERVICES[0]).await?, db.as_role(SERVICES[1]).await?];
    let mut text = format!("| thing | `{}` | `{}` |\n| --- | --- | --- |\n", SERVICES[0], SERVICES[1]);
    for tries in everything(&mut owner).await? {
        let spelled = |rights: Vec<&str>| if rights.is_empty() { "–".to_owned() } else { rights.join(", ") };
        let (projects, serves) = (spelled(tries.tried(&mut projector).await?), spelled(tries.tried(&mut api).await?));
        writeln!(text, "| {} | {projects} | {serves} |", tries.thing)?;
        let (owned, all) = (tries.tried(&mut owner).await?, tries.tries.len());
        ensure!(owned.len() == all || tries.thing == "schema `public`", "the owner may only {owned:?} of {}", tries.thing);
    }
    Ok(text)
}

#[tokio::test]
async fn each_role_may_do_what_the_readme_says_and_nothing_else() -> Result<()> {
    let db = Database::new().await?;
    let (_, rest) = README.split_once(BEGIN).context("migrations/README.md has no table of rights")?;
    let (said, _) = rest.split_once(END).context("the table of rights has no end")?;
    let found = table(&db).await?;
    ensure!(said == found, "the table in migrations/README.md is stale; tried, the roles may this:\n\n{found}");
    Ok(())
}

/// What none of the roles may, and what cannot be tried in a transaction.
const ALONE: [&str; 3] = ["CREATE DATABASE mine", "CREATE TABLESPACE mine LOCATION '/tmp'", "ALTER SYSTEM SET log_statement = 'none'"];

/// What else none of the roles may, the owner included: beyond the database lies the machine.
fn beyond(role: &str, other: &str) -> Vec<String> {
    let fixed = [
        "CREATE ROLE mine",
        "SELECT pg_reload_conf()",
        "SELECT pg_rotate_logfile()",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_read_binary_file('/etc/passwd')",
        "SELECT pg_stat_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT pg_ls_logdir()",
        "SELECT pg_hba_file_rules()",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/mine')",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_shadow",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/mine'",
        "CREATE TEMPORARY TABLE t (x text); COPY t FROM PROGRAM 'id'",
        "CREATE TEMPORARY TABLE t (x text); COPY t FROM '/etc/passwd'",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE c AS 'libc', 'getpid'",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE internal AS 'pg_backend_pid'",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE FOREIGN DATA WRAPPER w",
        "SELECT pg_create_physical_replication_slot('mine')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        "SET SESSION AUTHORIZATION postgres",
        "SET session_replication_role = replica",
    ];
    let mut all = fixed.map(str::to_owned).to_vec();
    all.push(format!("ALTER ROLE {role} SUPERUSER"));
    all.push(format!("ALTER ROLE {role} CREATEROLE"));
    all.push(format!("ALTER ROLE {other} PASSWORD 'mine'"));
    all.push(format!("DROP ROLE {other}"));
    all.push(format!("GRANT pg_read_server_files TO {role}"));
    all.push(format!("GRANT {other} TO {role}"));
    all
}

#[tokio::test]
async fn no_role_gets_beyond_its_database_or_becomes_another() -> Result<()> {
    let db = Database::new().await?;
    let mut owner = db.as_role(OWNER).await?;
    let roles: Vec<String> = sqlx::query_scalar("SELECT rolname::text FROM pg_roles ORDER BY 1").fetch_all(&mut owner).await?;
    ensure!(roles.len() > 10, "the catalogue has PostgreSQL's own roles too: {roles:?}");
    for role in [OWNER, SERVICES[0], SERVICES[1]] {
        let other = if role == OWNER { SERVICES[0] } else { OWNER };
        let mut one = db.as_role(role).await?;
        for statement in beyond(role, other) {
            ensure!(refused(&mut one, &statement).await?, "{role} may: {statement}");
        }
        for statement in ALONE {
            let tried = sqlx::raw_sql(statement).execute(&mut one).await;
            ensure!(is_refusal(statement, tried)?, "{role} may: {statement}");
        }
        // Whoever owns a database is its owner, by PostgreSQL's own word for that.
        let itself = |other: &str| other == role || (role == OWNER && other == "pg_database_owner");
        for other in roles.iter().filter(|other| !itself(other)) {
            ensure!(refused(&mut one, &format!("SET ROLE {other}")).await?, "{role} becomes {other}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_role_enters_another_database_of_the_cluster() -> Result<()> {
    let db = Database::new().await?;
    for role in [OWNER, SERVICES[0], SERVICES[1]] {
        PgConnection::connect(&db.cluster.url(role)).await.context("its own database")?;
        for other in ["postgres", "template1"] {
            let url = db.cluster.url(role).replace("/orrery?", &format!("/{other}?"));
            let error = PgConnection::connect(&url).await.err().with_context(|| format!("{role} enters {other}"))?;
            let said = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            ensure!(said.as_deref() == Some(INSUFFICIENT_PRIVILEGE), "{role} in {other}: {error}");
        }
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
