//! From waiting to following, and back to waiting: one session is one connection to the database and one to the broker.
//! Whatever goes wrong ends the session; the next one reads from the database where it is, compares the broker with it,
//! and goes on.

use std::time::{Duration, Instant};

use orrery_queue::{Broker, Report};
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::database::{self, Place};
use crate::errors::ProjectError;
use crate::inbox::Inbox;
use crate::ingest::{self, Position};
use crate::marks;
use crate::message::Stream;
use crate::queries::{feed, meta};
use crate::source::{Ends, Source};

/// What readiness calls the database.
pub const DATABASE: &str = "database";
/// What readiness calls the broker.
pub const BROKER: &str = "broker";
/// What readiness calls a broker that no longer holds what was read from it.
pub const STREAM_REGRESSED: &str = "stream_regressed";
/// What readiness calls the way from where the database is to where the broker is.
pub const CATCHING_UP: &str = "catching_up";

/// How long nothing may come before both connections are asked whether they live.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often old entries of the feed go.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// The pauses between two sessions.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Projects until it is told to stop.
pub async fn run(database_url: &str, broker: &Broker, report: &Report, shutdown: &CancellationToken) {
    let mut pause = PAUSES.0;
    waits_for_everything(report);
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        tokio::select! {
            () = shutdown.cancelled() => return,
            Err(error) = session(database_url, broker, report) => tell(&error, report),
        }
        pause = if began.elapsed() > PAUSES.1 { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Says that nothing is there yet.
pub fn waits_for_everything(report: &Report) {
    report.waits(DATABASE, "connecting");
    report.waits(BROKER, "connecting");
}

fn tell(error: &ProjectError, report: &Report) {
    match error {
        ProjectError::Database(source) => {
            tracing::warn!("the database does not answer: {source}");
            report.waits(DATABASE, detail(source));
        }
        ProjectError::Broker(detail) => {
            tracing::warn!("the broker is away: {detail}");
            report.waits(BROKER, detail.clone());
        }
        ProjectError::Overtaken => tracing::info!("{error}; going on from there"),
        ProjectError::Regressed(regression) => {
            tracing::error!("stream_regressed: {regression}");
            report.waits(STREAM_REGRESSED, regression.to_string());
        }
    }
}

fn detail(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("42P01" | "3F000") => format!("{error}: it has not been migrated (`orrery-projector migrate`)"),
        Some(_) | None => error.to_string(),
    }
}

async fn session(database_url: &str, broker: &Broker, report: &Report) -> Result<std::convert::Infallible, ProjectError> {
    let mut db = database::connect(database_url, Place::Live).await?;
    let known = meta::installation(&mut db).await?;
    if feed::belongs_to_this_server(&mut db).await? {
        tracing::info!("the database's server was started since the feed of changes was begun: it begins anew");
    }
    report.has(DATABASE);
    let connection = tokio::select! {
        connection = broker.connected() => connection,
        Err(error) = stay_alive(&mut db) => return Err(error),
    };
    let source = Source::new(broker.jetstream().clone());
    let installation = marks::same_installation(&mut db, &source, known).await?;
    report.has(BROKER);
    let mut at = Position::read(&mut db, installation).await?;
    marks::check(&mut db, &source, &mut at).await?;
    report.has(STREAM_REGRESSED);
    let copied = ingest::catch_up(&mut db, &mut at).await?;
    if copied > 0 {
        tracing::info!(copied, "took {copied} messages from the raw copies");
    }
    marks::check(&mut db, &source, &mut at).await?;
    follow(&mut db, broker, connection, source, at, report).await
}

/// While one side is waited for, the other is watched.
async fn stay_alive(db: &mut PgConnection) -> Result<std::convert::Infallible, ProjectError> {
    loop {
        tokio::time::sleep(PATIENCE).await;
        db.ping().await?;
    }
}

async fn follow(
    db: &mut PgConnection,
    broker: &Broker,
    connection: u64,
    source: Source,
    mut at: Position,
    report: &Report,
) -> Result<std::convert::Infallible, ProjectError> {
    let mut behind = Some(ends(&source).await?);
    let mut inbox = Inbox::open(source, &at).await?;
    let mut pruned = Instant::now();
    let mut link = broker.link();
    loop {
        behind = behind.and_then(|ends| still_behind(ends, &at, report));
        let batch = tokio::select! {
            biased;
            _ = link.wait_for(|link| *link != orrery_queue::Link::Connected(connection)) => {
                return Err(ProjectError::Broker("the connection was lost".into()));
            }
            batch = inbox.next(&at, PATIENCE) => batch?,
        };
        if batch.messages.is_empty() && batch.observed.is_none() {
            db.ping().await?;
        } else {
            let began = Instant::now();
            ingest::take(db, &mut at, &batch).await?;
            measure(&at);
            metrics::histogram!("orrery_projector_batch_seconds").record(began.elapsed().as_secs_f64());
        }
        if pruned.elapsed() > PRUNE_EVERY {
            let head = feed::head(db).await?;
            feed::prune(db, head).await?;
            pruned = Instant::now();
        }
    }
}

fn measure(at: &Position) {
    for stream in Stream::KEPT {
        // Exact up to 2^53, which no stream reaches.
        metrics::gauge!("orrery_projector_sequence", "stream" => stream.name()).set(at.of(stream).reached as f64);
    }
}

async fn ends(source: &Source) -> Result<Vec<(Stream, Ends)>, ProjectError> {
    let mut ends = Vec::new();
    for stream in Stream::KEPT {
        ends.push((stream, source.ends(stream).await?));
    }
    Ok(ends)
}

/// Ready is who has everything that the broker had when the session began.
fn still_behind(ends: Vec<(Stream, Ends)>, at: &Position, report: &Report) -> Option<Vec<(Stream, Ends)>> {
    if let Some((stream, Ends { last, .. })) = ends.iter().find(|(stream, ends)| at.of(*stream).next <= ends.last) {
        report.waits(CATCHING_UP, format!("{} is at {} of {last}", stream.name(), at.of(*stream).reached));
        return Some(ends);
    }
    report.has(CATCHING_UP);
    None
}
