//! What follows from a loss: commands whose end nobody knows are ended, and heads and bundles are written again from what
//! the streams say.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::HeaderMap;
use orrery_contracts::Bundle;
use orrery_contracts::command::{Action, BundleSource, CommandMessage};
use orrery_contracts::heads::Desired;
use orrery_contracts::subjects::{self, EventSubject};
use orrery_contracts::{
    Change, CommandState, Digest, MachineChange, MachineEvent, MachineHead, MachineId, StackChange, StackEvent, StackHead, StackId, Status,
    StepEntry, StepMessage, StepOutcome, Time, TransitionMessage, VersionRecord, Versioned,
};
use orrery_queue::definitions::Head;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{RESTORED, RecoverError, Recovery, away};
use crate::message::{Message, Stream};

/// Who a recovery is, in the events that it writes.
const BY: &str = "recovery";

/// Where a command stands, and what the next transition of it must name.
#[derive(Debug, Default)]
pub(super) struct Standing {
    state: CommandState,
    last: u64,
    /// Its steps that were begun and have not ended.
    open: BTreeSet<u32>,
}

impl Standing {
    fn transition(&mut self, event: &Message) {
        self.last = event.seq;
        let Ok(message) = serde_json::from_slice::<TransitionMessage>(&event.body) else { return };
        if let Ok(state) = self.state.clone().apply(&message) {
            self.state = state;
            if message.change.status() == Status::Pending {
                self.open.clear();
            }
        }
    }

    fn step(&mut self, event: &Message) {
        let Ok(StepMessage { n, entry, .. }) = serde_json::from_slice(&event.body) else { return };
        match entry {
            StepEntry::Started { .. } => drop(self.open.insert(n)),
            StepEntry::Ended { .. } => drop(self.open.remove(&n)),
            StepEntry::Opened { .. } | StepEntry::Planned { .. } | StepEntry::Closed { .. } => {}
        }
    }
}

impl Recovery<'_> {
    /// Cancels every command that has not ended: nobody knows what became of it.
    pub(super) async fn end_the_unended(&mut self) -> Result<(), RecoverError> {
        let mut standings = self.standings().await?;
        let ends = self.source.ends(Stream::Commands).await?;
        if ends.is_empty() {
            return Ok(());
        }
        let mut commands = self.read(Stream::Commands, ends.first, ends.last);
        while let Some(command) = commands.recv().await {
            let command = command?;
            let standing = standings.remove(&command.seq).unwrap_or_default();
            if !standing.state.status().has_ended() {
                self.end_steps(command.seq, &standing).await?;
                self.cancel(command.seq, Digest::of(&command.body), &standing).await?;
                self.done.cancelled.push(command.seq);
            }
        }
        Ok(())
    }

    /// Where every command stands of which the stream has a transition.
    pub(super) async fn standings(&self) -> Result<BTreeMap<u64, Standing>, RecoverError> {
        let mut standings: BTreeMap<u64, Standing> = BTreeMap::new();
        let Some(ends) = self.source.ends_if_there(Stream::Events).await? else { return Ok(standings) };
        if ends.is_empty() {
            return Ok(standings);
        }
        let mut events = self.read(Stream::Events, ends.first, ends.last);
        while let Some(event) = events.recv().await {
            let event = event?;
            match subjects::parse_event(&event.subject) {
                Some(EventSubject::Transition(seq)) => standings.entry(seq).or_default().transition(&event),
                Some(EventSubject::Step(seq)) => standings.entry(seq).or_default().step(&event),
                Some(EventSubject::Cancel(_) | EventSubject::Stack(_) | EventSubject::Machine(_)) | None => {}
            }
        }
        Ok(standings)
    }

    /// Ends what was begun of a command: no step stays open for ever.
    async fn end_steps(&self, seq: u64, standing: &Standing) -> Result<(), RecoverError> {
        for n in &standing.open {
            let step = StepMessage {
                event_id: Uuid::now_v7(),
                seq,
                attempt: standing.state.attempt(),
                run: standing.state.run(),
                n: *n,
                at: Time::new(OffsetDateTime::now_utc()),
                entry: StepEntry::Ended {
                    outcome: StepOutcome::Failed,
                    detail: "the broker lost messages, and nobody knows what became of it".to_owned(),
                    output: None,
                    log: None,
                },
            };
            let body = serde_json::to_vec(&step).map_err(away)?;
            self.broker.jetstream().publish(subjects::step(seq), body.into()).await.map_err(away)?.await.map_err(away)?;
        }
        Ok(())
    }

    async fn cancel(&self, seq: u64, command_sha256: Digest, standing: &Standing) -> Result<(), RecoverError> {
        let reason = format!(
            "{RESTORED}: the broker lost messages, and nobody knows what became of this command; look at what it was about, and send it again where it is still wanted"
        );
        let message = TransitionMessage {
            event_id: Uuid::now_v7(),
            seq,
            command_sha256,
            attempt: standing.state.attempt(),
            run: standing.state.run(),
            at: Time::new(OffsetDateTime::now_utc()),
            by: BY.to_owned(),
            change: Change::Cancelled { reason },
        };
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, standing.last.to_string());
        let body = serde_json::to_vec(&message).map_err(away)?;
        let sent = self.broker.jetstream().publish_with_headers(subjects::transition(seq), headers, body.into()).await;
        sent.map_err(away)?.await.map(drop).map_err(away)
    }

    /// Heads that are missing or older than what the events say, and bundles that a command brought along.
    pub(super) async fn repair_definitions(&mut self) -> Result<(), RecoverError> {
        let (stacks, machines) = self.heads_by_events().await?;
        for head in machines.values() {
            self.repair_head(head).await?;
        }
        for head in stacks.values() {
            self.repair_head(head).await?;
        }
        self.repair_bundles().await
    }

    async fn repair_head<H: Head>(&mut self, head: &H) -> Result<(), RecoverError> {
        let kept = self.definitions.head_in_place_of(head).await?;
        if kept.as_ref().is_none_or(|kept| kept.value.command() < head.command()) {
            self.definitions.put_head(head, kept.map_or(0, |kept| kept.revision)).await?;
            self.done.heads = self.done.heads.saturating_add(1);
        }
        Ok(())
    }

    async fn heads_by_events(&self) -> Result<(BTreeMap<StackId, StackHead>, BTreeMap<MachineId, MachineHead>), RecoverError> {
        let (mut stacks, mut machines) = (BTreeMap::new(), BTreeMap::new());
        let ends = self.source.ends(Stream::Events).await?;
        if ends.is_empty() {
            return Ok((stacks, machines));
        }
        let mut events = self.read(Stream::Events, ends.first, ends.last);
        while let Some(event) = events.recv().await {
            let event = event?;
            match subjects::parse_event(&event.subject) {
                Some(EventSubject::Stack(_)) => {
                    let Ok(told) = serde_json::from_slice::<StackEvent>(&event.body) else { continue };
                    follow(&mut stacks, told);
                }
                Some(EventSubject::Machine(_)) => {
                    let Ok(told) = serde_json::from_slice::<MachineEvent>(&event.body) else { continue };
                    follow_machine(&mut machines, told);
                }
                Some(EventSubject::Transition(_) | EventSubject::Step(_) | EventSubject::Cancel(_)) | None => {}
            }
        }
        // What has no version was never made: its create ended in between.
        stacks.retain(|_, head: &mut StackHead| head.latest > 0);
        machines.retain(|_, head: &mut MachineHead| head.latest > 0);
        Ok((stacks, machines))
    }

    async fn repair_bundles(&mut self) -> Result<(), RecoverError> {
        let ends = self.source.ends(Stream::Versions).await?;
        if ends.is_empty() {
            return Ok(());
        }
        let mut versions = self.read(Stream::Versions, ends.first, ends.last);
        while let Some(version) = versions.recv().await {
            let Ok(version) = serde_json::from_slice::<VersionRecord>(&version?.body) else { continue };
            if matches!(self.definitions.get_bytes(&version.digest).await, Ok(Some(_))) {
                continue;
            }
            let command = self.source.message(Stream::Commands, version.command).await?;
            let bundle = command.and_then(|command| CommandMessage::read(&command.body).ok()).and_then(|message| inline(message.action));
            match bundle.filter(|bundle| bundle.digest() == version.digest) {
                Some(bundle) => {
                    self.definitions.put_bundle(&bundle).await?;
                    self.done.bundles = self.done.bundles.saturating_add(1);
                }
                None => self.done.without_files.push(format!("{} version {}", whose(version.of), version.version)),
            }
        }
        Ok(())
    }
}

/// The head of a machine that these events tell, as its executor would have written it.
fn follow_machine(heads: &mut BTreeMap<MachineId, MachineHead>, told: MachineEvent) {
    let MachineEvent { machine_id, seq, at, change, .. } = told;
    if let MachineChange::Created { name, owner, domain, host } = change {
        heads.entry(machine_id).or_insert(MachineHead {
            id: machine_id,
            name,
            owner,
            domain,
            host,
            latest: 0,
            current: None,
            desired: Desired::Created,
            deleted: false,
            converged: 0,
            command: seq,
            created_at: at,
        });
        return;
    }
    let Some(head) = heads.get_mut(&machine_id) else { return };
    head.command = head.command.max(seq);
    match change {
        MachineChange::Created { .. } => {}
        MachineChange::VersionCreated { version, .. } => head.latest = head.latest.max(version),
        MachineChange::HeadMoved { current, .. } => (head.current, head.converged) = (current, seq),
        MachineChange::DesiredChanged { desired } => head.desired = desired,
        MachineChange::Deleted { .. } => head.deleted = true,
    }
}

/// The head that these events tell, as the executor would have written it.
fn follow(heads: &mut BTreeMap<StackId, StackHead>, told: StackEvent) {
    let StackEvent { stack_id, seq, at, change, .. } = told;
    if let StackChange::Created { name, owner, project, host } = change {
        heads.entry(stack_id).or_insert(StackHead {
            id: stack_id,
            name,
            owner,
            project,
            host,
            latest: 0,
            current: None,
            desired: Desired::Created,
            deleted: false,
            converged: 0,
            command: seq,
            created_at: at,
            locks: BTreeMap::new(),
            pinned: false,
            secrets: BTreeMap::new(),
        });
        return;
    }
    let Some(head) = heads.get_mut(&stack_id) else { return };
    head.command = head.command.max(seq);
    match change {
        StackChange::Created { .. } => {}
        StackChange::VersionCreated { version, .. } => head.latest = head.latest.max(version),
        StackChange::HeadMoved { current, lock, .. } => {
            (head.current, head.converged) = (current, seq);
            if let Some((version, lock)) = current.zip(lock) {
                head.pinned = lock.pinned;
                head.locks.insert(version, lock.digest);
            }
        }
        StackChange::DesiredChanged { desired } => head.desired = desired,
        StackChange::SecretsChanged { secrets } => head.secrets = secrets,
        StackChange::Deleted { .. } => head.deleted = true,
    }
}

fn whose(of: Versioned) -> String {
    match of {
        Versioned::Stack(id) => format!("stack {id}"),
        Versioned::Machine(id) => format!("machine {id}"),
    }
}

/// The files that a command brought along.
fn inline(action: Action) -> Option<Bundle> {
    match action.into_source()? {
        BundleSource::Inline(bundle) => Some(bundle),
        BundleSource::Digest(_) => None,
    }
}
