//! The lines that containers write, merged by time where they are old and as they come where they are new. Following a
//! stack also follows the containers that it gets later.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, Message};
use bollard::container::LogOutput;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, LogsOptions};
use futures::StreamExt;
use orrery_contracts::rpc::{LogLine, LogsQuestion, StreamFrame};
use orrery_contracts::{Code, Engine, Problem, StackId, Time};
use orrery_queue::frames::{Closed, Frames};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::commands::DockerExecutor;
use crate::definition::identity as labels;
use crate::engine::{ContainerEvent, DockerEngine, EngineError};

/// How many lines travel in one frame.
const LINES: usize = 200;
/// How much text travels in one frame: escaped it still fits into a message.
const TEXT: usize = 96 * 1024;
/// The longest line that is sent; what is behind is cut off.
const LONGEST: usize = 16 * 1024;
/// How many lines of a container are told when nobody says how many.
const UNLESS_TOLD: u32 = 10_000;
/// How long lines are gathered for one frame while they come in.
const GATHER: Duration = Duration::from_millis(40);

pub(super) async fn answer(executor: &DockerExecutor, client: &Client, question: Message) {
    let Some(reply) = question.reply else { return };
    let Ok(mut frames) = Frames::open(client, reply, Engine::Docker, executor.host()).await else { return };
    let asked: LogsQuestion = match orrery_queue::questions::read(&question.payload) {
        Ok(asked) => asked,
        Err(problem) => return frames.end(Some(*problem)).await,
    };
    match tell(executor.engine(), &asked, &mut frames).await {
        Ok(Ok(())) => frames.end(None).await,
        Ok(Err(error)) => frames.end(Some(Problem::new(Code::ExecutorAway, error.to_string()))).await,
        Err(Closed) => {}
    }
}

async fn tell(engine: &Arc<DockerEngine>, asked: &LogsQuestion, frames: &mut Frames) -> Result<Result<(), EngineError>, Closed> {
    let mut events = engine.events().listen();
    let ids = match containers(engine, asked).await {
        Ok(ids) => ids,
        Err(error) => return Ok(Err(error)),
    };
    if !asked.follow {
        let mut lines = Vec::new();
        for id in ids {
            match past(engine, &id, asked).await {
                Ok(more) => lines.extend(more),
                Err(error) => return Ok(Err(error)),
            }
        }
        lines.sort_by_key(|line| line.time);
        let mut lines = lines.into_iter().peekable();
        while lines.peek().is_some() {
            frames.send(&StreamFrame::Lines(frame_of(&mut lines))).await?;
        }
        return Ok(Ok(()));
    }
    let (send, mut lines) = mpsc::channel(LINES);
    let mut followed = Followed { engine: Arc::clone(engine), asked: asked.clone(), send, all: HashMap::new() };
    for id in ids {
        followed.begin(id);
    }
    loop {
        tokio::select! {
            word = frames.listen() => word?,
            line = lines.recv() => {
                let Some(line) = line else { return Ok(Ok(())) };
                let some = gather(line, &mut lines).await;
                frames.send(&StreamFrame::Lines(some)).await?;
            }
            event = events.recv() => match event {
                Ok(ContainerEvent::Happened { id, action }) if action == "start" => followed.started(id).await,
                Ok(_) => {}
                // What was missed may have been a start.
                Err(RecvError::Lagged(_)) => match containers(engine, asked).await {
                    Ok(ids) => ids.into_iter().for_each(|id| followed.begin_again(id)),
                    Err(error) => return Ok(Err(error)),
                },
                Err(RecvError::Closed) => return Ok(Ok(())),
            }
        }
    }
}

/// The containers that are followed, and how far each has been told.
struct Followed {
    engine: Arc<DockerEngine>,
    asked: LogsQuestion,
    send: mpsc::Sender<LogLine>,
    all: HashMap<String, One>,
}

struct One {
    told: Arc<Mutex<Option<Time>>>,
    task: AbortOnDropHandle<()>,
}

impl Followed {
    fn begin(&mut self, id: String) {
        let told = Arc::default();
        let task = follow(&self.engine, id.clone(), self.asked.clone(), &self.send, Arc::clone(&told), None);
        self.all.insert(id, One { told, task });
    }

    /// One that was followed before goes on behind its last line; a new one is told from its beginning.
    fn begin_again(&mut self, id: String) {
        let asked = LogsQuestion { tail: None, ..self.asked.clone() };
        let (told, before) = match self.all.remove(&id) {
            Some(one) => (one.told, Some(one.task)),
            None => (Arc::default(), None),
        };
        let task = follow(&self.engine, id.clone(), asked, &self.send, Arc::clone(&told), before);
        self.all.insert(id, One { told, task });
    }

    async fn started(&mut self, id: String) {
        let ours = self.all.contains_key(&id)
            || match self.asked.stack_id {
                Some(stack) => belongs(&self.engine, &id, stack).await,
                None => false,
            };
        if ours {
            self.begin_again(id);
        }
    }
}

/// As many lines as one frame takes.
fn frame_of(lines: &mut std::iter::Peekable<impl Iterator<Item = LogLine>>) -> Vec<LogLine> {
    let mut some: Vec<LogLine> = Vec::new();
    let mut text = 0;
    while some.len() < LINES {
        let Some(line) = lines.next_if(|line| some.is_empty() || line.line.len().saturating_add(text) <= TEXT) else { break };
        text = line.line.len().saturating_add(text);
        some.push(line);
    }
    some
}

/// What comes at once travels in one frame.
async fn gather(first: LogLine, lines: &mut mpsc::Receiver<LogLine>) -> Vec<LogLine> {
    let mut text = first.line.len();
    let mut some = vec![first];
    let until = tokio::time::Instant::now().checked_add(GATHER);
    // One line more than fits is still far from too much.
    while some.len() < LINES && text < TEXT {
        let Some(until) = until else { break };
        match tokio::time::timeout_at(until, lines.recv()).await {
            Ok(Some(line)) => {
                text = line.line.len().saturating_add(text);
                some.push(line);
            }
            Ok(None) | Err(_) => break,
        }
    }
    some
}

async fn containers(engine: &DockerEngine, asked: &LogsQuestion) -> Result<BTreeSet<String>, EngineError> {
    let Some(stack) = asked.stack_id else { return Ok(asked.containers.iter().cloned().collect()) };
    let connection = engine.connection();
    let filters = HashMap::from([("label".to_owned(), vec![format!("{}={stack}", labels::STACK)])]);
    let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
    let all = connection.docker().await?.list_containers(Some(options)).await.map_err(|error| connection.failed(error))?;
    Ok(all.into_iter().filter_map(|summary| summary.id).collect())
}

async fn belongs(engine: &DockerEngine, id: &str, stack: StackId) -> bool {
    let Ok(docker) = engine.connection().docker().await else { return false };
    let Ok(there) = docker.inspect_container(id, None::<InspectContainerOptions>).await else { return false };
    let label = there.config.and_then(|config| config.labels).unwrap_or_default();
    label.get(labels::STACK).is_some_and(|text| *text == stack.to_string())
}

/// Who wrote a line.
#[derive(Clone)]
struct Writer {
    service: String,
    number: Option<u32>,
}

async fn writer(engine: &DockerEngine, id: &str) -> Result<Writer, EngineError> {
    let connection = engine.connection();
    let there = connection
        .docker()
        .await?
        .inspect_container(id, None::<InspectContainerOptions>)
        .await
        .map_err(|error| connection.failed(error))?;
    let label = there.config.and_then(|config| config.labels).unwrap_or_default();
    let name = there.name.unwrap_or_default().trim_start_matches('/').to_owned();
    let service = label.get(labels::SERVICE).cloned().unwrap_or(name);
    Ok(Writer { service, number: label.get(labels::NUMBER).and_then(|text| text.parse().ok()) })
}

fn options(asked: &LogsQuestion, follow: bool) -> LogsOptions {
    let since = asked.since.map(|since| i32::try_from(since.inner().unix_timestamp()).unwrap_or_default()).unwrap_or_default();
    let tail = asked.tail.unwrap_or(UNLESS_TOLD).to_string();
    LogsOptions { follow, stdout: true, stderr: true, since, until: 0, timestamps: true, tail }
}

async fn past(engine: &DockerEngine, id: &str, asked: &LogsQuestion) -> Result<Vec<LogLine>, EngineError> {
    let writer = writer(engine, id).await?;
    let docker = engine.connection().docker().await?;
    let mut output = std::pin::pin!(docker.logs(id, Some(options(asked, false))));
    let mut lines = Vec::new();
    while let Some(chunk) = output.next().await {
        let chunk = chunk.map_err(|error| engine.connection().failed(error))?;
        lines.extend(line(chunk, &writer).filter(|line| asked.since.is_none_or(|since| line.time >= since)));
    }
    Ok(lines)
}

fn follow(
    engine: &Arc<DockerEngine>,
    id: String,
    asked: LogsQuestion,
    send: &mpsc::Sender<LogLine>,
    told: Arc<Mutex<Option<Time>>>,
    before: Option<AbortOnDropHandle<()>>,
) -> AbortOnDropHandle<()> {
    let (engine, send) = (Arc::clone(engine), send.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Some(before) = before {
            // The lines of the life before end by themselves.
            let _ = tokio::time::timeout(Duration::from_secs(2), before).await;
        }
        let last = *told.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = LogsQuestion { since: last.or(asked.since), ..asked };
        let Ok(writer) = writer(&engine, &id).await else { return };
        let Ok(docker) = engine.connection().docker().await else { return };
        let mut output = std::pin::pin!(docker.logs(&id, Some(options(&asked, true))));
        while let Some(Ok(chunk)) = output.next().await {
            let is_new = |line: &LogLine| asked.since.is_none_or(|since| line.time >= since) && last.is_none_or(|last| line.time > last);
            let Some(line) = line(chunk, &writer).filter(is_new) else { continue };
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.time);
            if send.send(line).await.is_err() {
                return;
            }
        }
    }))
}

/// A line of the engine begins with its time.
fn line(chunk: LogOutput, writer: &Writer) -> Option<LogLine> {
    let stream = match chunk {
        LogOutput::StdErr { .. } => "stderr",
        LogOutput::StdOut { .. } | LogOutput::StdIn { .. } | LogOutput::Console { .. } => "stdout",
    };
    let bytes = chunk.into_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let (time, words) = text.split_once(' ').unwrap_or((text.trim_end(), ""));
    let mut words = words.trim_end_matches(['\r', '\n']).to_owned();
    if words.len() > LONGEST {
        let cut = (0..=LONGEST).rev().find(|at| words.is_char_boundary(*at)).unwrap_or_default();
        words.truncate(cut);
        words.push('…');
    }
    Some(LogLine {
        time: Time::parse(time).ok()?,
        service: writer.service.clone(),
        number: writer.number,
        stream: stream.to_owned(),
        line: words,
    })
}
