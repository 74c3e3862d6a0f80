//! The one live connection of this tab: the lists that every page shows, loaded once and then kept current by events.

use std::collections::BTreeMap;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{Command, Host, List, QueueState, Stack};
use orrery_contracts::{Code, StackId};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{EventSource, MessageEvent};

use super::http;
use super::session::session;
use crate::feed::{Follow, Known, Link};

/// The kinds of events that the api sends.
const KINDS: [&str; 8] = ["command", "step", "stack", "container", "version", "machine", "figures", "reset"];

#[derive(Clone, Copy)]
pub(crate) struct Live {
    pub(crate) known: RwSignal<Known>,
    pub(crate) link: RwSignal<Link>,
    pub(crate) queue: RwSignal<Option<QueueState>>,
    pub(crate) hosts: RwSignal<Vec<Host>>,
    /// Whether the lists have been loaded once.
    pub(crate) loaded: RwSignal<bool>,
    /// How often a stack's containers, and its versions, have changed.
    containers: RwSignal<BTreeMap<StackId, u32>>,
    versions: RwSignal<BTreeMap<StackId, u32>>,
    /// Raised whenever machines have newer figures.
    pub(crate) figures: RwSignal<u32>,
    /// Raised whenever boxes may have come or gone.
    pub(crate) boxes: RwSignal<u32>,
    asking: StoredValue<bool>,
}

impl Live {
    /// A number that changes whenever the stack's containers do.
    pub(crate) fn containers_of(self, id: StackId) -> u32 {
        self.containers.with(|ticks| ticks.get(&id).copied().unwrap_or(0))
    }

    /// A number that changes whenever the stack has another version.
    pub(crate) fn versions_of(self, id: StackId) -> u32 {
        self.versions.with(|ticks| ticks.get(&id).copied().unwrap_or(0))
    }

    /// One command, as it is now.
    pub(crate) fn command(self, seq: u64) -> Option<Command> {
        self.known.with(|known| known.commands.get(&seq).cloned())
    }

    /// Takes a command that an answer brought.
    pub(crate) fn learn(self, command: Command) {
        let _ = self.known.try_update(|known| known.command(command));
    }

    fn absorb(self, kind: &str, data: &str) {
        if kind == "figures" {
            return self.figures.update(|tick| *tick = tick.wrapping_add(1));
        }
        let follow = self.known.try_update(|known| known.absorb(kind, data)).unwrap_or_default();
        for next in follow {
            match next {
                Follow::Lists => self.ask_queue(),
                Follow::Containers(id) => self.containers.update(|ticks| *ticks.entry(id).or_default() += 1),
                Follow::Versions(id) => self.versions.update(|ticks| *ticks.entry(id).or_default() += 1),
                Follow::Boxes => self.boxes.update(|tick| *tick = tick.wrapping_add(1)),
                Follow::Reset => {
                    self.boxes.update(|tick| *tick = tick.wrapping_add(1));
                    self.load();
                }
            }
        }
    }

    /// Loads the lists; again and again until they are there, or the person has left.
    pub(crate) fn load(self) {
        spawn_local(async move {
            let stacks = all("/stacks?limit=500", 20).await;
            let machines = all("/machines?limit=500", 20).await;
            let mut commands = all("/commands?limit=100", 1).await.unwrap_or_default();
            commands.extend(all("/commands?status=PENDING,RUNNING,FAILED&limit=500", 4).await.unwrap_or_default());
            let _ = self.known.try_update(|known| {
                if let Ok(stacks) = &stacks {
                    known.stacks = read::<Stack>(stacks).map(|stack| (stack.id, stack)).collect();
                }
                if let Ok(machines) = &machines {
                    known.all_machines(machines.iter().map(|machine| machine.get()));
                }
                for command in read(&commands) {
                    known.command(command);
                }
            });
            self.load_hosts().await;
            let fault = stacks.err().or(machines.err());
            let there = self.loaded.try_set(fault.is_none()).is_none();
            if there && fault.is_some_and(|fault| fault.code() != Some(Code::Unauthenticated)) {
                set_timeout(move || self.load(), Duration::from_secs(2));
            }
            self.ask_queue();
        });
    }

    async fn load_hosts(self) {
        if let Ok(hosts) = all("/hosts", 1).await {
            let _ = self.hosts.try_set(read::<Host>(&hosts).collect());
        }
    }

    /// Whether a command has to wait for one before it.
    pub(crate) fn waits_behind_another(self, seq: u64) -> bool {
        self.queue.with_untracked(|queue| queue.as_ref().and_then(|queue| queue.head.as_ref()).is_some_and(|head| head.seq < seq))
    }

    /// Asks for the state of the queue, soon, and once for many events.
    fn ask_queue(self) {
        if self.asking.try_get_value().unwrap_or(true) {
            return;
        }
        self.asking.set_value(true);
        set_timeout(
            move || {
                let _ = self.asking.try_set_value(false);
                spawn_local(async move {
                    if let Ok(queue) = http::get::<QueueState>("/queue", None).await {
                        if let Some(head) = queue.head.clone() {
                            self.learn(head);
                        }
                        let away = queue.executor_away.is_some()
                            || self
                                .queue
                                .try_with_untracked(|before| before.as_ref().is_some_and(|before| before.executor_away.is_some()))
                                .unwrap_or(false);
                        let _ = self.queue.try_set(Some(queue));
                        if away {
                            self.load_hosts().await;
                        }
                    }
                });
            },
            Duration::from_millis(150),
        );
    }
}

/// All pages of a list, up to so many; each thing as it came, so that one reader of lists serves every kind of thing.
async fn all(path: &str, pages: usize) -> Result<Vec<Box<RawValue>>, http::Fault> {
    let mut items = Vec::new();
    let mut after = String::new();
    for _ in 0..pages {
        let page: List<Box<RawValue>> = http::get(&format!("{path}{after}"), None).await?;
        items.extend(page.items);
        match page.next {
            Some(next) => after = format!("&after={}", crate::route::encode(&next)),
            None => break,
        }
    }
    Ok(items)
}

/// What is in such a list. What cannot be read it passes over, as the events do.
fn read<T: DeserializeOwned>(items: &[Box<RawValue>]) -> impl Iterator<Item = T> {
    items.iter().filter_map(|item| serde_json::from_slice(item.get().as_bytes()).ok())
}

/// Connects, for as long as the person is signed in.
pub(crate) fn provide_live() -> Live {
    let live = Live {
        known: RwSignal::new(Known::default()),
        link: RwSignal::new(Link::Connecting),
        queue: RwSignal::new(None),
        hosts: RwSignal::new(vec![]),
        loaded: RwSignal::new(false),
        containers: RwSignal::new(BTreeMap::new()),
        versions: RwSignal::new(BTreeMap::new()),
        figures: RwSignal::new(0),
        boxes: RwSignal::new(0),
        asking: StoredValue::new(false),
    };
    provide_context(live);
    let source = StoredValue::new_local(None::<EventSource>);
    connect(live, source);
    // Whether an executor is away is told by no event.
    let poll = set_interval_with_handle(move || live.ask_queue(), Duration::from_secs(5)).ok();
    on_cleanup(move || {
        if let Some(Some(source)) = source.try_get_value() {
            source.close();
        }
        if let Some(poll) = poll {
            poll.clear();
        }
    });
    live
}

type Source = StoredValue<Option<EventSource>, LocalStorage>;

fn connect(live: Live, held: Source) {
    let Ok(source) = EventSource::new(&http::api("/events")) else { return };
    for kind in KINDS {
        let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            live.absorb(kind, &event.data().as_string().unwrap_or_default())
        });
        let _ = source.add_event_listener_with_callback(kind, heard.as_ref().unchecked_ref());
        heard.forget();
    }
    let fresh = StoredValue::new(true);
    let opened = Closure::<dyn Fn()>::new(move || {
        let _ = live.link.try_set(Link::Live);
        // A new connection starts from a new snapshot; one that the browser took up again goes on where it was.
        if fresh.try_get_value().unwrap_or(false) {
            fresh.set_value(false);
            live.load();
        }
    });
    source.set_onopen(Some(opened.as_ref().unchecked_ref()));
    opened.forget();
    let session = session();
    let this = source.clone();
    let failed = Closure::<dyn Fn()>::new(move || {
        let Some((link, wait)) = live.link.try_get_untracked().map(Link::failed) else { return };
        let _ = live.link.try_set(link);
        if this.ready_state() == EventSource::CLOSED {
            this.close();
            session.ask();
            set_timeout(move || reconnect(live, held), Duration::from_millis(u64::from(wait.unsigned_abs())));
        }
    });
    source.set_onerror(Some(failed.as_ref().unchecked_ref()));
    failed.forget();
    let _ = held.try_set_value(Some(source));
}

/// Connects again, unless the person has left meanwhile.
fn reconnect(live: Live, held: Source) {
    if held.try_get_value().is_some() {
        connect(live, held);
    }
}

pub(crate) fn live() -> Live {
    expect_context()
}
