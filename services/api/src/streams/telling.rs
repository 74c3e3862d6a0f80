//! One reader of the projector's feed for all who listen: what it reads becomes an event once, and the latest of them are kept
//! for everybody. Who is further behind than that reads the feed himself, a few of them at a time.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::sse::Event;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use orrery_contracts::StackId;
use orrery_contracts::rest::{Container, Machine, Stack, Step};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use super::KEEP_ALIVE;
use crate::problems::Answer;
use crate::queries::commands::Wanted;
use crate::queries::{commands, containers, named, sequence, small, steps, versions};
use crate::state::Api;

/// How many entries of the feed are read at once for everybody.
const BATCH: i64 = 500;
/// How many are read at once for one who is behind: they wait in memory until he takes them.
const BATCH_OF_ONE: i64 = 50;
/// How many who are behind read at once.
const BEHIND_AT_ONCE: usize = 4;
/// How many entries are looked up side by side.
const LOOKED_UP_AT_ONCE: usize = 4;
/// How much of what was told is kept, in bytes of JSON.
const KEPT: usize = 8 << 20;

/// A place in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: i64,
    pub(super) n: i64,
}

impl Place {
    pub(super) fn read(text: &str) -> Option<Self> {
        let (generation, n) = text.split_once('-')?;
        Some(Self { generation: generation.parse().ok()?, n: n.parse().ok()? })
    }

    pub(super) fn id(self) -> String {
        format!("{}-{}", self.generation, self.n)
    }
}

/// Where the feed is, and the first place that one can go on from.
pub(super) async fn head(api: &Api) -> Answer<(Place, i64)> {
    let row = sqlx::query!(
        r#"SELECT generation, n, (SELECT coalesce(min(f.n), h.n + 1) - 1 FROM read.feed f) AS "oldest!" FROM meta.feed_head h"#
    )
    .fetch_one(&api.database)
    .await?;
    Ok((Place { generation: row.generation, n: row.n }, row.oldest))
}

/// One event, made once for all who may see it.
#[derive(Debug)]
pub(super) struct Told {
    n: i64,
    kind: &'static str,
    owner: Option<String>,
    actor: Option<String>,
    data: String,
}

impl Told {
    /// Its number in the feed.
    pub(super) fn n(&self) -> i64 {
        self.n
    }

    /// The event as it is sent in this generation of the feed.
    pub(super) fn event(&self, generation: i64) -> Event {
        Event::default().event(self.kind).id(Place { generation, n: self.n }.id()).data(&self.data)
    }

    /// Owners see what is theirs; who gave a command sees the command, whoever owns the stack.
    fn is_for(&self, sees_only: Option<&str>) -> bool {
        let Some(name) = sees_only else { return true };
        let theirs = |whose: &Option<String>| whose.as_deref() == Some(name);
        theirs(&self.owner) || (matches!(self.kind, "command" | "step") && theirs(&self.actor))
    }
}

/// What lies behind a place.
#[derive(Debug)]
pub(super) enum Behind {
    /// The next event that the reader may see.
    Told(Arc<Told>),
    /// Nothing for him up to this place.
    Nothing(Place),
    /// What is not kept here any more.
    Older,
    /// The feed began anew, and is here now.
    Anew(Place),
}

/// What was told lately.
#[derive(Debug)]
struct Recent {
    place: Place,
    /// Everything behind this number is here.
    floor: i64,
    told: VecDeque<Arc<Told>>,
    bytes: usize,
}

impl Recent {
    fn at(place: Place) -> Self {
        Self { place, floor: place.n, told: VecDeque::new(), bytes: 0 }
    }

    fn take_in(&mut self, told: Vec<Told>, up_to: i64) {
        self.bytes = told.iter().fold(self.bytes, |sum, told| sum.saturating_add(told.data.len()));
        self.told.extend(told.into_iter().map(Arc::new));
        self.place.n = up_to;
        while self.bytes > KEPT
            && let Some(oldest) = self.told.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(oldest.data.len());
            self.floor = oldest.n;
        }
    }

    fn behind(&self, place: Place, sees_only: Option<&str>) -> Behind {
        if place.generation != self.place.generation {
            return Behind::Anew(self.place);
        }
        if place.n < self.floor {
            return Behind::Older;
        }
        let first = self.told.partition_point(|told| told.n <= place.n);
        let next = self.told.range(first..).find(|told| told.is_for(sees_only));
        next.map_or(Behind::Nothing(Place { n: self.place.n.max(place.n), ..place }), |told| Behind::Told(Arc::clone(told)))
    }
}

/// What was told lately, and who is woken when there is more.
pub struct Telling {
    recent: Mutex<Option<Recent>>,
    moved: watch::Sender<()>,
    behind: Semaphore,
}

impl Default for Telling {
    fn default() -> Self {
        Self { recent: Mutex::default(), moved: watch::Sender::new(()), behind: Semaphore::new(BEHIND_AT_ONCE) }
    }
}

impl Telling {
    /// Says when there is more.
    pub(super) fn follow(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// What lies behind a place for somebody who sees only his own, or everything.
    pub(super) fn behind(&self, place: Place, sees_only: Option<&str>) -> Behind {
        self.with(|recent| recent.as_ref().map_or(Behind::Nothing(place), |recent| recent.behind(place, sees_only)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Recent>) -> T) -> T {
        work(&mut self.recent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn place(&self) -> Option<Place> {
        self.with(|recent| recent.as_ref().map(|recent| recent.place))
    }

    fn begin_at(&self, place: Place) {
        self.with(|recent| *recent = Some(Recent::at(place)));
        self.moved.send_replace(());
    }

    /// Reads the feed up to its head.
    async fn catch_up(&self, api: &Api) -> Answer<()> {
        loop {
            let (head, oldest) = head(api).await?;
            let place = match self.place() {
                Some(place) if place.generation == head.generation && place.n >= oldest => place,
                Some(_) | None => {
                    self.begin_at(head);
                    return Ok(());
                }
            };
            if head.n <= place.n {
                return Ok(());
            }
            let entries = entries(api, place.n, i64::MAX, None, BATCH).await?;
            let Some(last) = entries.last().map(|entry| entry.n) else {
                self.begin_at(head);
                return Ok(());
            };
            let told = told(api, entries).await?;
            self.with(|recent| {
                if let Some(recent) = recent {
                    recent.take_in(told, last);
                }
            });
            self.moved.send_replace(());
        }
    }
}

/// Tells until the end of the process.
pub async fn tell(api: Api) {
    let mut news = api.feed.follow();
    loop {
        if let Err(refusal) = api.telling.catch_up(&api).await {
            tracing::debug!("the feed cannot be read: {}", refusal.problem().detail);
        }
        tokio::select! {
            () = api.ending.cancelled() => return,
            _ = tokio::time::timeout(KEEP_ALIVE, news.changed()) => {}
        }
    }
}

/// What the feed itself has behind a place.
pub(super) enum Older {
    /// These, up to this place.
    Told(Vec<Told>, Place),
    /// It does not reach back to there any more, and is here now.
    Anew(Place),
}

/// Reads the part of the feed behind a place that is not kept.
pub(super) async fn older(api: &Api, place: Place, sees_only: Option<&str>) -> Answer<Older> {
    let _turn = api.telling.behind.acquire().await;
    let (head, oldest) = head(api).await?;
    if head.generation != place.generation || place.n < oldest {
        return Ok(Older::Anew(head));
    }
    let entries = entries(api, place.n, head.n, sees_only, BATCH_OF_ONE).await?;
    let n = entries.last().map_or(head.n, |entry| entry.n);
    let mut told = told(api, entries).await?;
    told.retain(|told| told.is_for(sees_only));
    Ok(Older::Told(told, Place { n, ..place }))
}

/// Entries behind a number, up to and with another.
async fn entries(api: &Api, after: i64, up_to: i64, sees_only: Option<&str>, limit: i64) -> Answer<Vec<Entry>> {
    let entries = sqlx::query_as!(
        Entry,
        r#"SELECT n, kind, command, attempt, step, stack_id, version, host, container, owner, actor, gone FROM read.feed
           WHERE n > $1 AND n <= $2 AND ($3::text IS NULL OR owner = $3 OR actor = $3) ORDER BY n LIMIT $4"#,
        after,
        up_to,
        sees_only,
        limit
    )
    .fetch_all(&api.database)
    .await?;
    Ok(entries)
}

#[derive(Clone, Debug)]
struct Entry {
    n: i64,
    kind: String,
    command: Option<i64>,
    attempt: Option<i64>,
    step: Option<i64>,
    stack_id: Option<Uuid>,
    version: Option<i64>,
    host: Option<String>,
    container: Option<String>,
    owner: Option<String>,
    actor: Option<String>,
    gone: bool,
}

/// A step, with the command that it belongs to.
#[derive(Serialize)]
struct StepOf {
    command: u64,
    attempt: u32,
    #[serde(flatten)]
    step: Step,
}

/// A container, with the stack that it belongs to.
#[derive(Serialize)]
struct ContainerOf {
    stack_id: Option<StackId>,
    #[serde(flatten)]
    container: Container,
}

/// Something that is not there any more.
#[derive(Serialize)]
struct Gone {
    id: String,
    stack_id: Option<StackId>,
    gone: bool,
}

/// What is told of these entries, in their order.
async fn told(api: &Api, entries: Vec<Entry>) -> Answer<Vec<Told>> {
    let looked_up = stream::iter(latest_of_each(entries)).map(|entry| event(api, entry)).buffered(LOOKED_UP_AT_ONCE);
    looked_up.try_filter_map(|told| std::future::ready(Ok(told))).try_collect().await
}

/// What an entry is about, as it is now; none when there is nothing to say.
async fn event(api: &Api, entry: Entry) -> Answer<Option<Told>> {
    let stack_id = entry.stack_id.map(StackId::new);
    let written = match entry.kind.as_str() {
        "command" => {
            let Some(seq) = entry.command else { return Ok(None) };
            let found = commands::by_seq(api, &Wanted::seen_by(None), sequence(seq)).await?;
            found.and_then(|command| as_json("command", &command))
        }
        "step" => {
            let (Some(seq), Some(attempt), Some(n)) = (entry.command, entry.attempt, entry.step) else { return Ok(None) };
            let step = steps::one(api, sequence(seq), small(attempt), small(n)).await?;
            step.and_then(|step| as_json("step", &StepOf { command: sequence(seq), attempt: small(attempt), step }))
        }
        "stack" => {
            let Some(id) = entry.stack_id else { return Ok(None) };
            match named::by_id::<Stack>(api, id).await? {
                Some(stack) => as_json("stack", &stack),
                None => machine(api, id).await?,
            }
        }
        "version" => {
            let (Some(stack), Some(version)) = (stack_id, entry.version) else { return Ok(None) };
            versions::find(api, stack, small(version)).await?.and_then(|version| as_json("version", &version))
        }
        "container" => {
            let (Some(host), Some(id)) = (&entry.host, &entry.container) else { return Ok(None) };
            let found = containers::one(api, host, id).await?;
            let left = || gone("container", id.clone(), stack_id);
            found.map_or_else(left, |container| as_json("container", &ContainerOf { stack_id, container }))
        }
        // An engine that was listed again is nobody's news: `GET /hosts` shows it.
        _ => None,
    };
    Ok(written.map(|(kind, data)| Told { n: entry.n, kind, owner: entry.owner, actor: entry.actor, data }))
}

/// A machine, which lies beside the stacks; or that what lay there is gone.
async fn machine(api: &Api, id: Uuid) -> Answer<Option<(&'static str, String)>> {
    if let Some(machine) = named::by_id::<Machine>(api, id).await? {
        return Ok(as_json("machine", &machine));
    }
    let kind = sqlx::query_scalar!("SELECT kind FROM read.stacks WHERE id = $1", id).fetch_optional(&api.database).await?;
    match kind.as_deref() {
        Some("machine") => Ok(as_json("machine", &Gone { id: id.to_string(), stack_id: None, gone: true })),
        Some(_) | None => Ok(gone("stack", id.to_string(), Some(StackId::new(id)))),
    }
}

fn as_json<T: Serialize>(kind: &'static str, data: &T) -> Option<(&'static str, String)> {
    match serde_json::to_string(data) {
        Ok(text) => Some((kind, text)),
        Err(error) => {
            tracing::error!("an event of kind {kind} cannot be written: {error}");
            None
        }
    }
}

fn gone(kind: &'static str, id: String, stack_id: Option<StackId>) -> Option<(&'static str, String)> {
    as_json(kind, &Gone { id, stack_id, gone: true })
}

/// What is about one thing several times is told once, at its last place: it is told as it is now anyway.
fn latest_of_each(entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = HashSet::new();
    let mut latest: Vec<Entry> = entries
        .into_iter()
        .rev()
        .filter(|e| {
            seen.insert((
                e.kind.clone(),
                e.command.filter(|_| e.kind != "stack"),
                e.attempt,
                e.step,
                e.stack_id,
                e.version,
                e.container.clone(),
                e.gone,
            ))
        })
        .collect();
    latest.reverse();
    latest
}

#[cfg(test)]
mod tests {
    use super::{Behind, Entry, KEPT, Place, Recent, Told, latest_of_each};

    const GENERATION: i64 = 1_795_252_894_745;

    fn entry(n: i64, kind: &str, command: Option<i64>, step: Option<i64>) -> Entry {
        Entry {
            n,
            kind: kind.into(),
            command,
            attempt: Some(1),
            step,
            stack_id: None,
            version: None,
            host: None,
            container: None,
            owner: None,
            actor: None,
            gone: false,
        }
    }

    fn told(n: i64, kind: &'static str, owner: &str, actor: &str, length: usize) -> Told {
        Told { n, kind, owner: Some(owner.into()), actor: Some(actor.into()), data: "x".repeat(length) }
    }

    fn at(n: i64) -> Place {
        Place { generation: GENERATION, n }
    }

    /// The number of the next that somebody is told behind a place.
    fn next(recent: &Recent, n: i64, who: Option<&str>) -> Option<i64> {
        match recent.behind(at(n), who) {
            Behind::Told(told) => Some(told.n),
            Behind::Nothing(_) | Behind::Older | Behind::Anew(_) => None,
        }
    }

    #[test]
    fn a_place_is_read_back() {
        assert_eq!(Place::read(&at(7).id()), Some(at(7)));
        for strange in ["", "7", "a-b", "1-", "1-2-3"] {
            assert_eq!(Place::read(strange), None, "{strange}");
        }
    }

    #[test]
    fn what_changed_twice_is_told_once_at_its_last_place() {
        let entries = vec![
            entry(1, "command", Some(4), None),
            entry(2, "step", Some(4), Some(1)),
            entry(3, "step", Some(4), Some(2)),
            entry(4, "step", Some(4), Some(1)),
            entry(5, "command", Some(4), None),
        ];
        let places: Vec<i64> = latest_of_each(entries).iter().map(|entry| entry.n).collect();
        assert_eq!(places, [3, 4, 5]);
    }

    #[test]
    fn everybody_is_told_what_is_his_in_order() {
        let mut recent = Recent::at(at(10));
        recent.take_in(
            vec![told(11, "command", "ada", "bob", 1), told(13, "stack", "ada", "bob", 1), told(14, "stack", "bob", "bob", 1)],
            15,
        );
        assert_eq!(next(&recent, 10, None), Some(11));
        assert_eq!(next(&recent, 11, None), Some(13));
        assert_eq!(next(&recent, 11, Some("ada")), Some(13));
        assert_eq!(next(&recent, 10, Some("bob")), Some(11), "his command, of another's stack");
        assert_eq!(next(&recent, 11, Some("bob")), Some(14), "not the other's stack");
        assert!(matches!(recent.behind(at(14), None), Behind::Nothing(place) if place == at(15)));
        assert!(matches!(recent.behind(at(10), Some("eve")), Behind::Nothing(place) if place == at(15)));
        assert!(matches!(recent.behind(at(20), None), Behind::Nothing(place) if place == at(20)), "who is ahead of what was read waits");
    }

    #[test]
    fn what_is_not_kept_is_read_again_and_another_feed_is_begun_anew() {
        let mut recent = Recent::at(at(10));
        assert!(matches!(recent.behind(at(9), None), Behind::Older));
        recent.take_in((11..=14).map(|n| told(n, "stack", "ada", "ada", KEPT / 2)).collect(), 14);
        assert_eq!(recent.bytes, KEPT / 2 * 2);
        assert!(matches!(recent.behind(at(11), None), Behind::Older));
        assert_eq!(next(&recent, 12, None), Some(13));
        assert!(matches!(recent.behind(Place { generation: 1, n: 12 }, None), Behind::Anew(place) if place == at(14)));
    }
}
