//! The connections to Postgres: one that projects into `read`, one that rebuilds in temporary tables, one that migrates.
//!
//! **Invariant:** tables of the read model are named without their schema, so that the same statements fill either; the
//! search path of the connection decides, and knows exactly one place.

use std::str::FromStr as _;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

/// Every migration, in the binary.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Where unqualified names lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The tables that the api reads.
    Live,
    /// Temporary tables of this connection, gone with it.
    Beside,
}

impl Place {
    const fn search_path(self) -> &'static str {
        match self {
            Self::Live => "read",
            Self::Beside => "pg_temp",
        }
    }
}

/// Connects.
///
/// Every statement finds its rows by key; plans are kept from when the tables were empty, and must not scan. What has no key
/// scans all the same, at a cost so high that the database would compile it each time, for tens of milliseconds: hence no `jit`.
///
/// # Errors
/// When the database is away or refuses.
pub async fn connect(url: &str, place: Place) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url)?
        .application_name("orrery-projector")
        .options([("search_path", place.search_path()), ("enable_seqscan", "off"), ("jit", "off")])
        .disable_statement_logging()
        .connect()
        .await
}

/// Applies what is missing of the migrations, as the owner.
///
/// # Errors
/// When the database is away, a migration fails, or one that was applied has changed since.
pub async fn migrate(owner_url: &str) -> Result<usize, MigrateError> {
    let mut db = PgConnectOptions::from_str(owner_url)?.application_name("orrery-migrate").connect().await?;
    MIGRATIONS.run(&mut db).await?;
    db.close().await?;
    Ok(MIGRATIONS.iter().count())
}
