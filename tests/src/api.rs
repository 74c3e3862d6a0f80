//! A client of the REST API, as a script would write one: JSON in, JSON out, and every status looked at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use orrery_contracts::rest::{Command, Container, Stack, Version};
use orrery_contracts::{Bundle, Plan, Status, Time};
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// How long a command of these tests may take; building an image is the longest.
pub const COMMAND_WITHIN: Duration = Duration::from_secs(300);

/// The API, with a token or without.
#[derive(Clone, Debug)]
pub struct Api {
    origin: String,
    token: Option<String>,
    http: reqwest::Client,
    told: Arc<Mutex<Vec<Told>>>,
}

/// What the API has said of a command, and when it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When the question was sent.
    pub asked: Time,
    /// When the answer was there.
    pub answered: Time,
    /// The HTTP status: 202 when the command was put on the queue.
    pub http: u16,
    /// The command's id.
    pub id: String,
    /// Its place in the one order.
    pub seq: u64,
    /// Where it stands.
    pub status: Status,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null when it is empty, a string when it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The body, when the status is the wanted one.
    ///
    /// # Errors
    /// When it is another.
    pub fn expect(self, status: u16) -> anyhow::Result<Value> {
        ensure!(self.status == status, "wanted {status}, got {}: {}", self.status, self.body);
        Ok(self.body)
    }

    /// The body as a type, when the status is the wanted one.
    ///
    /// # Errors
    /// When it is another, or the body is something else.
    pub fn read<T: DeserializeOwned>(self, status: u16) -> anyhow::Result<T> {
        let body = self.expect(status)?;
        serde_json::from_value(body.clone()).with_context(|| format!("not what was promised: {body}"))
    }

    /// A header, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks that it is a problem with this status and code.
    ///
    /// # Errors
    /// When it is not.
    pub fn problem(self, status: u16, code: &str) -> anyhow::Result<Value> {
        let kind = self.header("content-type").unwrap_or_default().to_owned();
        let body = self.expect(status)?;
        ensure!(kind.starts_with("application/problem+json"), "a problem of type {kind:?}: {body}");
        ensure!(body.get("code").and_then(Value::as_str) == Some(code), "wanted the code {code}: {body}");
        Ok(body)
    }
}

impl Api {
    /// The API at this origin (`http://127.0.0.1:8080`), with a token.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(origin: &str, token: Option<String>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(75)).build()?;
        Ok(Self { origin: origin.to_owned(), token, http, told: Arc::default() })
    }

    /// Everything that it has said of commands, to this client and its clones.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what an answer says of a command, if it is about one.
    fn note(&self, asked: Time, answer: &Answer) {
        #[derive(Deserialize)]
        struct Said {
            id: String,
            seq: u64,
            status: Status,
        }
        let Ok(Said { id, seq, status }) = Said::deserialize(&answer.body) else { return };
        let told = Told { asked, answered: Time::new(OffsetDateTime::now_utc()), http: answer.status, id, seq, status };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }

    /// The same API, asked by nobody in particular.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A request to start from; `path` begins behind `/api/v1`, or with `!` at the root of the listener.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = match path.strip_prefix('!') {
            Some(at_root) => format!("{}{at_root}", self.origin),
            None => format!("{}/api/v1{path}", self.origin),
        };
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let asked = Time::new(OffsetDateTime::now_utc());
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        let answer = Answer { status, headers, body };
        self.note(asked, &answer);
        Ok(answer)
    }

    /// GET.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    /// POST with a body of JSON.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Answer> {
        self.send(self.request(reqwest::Method::POST, path).json(&body)).await
    }

    /// GET of something that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.get(path).await?.read(200).with_context(|| format!("GET {path}"))
    }

    /// The items of a list, all on one page.
    ///
    /// # Errors
    /// When there is no such list.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let list: orrery_contracts::rest::List<T> = self.read(path).await?;
        Ok(list.items)
    }

    /// POST of a write: the command that was put on the queue.
    ///
    /// # Errors
    /// When it was not accepted.
    pub async fn write(&self, path: &str, body: Value) -> anyhow::Result<Command> {
        self.post(path, body).await?.read(202).with_context(|| format!("POST {path}"))
    }

    /// Waits until a command is DONE, CANCELLED or FAILED.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn settled(&self, id: &str) -> anyhow::Result<Command> {
        let deadline = Instant::now() + COMMAND_WITHIN;
        loop {
            let command: Command = self.read(&format!("/commands/{id}?wait=30s")).await?;
            match command.status {
                Status::Done | Status::Cancelled | Status::Failed => return Ok(command),
                Status::Pending | Status::Running => {}
            }
            if Instant::now() > deadline {
                bail!("the command has not settled within {COMMAND_WITHIN:?}: {command:#?}");
            }
        }
    }

    /// POST of a write that must end DONE.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn done(&self, path: &str, body: Value) -> anyhow::Result<Command> {
        let command = self.write(path, body).await?;
        self.must_be_done(&command.id).await.with_context(|| format!("POST {path}"))
    }

    /// Waits for a command that must end DONE.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn must_be_done(&self, id: &str) -> anyhow::Result<Command> {
        let command = self.settled(id).await?;
        is_done(&command)?;
        Ok(command)
    }

    /// POST of a write that must end FAILED.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn fails(&self, path: &str, body: Value) -> anyhow::Result<Command> {
        let command = self.write(path, body).await?;
        let command = self.settled(&command.id).await?;
        ensure!(command.status == Status::Failed, "POST {path} ended {:?}: {:?}", command.status, command.reason);
        Ok(command)
    }

    /// Cancels a command, or asks it to stop; the command as it is then.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn cancel(&self, id: &str) -> anyhow::Result<Command> {
        self.decide(id, "cancel").await
    }

    /// Has a failed command tried again; the command as it is then.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn retry(&self, id: &str) -> anyhow::Result<Command> {
        self.decide(id, "retry").await
    }

    async fn decide(&self, id: &str, what: &str) -> anyhow::Result<Command> {
        let answer = self.post(&format!("/commands/{id}/{what}"), json!({})).await?;
        let status = answer.status;
        ensure!(matches!(status, 200 | 202), "{what} answered {status}: {}", answer.body);
        answer.read(status)
    }

    /// Makes a stack and waits for it.
    ///
    /// # Errors
    /// When it was not made.
    pub async fn create(&self, name: &str, bundle: &Bundle) -> anyhow::Result<Stack> {
        self.done("/stacks", json!({"name": name, "bundle": bundle, "comment": "the first"})).await?;
        self.stack(name).await
    }

    /// Saves a version and waits for it; answers its number.
    ///
    /// # Errors
    /// When it was not saved.
    pub async fn save(&self, stack: &str, bundle: &Bundle) -> anyhow::Result<u32> {
        self.done(&format!("/stacks/{stack}/versions"), json!({"bundle": bundle, "comment": "the next"})).await?;
        Ok(self.stack(stack).await?.latest_version)
    }

    /// Applies a version and waits for DONE.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn apply(&self, stack: &str, version: u32) -> anyhow::Result<Command> {
        self.done(&format!("/stacks/{stack}/apply/{version}"), json!({})).await
    }

    /// The plan of a version.
    ///
    /// # Errors
    /// When there is none.
    pub async fn plan(&self, stack: &str, version: u32) -> anyhow::Result<Plan> {
        let path = format!("/stacks/{stack}/plan/{version}");
        self.post(&path, json!({})).await?.read(200).with_context(|| format!("POST {path}"))
    }

    /// A stack.
    ///
    /// # Errors
    /// When there is none.
    pub async fn stack(&self, stack: &str) -> anyhow::Result<Stack> {
        self.read(&format!("/stacks/{stack}")).await
    }

    /// The containers of a stack.
    ///
    /// # Errors
    /// When there is no such stack.
    pub async fn containers(&self, stack: &str) -> anyhow::Result<Vec<Container>> {
        self.list(&format!("/stacks/{stack}/containers")).await
    }

    /// The versions of a stack.
    ///
    /// # Errors
    /// When there is no such stack.
    pub async fn versions(&self, stack: &str) -> anyhow::Result<Vec<Version>> {
        self.list(&format!("/stacks/{stack}/versions")).await
    }
}

/// Whether a command ended DONE; else what it says about that.
///
/// # Errors
/// When it did not.
pub fn is_done(command: &Command) -> anyhow::Result<()> {
    let Command { status, reason, error, steps, .. } = command;
    ensure!(*status == Status::Done, "ended {status:?}: {reason:?} {error:?}\n{steps:#?}");
    Ok(())
}
