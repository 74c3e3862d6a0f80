//! Questions over the broker: each is answered once, side by side with the others, and nothing of them is stored. The answer is one
//! message, or a stream of frames.

use std::future::Future;
use std::time::Duration;

use async_nats::{Client, Message};
use futures::StreamExt;
use orrery_contracts::rpc::{Answer, PlanTarget};
use orrery_contracts::{Bundle, BundleLimits, Code, Digest, Problem, Versioned};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::definitions::{DefinitionError, Definitions};
use crate::{Broker, JudgeError};

/// The pause before a lost subscription is made again.
const AGAIN: Duration = Duration::from_millis(200);

/// Answers every question on this subject until the process is told to end.
pub async fn answer<Q, A, F, W>(broker: &Broker, subject: &str, shutdown: &CancellationToken, work: F)
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    F: Fn(Q) -> W + Clone + Send + 'static,
    W: Future<Output = Result<A, Problem>> + Send + 'static,
{
    let one = |client, question| one(client, question, work.clone());
    each(broker, subject, shutdown, one).await;
}

/// Hands every question on this subject out, side by side with the others, until the process is told to end: what is answered
/// with [`frames`](crate::frames) is answered by the work itself.
pub async fn each<F, W>(broker: &Broker, subject: &str, shutdown: &CancellationToken, work: F)
where
    F: Fn(Client, Message) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round(broker, subject, &work) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn round<F, W>(broker: &Broker, subject: &str, work: &F)
where
    F: Fn(Client, Message) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    broker.connected().await;
    let client = broker.client().clone();
    let Ok(mut questions) = client.subscribe(subject.to_owned()).await else { return };
    while let Some(question) = questions.next().await {
        tokio::spawn(work(client.clone(), question));
    }
}

async fn one<Q: DeserializeOwned, A: Serialize, F: Fn(Q) -> W, W: Future<Output = Result<A, Problem>>>(
    client: Client,
    question: Message,
    work: F,
) {
    let Some(reply) = question.reply else { return };
    let answer = match read(&question.payload) {
        Ok(asked) => work(asked).await.map_or_else(Answer::Err, Answer::Ok),
        Err(problem) => Answer::Err(*problem),
    };
    let mut body = encode(&answer);
    let most = client.server_info().max_payload;
    if body.len() > most {
        let detail = format!("the answer has {} bytes, and the broker carries {most}", body.len());
        body = encode(&Answer::<()>::Err(Problem::new(Code::TooLarge, detail)));
    }
    if let Err(error) = client.publish(reply, body).await {
        tracing::warn!("a question could not be answered: {error}");
    }
}

/// Reads a question.
///
/// # Errors
/// The problem that answers what cannot be read.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<Problem>> {
    serde_json::from_slice(body)
        .map_err(|error| Box::new(Problem::new(Code::MalformedRequest, format!("the question cannot be read: {error}"))))
}

/// Writes an answer.
#[must_use]
pub fn encode<T: Serialize>(answer: &Answer<T>) -> bytes::Bytes {
    serde_json::to_vec(answer).unwrap_or_default().into()
}

/// What has versions, as far as a question about its files needs it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Which.
    pub of: Versioned,
    /// Its name, for words.
    pub name: &'a str,
    /// Its latest version.
    pub latest: u32,
}

impl Definitions {
    /// The files that a plan is asked for: which version they are or would be, the files, and their digest. Of a line that
    /// does not exist yet there are no versions.
    ///
    /// # Errors
    /// What is missing, as the answer of the question.
    pub async fn files_of(
        &self,
        target: &PlanTarget,
        line: Option<Line<'_>>,
        limits: &BundleLimits,
    ) -> Result<(u32, Bundle, Digest), Problem> {
        let next = line.map_or(0, |line| line.latest).saturating_add(1);
        match target {
            PlanTarget::Version(version) | PlanTarget::Rollback(version) => {
                let line = line.ok_or_else(|| Problem::new(Code::NotFound, "nothing of this id has versions"))?;
                let record = self.get_version(line.of, *version).await.map_err(away)?;
                let record = record.ok_or_else(|| Problem::new(Code::NotFound, format!("{} has no version {version}", line.name)))?;
                let bundle = self.get_bundle(&record.digest).await.map_err(away)?;
                let bundle = bundle.ok_or_else(|| Problem::new(Code::Internal, "the files of this version are missing"))?;
                Ok((*version, bundle, record.digest))
            }
            PlanTarget::Bundle(bundle) => Ok((next, bundle.clone(), bundle.digest())),
            PlanTarget::Upload(digest) => {
                let bundle = self.uploaded(digest, limits).await.map_err(refused)?;
                Ok((next, bundle, digest.clone()))
            }
        }
    }
}

/// Why definitions cannot be read, as the answer of a question.
#[must_use]
pub fn away(error: DefinitionError) -> Problem {
    let code = if error.is_transient() { Code::BrokerAway } else { Code::Internal };
    Problem::new(code, error.to_string())
}

/// What judging a command would say, as the answer of a question.
#[must_use]
pub fn refused(error: JudgeError) -> Problem {
    match error {
        JudgeError::Rejected(rejection) => Problem::new(Code::NotFound, rejection.0),
        JudgeError::Transient(why) => Problem::new(Code::BrokerAway, why),
    }
}
