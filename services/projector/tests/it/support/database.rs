//! A database with migrations, and what can be read from it.

use anyhow::Result;
use orrery_projector::database::{self, Place};
use orrery_projector::errors::ProjectError;
use orrery_projector::ingest::{self, Batch, Origin, Position};
use orrery_projector::message::{Message, Stream};
use orrery_tests::postgres::Cluster;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

/// The installation that stories happen in.
pub const INSTALLATION: Uuid = Uuid::from_u128(0x0bad_cafe);

/// A migrated database of one's own.
pub struct Database {
    pub cluster: Cluster,
}

/// Tables that a rebuild must make again, with what they are ordered by.
const TABLES: [(&str, &str); 7] = [
    ("offsets", "stream"),
    ("commands", "seq"),
    ("steps", "command, attempt, n"),
    ("stacks", "id"),
    ("versions", "stack_id, version"),
    ("containers", "host, id"),
    ("engines", "host, engine"),
];

impl Database {
    pub async fn new() -> Result<Self> {
        let cluster = Cluster::start()?;
        database::migrate(&cluster.url("orrery_owner")).await?;
        Ok(Self { cluster })
    }

    pub fn url(&self) -> String {
        self.cluster.url("orrery_projector")
    }

    pub async fn projector(&self) -> Result<PgConnection> {
        Ok(database::connect(&self.url(), Place::Live).await?)
    }

    pub async fn as_role(&self, role: &str) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.cluster.url(role)).await?)
    }

    /// Takes messages as they would come from the broker, in batches of this size.
    pub async fn take(&self, messages: &[Message], size: usize) -> Result<(), ProjectError> {
        let mut db = database::connect(&self.url(), Place::Live).await?;
        let mut at = Position::read(&mut db, INSTALLATION).await?;
        for some in messages.chunks(size) {
            let mut messages = some.to_vec();
            messages.sort_by_key(|message| message.stream);
            ingest::take(&mut db, &mut at, &Batch { origin: Origin::Broker, messages, observed: None }).await?;
        }
        Ok(())
    }

    /// As if nothing had ever been said.
    pub async fn forget_everything(&self) -> Result<()> {
        let mut db = self.as_role("orrery_owner").await?;
        let tables = TABLES.map(|(table, _)| format!("read.{table}")).join(", ");
        let statement = format!("TRUNCATE {tables}, read.feed, raw.messages");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await?;
        Ok(())
    }

    /// The rows of a query, each as JSON.
    pub async fn rows(&self, query: &str) -> Result<Vec<Value>> {
        let mut db = self.as_role("orrery_owner").await?;
        let query = format!("SELECT to_jsonb(t) FROM ({query}) t");
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&mut db).await?)
    }

    /// The whole read model as text, but for the feed: what a rebuild must end with again.
    pub async fn dump(&self) -> Result<String> {
        let mut text = String::new();
        for (table, order) in TABLES {
            text.push_str(&format!("-- {table}\n"));
            for row in self.rows(&format!("SELECT * FROM read.{table} ORDER BY {order}")).await? {
                text.push_str(&format!("{row}\n"));
            }
        }
        Ok(text)
    }

    /// Why messages of a stream changed nothing.
    pub async fn verdicts(&self, stream: Stream) -> Result<Vec<String>> {
        let mut db = self.as_role("orrery_owner").await?;
        let query = "SELECT seq || ': ' || verdict FROM raw.messages WHERE stream = $1 AND verdict IS NOT NULL ORDER BY seq";
        Ok(sqlx::query_scalar(query).bind(stream.name()).fetch_all(&mut db).await?)
    }
}
