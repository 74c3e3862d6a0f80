//! The head of the queue: what everything waits for, whether it is held, and whose executor is away.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{Command, QueueState};
use orrery_contracts::{Engine, Status};

use super::commands::{self, Wanted};
use super::sequence;
use crate::auth::Principal;
use crate::consistency;
use crate::health::engine_of;
use crate::problems::Answer;
use crate::state::Api;

/// `GET /queue`: the same for everybody, but what he may not see of the head.
pub async fn get(State(api): State<Api>, principal: Principal) -> Answer<Json<QueueState>> {
    consistency::catch_up_with_own_writes(&api).await?;
    let counted = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM read.commands WHERE status IN ('PENDING', 'RUNNING', 'FAILED')) AS "open!",
                  coalesce((SELECT seq FROM read.offsets WHERE stream = 'COMMANDS'), 0) AS "last!""#
    )
    .fetch_one(&api.database)
    .await?;
    let Some(head) = head(&api).await? else {
        return Ok(Json(QueueState { head: None, held: false, executor_away: None, waiting: 0, last_seq: sequence(counted.last) }));
    };
    let engine = engine_of(head.r#type.as_deref());
    let waits = head.status != Status::Failed && api.executors.is_away(engine);
    Ok(Json(QueueState {
        held: head.status == Status::Failed,
        executor_away: waits.then(|| engine.to_string()),
        waiting: sequence(counted.open).saturating_sub(1),
        last_seq: sequence(counted.last),
        head: commands::by_seq(&api, &Wanted::seen_by(principal.sees_only()), head.seq).await?,
    }))
}

/// The first command that has not ended.
pub(crate) async fn head(api: &Api) -> Answer<Option<Command>> {
    let seq = sqlx::query_scalar!("SELECT seq FROM read.commands WHERE status IN ('PENDING', 'RUNNING', 'FAILED') ORDER BY seq LIMIT 1")
        .fetch_optional(&api.database)
        .await?;
    match seq {
        Some(seq) => commands::by_seq(api, &Wanted::seen_by(None), sequence(seq)).await,
        None => Ok(None),
    }
}

/// The engines that the installation has, as far as the read model knows.
pub(crate) async fn engines(api: &Api) -> Answer<Vec<Engine>> {
    let words = sqlx::query_scalar!("SELECT engines FROM meta.installation").fetch_optional(&api.database).await?;
    let known = |word: &String| [Engine::Docker, Engine::Libvirt].into_iter().find(|engine| engine.as_str() == word);
    Ok(words.unwrap_or_default().iter().filter_map(known).collect())
}
