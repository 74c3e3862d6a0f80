//! Answers the questions of publishers about their own commands, on `orrery.rpc.api.status.<publisher>`: the broker puts
//! the publisher's name there, so nobody can ask as another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
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
const AT_ONCE: usize = 1024;
/// How many questions of one publisher may wait for an end; what is over is answered as it stands.
const WAITING_EACH: usize = 32;

/// Answers until the end of the process.
pub async fn answer(api: Api) {
    let answering = async {
        let asked = api.broker.client().queue_subscribe(subjects::ALL_STATUS_QUESTIONS, "api".to_owned()).await;
        let questions = match asked {
            Ok(questions) => questions,
            Err(error) => return tracing::error!("publishers' questions are not heard: {error}"),
        };
        let waiting = Waiting::default();
        questions.for_each_concurrent(AT_ONCE, |question| answer_one(&api, &waiting, question)).await;
    };
    tokio::select! {
        () = api.ending.cancelled() => {}
        () = answering => {}
    }
}

/// How many questions of each publisher wait for an end now.
type Waiting = Mutex<HashMap<String, usize>>;

/// A place among those that wait; given back when it is dropped.
struct Place<'a>(&'a Waiting, String);

impl<'a> Place<'a> {
    fn take(waiting: &'a Waiting, publisher: &str) -> Option<Self> {
        let mut counts = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(publisher.to_owned()).or_default();
        if *count >= WAITING_EACH {
            return None;
        }
        *count += 1;
        Some(Self(waiting, publisher.to_owned()))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

async fn answer_one(api: &Api, waiting: &Waiting, question: Message) {
    let Some(reply) = question.reply.clone() else { return };
    let prefix = subjects::status_question("");
    let told = match question.subject.strip_prefix(prefix.as_str()) {
        Some(publisher) => look(api, waiting, publisher, &question.payload).await,
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

async fn look(api: &Api, waiting: &Waiting, publisher: &str, body: &[u8]) -> Answer<Command> {
    let question: StatusQuestion = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(Code::MalformedRequest, format!("the question cannot be read: {error}")))?;
    let reference = match (question.id, question.seq) {
        (Some(id), None) => id,
        (None, Some(seq)) => seq.to_string(),
        (Some(_), Some(_)) | (None, None) => return Err(Refusal::invalid("ask by `id` or by `seq`")),
    };
    let patience = question.wait.as_deref().map(|text| wait_time(text, LONGEST_WAIT)).transpose()?;
    let place = patience.and_then(|_| Place::take(waiting, publisher));
    let deadline = Instant::now() + patience.unwrap_or_default();
    let mut news = api.feed.follow();
    let mut command = commands::fetch_for_publisher(api, publisher, &reference).await?;
    while place.is_some() && !commands::has_settled(&command) {
        let over = tokio::time::timeout_at(deadline, news.changed()).await.is_err();
        command = commands::fetch_for_publisher(api, publisher, &command.seq.to_string()).await?;
        if over {
            break;
        }
    }
    Ok(command)
}
