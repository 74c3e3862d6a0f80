//! Answers the questions of publishers about their own commands, on `orrery.rpc.api.status.<publisher>`: the broker puts
//! the publisher's name there, so nobody can ask as another.

use std::time::Duration;

use async_nats::Message;
use futures::StreamExt as _;
use orrery_contracts::rest::Command;
use orrery_contracts::rpc::{StatusAnswer, StatusQuestion};
use orrery_contracts::{Code, Problem, subjects};
use tokio::time::Instant;

use crate::extract::wait_time;
use crate::problems::{Answer, Refusal};
use crate::queries::commands;
use crate::state::Api;

/// The longest that a question waits for a command's end.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How many questions are answered at once.
const AT_ONCE: usize = 256;

/// Answers until the end of the process.
pub async fn answer(api: Api) {
    let answering = async {
        let asked = api.broker.client().queue_subscribe(subjects::ALL_STATUS_QUESTIONS, "api".to_owned()).await;
        let questions = match asked {
            Ok(questions) => questions,
            Err(error) => return tracing::error!("publishers' questions are not heard: {error}"),
        };
        questions.for_each_concurrent(AT_ONCE, |question| answer_one(&api, question)).await;
    };
    tokio::select! {
        () = api.ending.cancelled() => {}
        () = answering => {}
    }
}

async fn answer_one(api: &Api, question: Message) {
    let Some(reply) = question.reply.clone() else { return };
    let prefix = subjects::status_question("");
    let told = match question.subject.strip_prefix(prefix.as_str()) {
        Some(publisher) => look(api, publisher, &question.payload).await,
        None => return,
    };
    let told = match told {
        Ok(command) => StatusAnswer::Command(Box::new(command)),
        Err(refusal) => StatusAnswer::Problem(refusal.problem()),
    };
    let body = serde_json::to_vec(&told).unwrap_or_default();
    let most = api.broker.client().server_info().max_payload;
    let body = if body.len() > most { without_details(told) } else { body };
    if let Err(error) = api.broker.client().publish(reply, body.into()).await {
        tracing::warn!("a publisher's question was not answered: {error}");
    }
}

/// An answer that is too long for one message loses its plan and the details of its steps.
fn without_details(told: StatusAnswer) -> Vec<u8> {
    let shorter = match told {
        StatusAnswer::Command(mut command) => {
            command.plan = None;
            command.steps = Vec::new();
            StatusAnswer::Command(command)
        }
        StatusAnswer::Problem(problem) => StatusAnswer::Problem(Problem::new(problem.code, problem.detail)),
    };
    serde_json::to_vec(&shorter).unwrap_or_default()
}

async fn look(api: &Api, publisher: &str, body: &[u8]) -> Answer<Command> {
    let question: StatusQuestion = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(Code::MalformedRequest, format!("the question cannot be read: {error}")))?;
    let reference = match (question.id, question.seq) {
        (Some(id), None) => id,
        (None, Some(seq)) => seq.to_string(),
        (Some(_), Some(_)) | (None, None) => return Err(Refusal::invalid("ask by `id` or by `seq`")),
    };
    let patience = question.wait.as_deref().map(|text| wait_time(text, LONGEST_WAIT)).transpose()?;
    let deadline = Instant::now() + patience.unwrap_or_default();
    let mut news = api.feed.follow();
    let mut command = commands::fetch_for_publisher(api, publisher, &reference).await?;
    while patience.is_some() && !commands::has_settled(&command) {
        let over = tokio::time::timeout_at(deadline, news.changed()).await.is_err();
        command = commands::fetch_for_publisher(api, publisher, &command.seq.to_string()).await?;
        if over {
            break;
        }
    }
    Ok(command)
}
