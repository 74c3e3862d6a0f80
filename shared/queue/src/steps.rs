//! The write-ahead log of a run: one writer, by compare-and-set, so that an older executor's entry is refused before
//! its effect, and so is ours when we are the older one.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use orrery_contracts::{Plan, PlanNote, StepEntry, StepMessage, StepOutcome, Time, subjects};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::compare_and_set::{Draft, EventsWriter, Outcome};
use crate::executor::StepSpec;
use crate::history::History;
use crate::marks::{Mark, Marks};
use crate::transitions::cut;

/// The most that goes into one message: the broker takes 1 MiB, headers included.
const LONGEST_ENTRY: usize = 900 * 1024;

/// Why an entry was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogError {
    /// Another run writes this log.
    Stale,
    /// The broker did not answer before the caller gave up.
    GaveUp,
    /// The marks are not on disk, so that nothing may be done: [`StepLog::unwritable`] says why.
    Unwritable,
    /// The streams are not those that were seen, and nothing may be done: [`StepLog::regressed`] says why.
    Regressed,
}

/// Whose entries these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunId {
    pub(crate) seq: u64,
    pub(crate) attempt: u32,
    pub(crate) run: u32,
}

/// The log of one run. Entries of steps side by side are written one after another.
#[derive(Debug)]
pub(crate) struct StepLog {
    writer: EventsWriter,
    run: RunId,
    by: Arc<str>,
    marks: Arc<Marks>,
    /// None until the log is open.
    tail: Mutex<Option<Tail>>,
    /// Cancelled when another run has written: nothing of this one may go on.
    lost: CancellationToken,
    /// Why the marks could not be written.
    unwritable: OnceLock<io::Error>,
    /// Why the streams are not trusted any more.
    regressed: OnceLock<String>,
}

#[derive(Debug)]
struct Tail {
    /// The last sequence of the subject.
    last: u64,
    /// The next step's number.
    next: u32,
    /// Steps that were started and not ended, by this run or an earlier one, with the run that started them.
    open: BTreeMap<u32, u32>,
    /// Entries of which nobody knows whether they are stored: their ids, their steps.
    unsure: Vec<(Uuid, u32)>,
}

/// Reads the step log of a command.
pub(crate) async fn read(writer: &EventsWriter, seq: u64) -> Result<History, String> {
    let messages = writer.all(&subjects::step(seq)).await?;
    let last = messages.last().map_or(0, |last| last.seq);
    let entries = messages.iter().filter_map(|message| match serde_json::from_slice(&message.body) {
        Ok(entry) => Some(entry),
        Err(error) => {
            tracing::warn!(command = seq, event = message.seq, "an entry of the step log cannot be read: {error}");
            None
        }
    });
    Ok(History { entries: entries.collect(), last })
}

impl StepLog {
    /// The log of a command's very first run, which opens it with its first entry: until then nobody has written there, and
    /// whoever does first shuts this run out. A run that needs no step writes nothing.
    pub(crate) fn fresh(writer: &EventsWriter, run: RunId, by: &Arc<str>, marks: &Arc<Marks>) -> Self {
        let (writer, by, marks) = (writer.clone(), Arc::clone(by), Arc::clone(marks));
        let (lost, unwritable, regressed) = (CancellationToken::new(), OnceLock::new(), OnceLock::new());
        Self { writer, run, by, marks, tail: Mutex::default(), lost, unwritable, regressed }
    }

    /// Opens the log for a run: from here on, entries of older runs are refused by the broker. `history` is brought up
    /// to date when an older executor wrote meanwhile. The marks are on disk when it returns, before the first effect.
    pub(crate) async fn open(&self, history: &mut History, give_up: impl Future<Output = ()>) -> Result<(), LogError> {
        let mut tail = self.tail.lock().await;
        tokio::pin!(give_up);
        *tail = Some(self.opened(history, &mut give_up).await?);
        Ok(())
    }

    async fn opened(&self, history: &mut History, give_up: &mut (impl Future<Output = ()> + Unpin)) -> Result<Tail, LogError> {
        let run = self.run;
        let draft = draft(&message(run, 0, StepEntry::Opened { by: self.by.to_string() }));
        loop {
            // What was read anew may be a newer run's: its log is not ours to open.
            if history.newest().is_some_and(|newest| newest >= (run.attempt, run.run)) {
                return Err(self.stale());
            }
            match self.writer.publish(&draft, history.last, &mut *give_up).await {
                Outcome::Stored(sequence) => {
                    self.mark(sequence, &draft).await?;
                    let open = history.steps(run.attempt).into_iter().filter(|step| step.state == crate::executor::StepState::Open);
                    return Ok(Tail {
                        last: sequence,
                        next: history.next_step(run.attempt),
                        open: open.map(|step| (step.n, step.run)).collect(),
                        unsure: Vec::new(),
                    });
                }
                Outcome::Refused(last) => {
                    if last.as_ref().is_some_and(|last| writer_of(&last.body).is_some_and(|found| found >= (run.attempt, run.run))) {
                        return Err(self.stale());
                    }
                    *history = reread(&self.writer, run.seq, &mut *give_up).await?;
                }
                Outcome::Regressed(why) => return Err(self.distrusted(why)),
                Outcome::GaveUp => return Err(LogError::GaveUp),
            }
        }
    }

    /// Has the opening on disk outside the broker.
    async fn mark(&self, sequence: u64, draft: &Draft) -> Result<(), LogError> {
        self.marks.saw_event(Mark::of(sequence, &draft.subject, &draft.body));
        self.marks.sync().await.map_err(|error| {
            self.unwritable.get_or_init(|| error);
            LogError::Unwritable
        })
    }

    /// Why the marks could not be written, when they could not: nothing may be done any more.
    pub(crate) fn unwritable(&self) -> Option<io::Error> {
        self.unwritable.get().map(|error| io::Error::new(error.kind(), error.to_string()))
    }

    /// Why the streams are not trusted any more, when they are not: nothing may be done any more.
    pub(crate) fn regressed(&self) -> Option<String> {
        self.regressed.get().cloned()
    }

    fn distrusted(&self, why: String) -> LogError {
        self.regressed.get_or_init(|| why);
        self.lost.cancel();
        LogError::Regressed
    }

    fn stale(&self) -> LogError {
        self.lost.cancel();
        LogError::Stale
    }

    /// The open log of this run.
    async fn tail<'a>(
        &self,
        tail: &'a mut Option<Tail>,
        give_up: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<&'a mut Tail, LogError> {
        if tail.is_none() {
            *tail = Some(self.opened(&mut History::default(), give_up).await?);
        }
        tail.as_mut().ok_or(LogError::GaveUp)
    }

    /// Whose log this is.
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// Resolves when another run writes this log.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Writes that a step begins, and answers its number.
    pub(crate) async fn start(&self, what: StepSpec, give_up: impl Future<Output = ()>) -> Result<u32, LogError> {
        tokio::pin!(give_up);
        let mut tail = self.tail.lock().await;
        let tail = self.tail(&mut tail, &mut give_up).await?;
        let n = tail.next;
        tail.next = n.saturating_add(1);
        tail.open.insert(n, self.run.run);
        let StepSpec { action, subject, plan } = what;
        self.append(tail, n, StepEntry::Started { action, subject, plan }, give_up).await?;
        Ok(n)
    }

    /// Writes how a step ended.
    pub(crate) async fn end(&self, n: u32, ended: StepEntry, give_up: impl Future<Output = ()>) -> Result<(), LogError> {
        tokio::pin!(give_up);
        let mut tail = self.tail.lock().await;
        let tail = self.tail(&mut tail, &mut give_up).await?;
        self.append(tail, n, ended, give_up).await?;
        tail.open.remove(&n);
        Ok(())
    }

    /// Writes how a step of an earlier run ended, unless that is written already.
    pub(crate) async fn settle(&self, n: u32, ended: StepEntry, give_up: impl Future<Output = ()>) -> Result<(), LogError> {
        tokio::pin!(give_up);
        let mut tail = self.tail.lock().await;
        let tail = self.tail(&mut tail, &mut give_up).await?;
        if tail.open.contains_key(&n) {
            self.append(tail, n, ended, give_up).await?;
            tail.open.remove(&n);
        }
        Ok(())
    }

    /// Writes something about the whole run.
    pub(crate) async fn note(&self, entry: StepEntry, give_up: impl Future<Output = ()>) -> Result<(), LogError> {
        tokio::pin!(give_up);
        let mut tail = self.tail.lock().await;
        let tail = self.tail(&mut tail, &mut give_up).await?;
        self.append(tail, 0, entry, give_up).await
    }

    /// Ends whatever is still open: steps of this run that were not waited for, and steps of earlier runs that nobody
    /// settled.
    pub(crate) async fn close_steps(&self, give_up: impl Future<Output = ()>) -> Result<(), LogError> {
        tokio::pin!(give_up);
        let mut tail = self.tail.lock().await;
        // What was never opened has no steps.
        let Some(tail) = tail.as_mut() else { return Ok(()) };
        self.make_sure(tail, &mut give_up).await?;
        while let Some((&n, &run)) = tail.open.first_key_value() {
            let entry = if run == self.run.run {
                abandoned(StepOutcome::Failed, "not waited for: something else had failed")
            } else {
                abandoned(StepOutcome::Skipped, "its executor ended in the middle; a later run went on")
            };
            self.append(tail, n, entry, &mut give_up).await?;
            tail.open.remove(&n);
        }
        Ok(())
    }

    /// Records that this run stops in good order, and leaves the rest to the next.
    pub(crate) async fn close(&self, why: &str, give_up: impl Future<Output = ()>) {
        if self.note(StepEntry::Closed { why: why.to_owned() }, give_up).await.is_err() {
            tracing::warn!(command = self.run.seq, "the run ends without a word in its log");
        }
    }

    /// Finds out which of the entries that nobody waited for to the end are stored: a step that was never begun is not
    /// ended, and one that has ended is not ended twice.
    async fn make_sure(&self, tail: &mut Tail, give_up: &mut (impl Future<Output = ()> + Unpin)) -> Result<(), LogError> {
        if tail.unsure.is_empty() {
            return Ok(());
        }
        let history = reread(&self.writer, self.run.seq, give_up).await?;
        if history.newest() > Some((self.run.attempt, self.run.run)) {
            return Err(self.stale());
        }
        tail.last = history.last;
        for (id, n) in std::mem::take(&mut tail.unsure) {
            let stored = history.entries.iter().find(|message| message.event_id == id);
            let open = stored.is_some_and(|message| matches!(message.entry, StepEntry::Started { .. }));
            let begun = || history.entries.iter().any(|message| message.attempt == self.run.attempt && message.n == n);
            if !open && (stored.is_some() || !begun()) {
                tail.open.remove(&n);
            }
        }
        Ok(())
    }

    async fn append(&self, tail: &mut Tail, n: u32, entry: StepEntry, give_up: impl Future<Output = ()>) -> Result<(), LogError> {
        let draft = draft(&message(self.run, n, entry));
        tokio::pin!(give_up);
        // Known only once the answer is there, also where nobody waits for it any more.
        tail.unsure.push((draft.event_id, n));
        loop {
            match self.writer.publish(&draft, tail.last, &mut give_up).await {
                Outcome::Stored(sequence) => {
                    tail.last = sequence;
                    tail.unsure.retain(|(id, _)| *id != draft.event_id);
                    return Ok(());
                }
                // An entry of this very run that was not waited for: nobody else writes under its number.
                Outcome::Refused(Some(last)) if writer_of(&last.body) == Some((self.run.attempt, self.run.run)) => {
                    tail.last = last.seq;
                }
                Outcome::Refused(_) => return Err(self.stale()),
                Outcome::Regressed(why) => return Err(self.distrusted(why)),
                Outcome::GaveUp => return Err(LogError::GaveUp),
            }
        }
    }
}

async fn reread(writer: &EventsWriter, seq: u64, give_up: &mut (impl Future<Output = ()> + Unpin)) -> Result<History, LogError> {
    let patient = async {
        loop {
            match read(writer, seq).await {
                Ok(history) => return history,
                Err(reason) => tracing::debug!(command = seq, "the step log is read again: {reason}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        biased;
        history = patient => Ok(history),
        () = give_up => Err(LogError::GaveUp),
    }
}

fn message(run: RunId, n: u32, entry: StepEntry) -> StepMessage {
    let at = Time::new(OffsetDateTime::now_utc());
    StepMessage { event_id: Uuid::now_v7(), seq: run.seq, attempt: run.attempt, run: run.run, n, at, entry }
}

fn draft(message: &StepMessage) -> Draft {
    let mut body = serde_json::to_vec(message).unwrap_or_default();
    if body.len() > LONGEST_ENTRY {
        let fitting = StepMessage { entry: fitting(message.entry.clone()), ..message.clone() };
        tracing::warn!(
            command = message.seq,
            step = message.n,
            bytes = body.len(),
            "an entry of the step log is too long, and is shortened"
        );
        body = serde_json::to_vec(&fitting).unwrap_or_default();
    }
    Draft { subject: subjects::step(message.seq), event_id: message.event_id, body: Bytes::from(body) }
}

/// The entry without what makes it long: the fields of a plan's changes, a step's output.
fn fitting(entry: StepEntry) -> StepEntry {
    match entry {
        StepEntry::Planned { plan } => {
            let mut notes = plan.notes;
            notes.push(PlanNote::note("the plan is too long to be kept whole: what changes in each container is left out"));
            let actions = plan.actions.into_iter().take(1000).map(|mut action| {
                action.changes.clear();
                action
            });
            let kept = plan.kept.into_iter().take(1000).collect();
            StepEntry::Planned { plan: Plan { empty: plan.empty, actions: actions.collect(), kept, notes } }
        }
        StepEntry::Ended { outcome, detail, log, output: _ } => StepEntry::Ended { outcome, detail: cut(detail), output: None, log },
        StepEntry::Opened { .. } | StepEntry::Started { .. } | StepEntry::Closed { .. } => entry,
    }
}

/// The attempt and run that wrote an entry.
fn writer_of(body: &[u8]) -> Option<(u32, u32)> {
    #[derive(serde::Deserialize)]
    struct Writer {
        attempt: u32,
        run: u32,
    }
    serde_json::from_slice::<Writer>(body).ok().map(|writer| (writer.attempt, writer.run))
}

/// The entry of a step that did not end by itself.
pub(crate) fn abandoned(outcome: StepOutcome, detail: &str) -> StepEntry {
    StepEntry::Ended { outcome, detail: detail.to_owned(), output: None, log: None }
}
