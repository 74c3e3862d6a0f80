//! What a stack and a machine have in common: a line of versions, of which one was applied last, a draft of the next one, and
//! what the queue did to them. The tabs that show these serve both.

mod definition;
mod history;
mod live_command;
mod new_one;
mod now;
mod plan;
mod versions;

pub(crate) use definition::Definition;
pub(crate) use history::HistoryTab;
pub(crate) use live_command::{LiveCommand, followed};
pub(crate) use new_one::{NewOne, Write};
pub(crate) use now::{Next, Now};
pub(crate) use plan::PlanTab;
pub(crate) use versions::{VersionRail, VersionsTab};

use leptos::prelude::*;
use orrery_contracts::rest::{List, Version};

use crate::draft::Draft;
use crate::route::{Of, Tab};
use crate::web::load::{Loaded, load};
use crate::web::nav::nav;
use crate::web::storage;

/// What is known of the stack or machine itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) id: String,
    /// What names of its parts on the engine begin with.
    pub(crate) project: String,
    /// The version that was applied last and ended well.
    pub(crate) current: Option<u32>,
    /// The newest version; 0 while its creation waits.
    pub(crate) latest: u32,
    /// The command that changes it now, waits to, or failed.
    pub(crate) command: Option<u64>,
}

/// What the tabs share.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(crate) of: Of,
    /// The stack or machine as the address names it.
    pub(crate) key: StoredValue<String>,
    pub(crate) head: Memo<Option<Head>>,
    pub(crate) versions: Loaded<List<Version>>,
    /// Whether there is work on its definition that is not saved.
    pub(crate) unsaved: RwSignal<usize>,
    /// Asks for the stack or machine itself again.
    pub(crate) again: Callback<()>,
}

impl Line {
    /// Begins to load the versions, and keeps them current: `moved` changes whenever there may be another one.
    pub(crate) fn new(
        of: Of,
        key: &str,
        head: Memo<Option<Head>>,
        again: Callback<()>,
        moved: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Self {
        let path = format!("/{}/{}/versions?limit=500", of.folder(), crate::route::encode(key));
        let versions = load::<List<Version>>(move || Some(path.clone()));
        let line = Self { of, key: StoredValue::new(key.to_owned()), head, versions, unsaved: RwSignal::new(0), again };
        // The draft lies under the id, whatever the thing was called in the address.
        let known = Memo::new(move |_| head.with(|head| head.as_ref().map(|head| head.id.clone())));
        Effect::new(move || {
            let stored = known.get().and_then(|id| storage::read(&storage::draft_key(&id)));
            if stored.is_some_and(|stored| Draft::stored_base(&stored).is_some()) && line.unsaved.get_untracked() == 0 {
                line.unsaved.set(1);
            }
        });
        Effect::new(move |before: Option<Option<(u32, u32)>>| {
            let now = head.with(|head| head.as_ref().map(|head| head.latest)).map(|latest| (moved(), latest));
            if before.is_some_and(|before| before.is_some() && before != now) {
                versions.again();
            }
            now
        });
        line
    }

    /// The address of another tab.
    pub(crate) fn tab(self, tab: Tab) -> String {
        self.of.route(self.key.get_value(), tab).path()
    }

    /// Where it lies in the api.
    pub(crate) fn api(self) -> String {
        format!("/{}/{}", self.of.folder(), crate::route::encode(&self.key.get_value()))
    }

    pub(crate) fn version(self, number: u32) -> Option<Version> {
        self.versions.value.with(|list| list.as_ref().and_then(|list| list.items.iter().find(|version| version.version == number).cloned()))
    }

    pub(crate) fn id(self) -> Option<String> {
        self.head.with(|head| head.as_ref().map(|head| head.id.clone()))
    }

    pub(crate) fn current(self) -> Option<u32> {
        self.head.with(|head| head.as_ref().and_then(|head| head.current))
    }
}

pub(crate) fn line() -> Line {
    expect_context()
}

/// The tab of this line that the address names; while it names another page, the one before.
pub(crate) fn tab_here(line: Line) -> Memo<Tab> {
    let nav = nav();
    Memo::new(move |before: Option<&Tab>| {
        let here = nav
            .route
            .with(|route| route.part().filter(|(of, id, _)| *of == line.of && **id == line.key.get_value()).map(|(_, _, tab)| tab.clone()));
        here.or_else(|| before.cloned()).unwrap_or(Tab::Overview)
    })
}

/// The tabs, as links; each with its address and its word.
#[component]
pub(crate) fn LineTabs(
    /// The tabs beside those that every line has, with their words.
    #[prop(into)]
    more: Signal<Vec<(&'static str, Tab)>>,
) -> impl IntoView {
    let line = line();
    let current = tab_here(line);
    let latest = move || line.head.with(|head| head.as_ref().map_or(1, |head| head.latest.max(1)));
    let tab = move |word: &'static str, to: Tab| {
        let here = {
            let to = to.clone();
            move || current.with(|current| current.same_tab(&to)).then_some("page")
        };
        view! { <a href=line.tab(to) aria-current=here>{word}</a> }
    };
    let plan_here = move || current.with(|current| matches!(current, Tab::Plan(_))).then_some("page");
    let definition_here = move || current.with(|current| matches!(current, Tab::Definition)).then_some("page");
    view! {
        <nav class="tabs" aria-label=format!("Parts of this {}", line.of.word())>
            {tab("Overview", Tab::Overview)}
            <a href=line.tab(Tab::Definition) aria-current=definition_here>
                "Definition" {move || (line.unsaved.get() > 0).then(|| view! { <span class="tag warn">"draft"</span> })}
            </a>
            <a href=move || line.tab(Tab::Plan(latest())) aria-current=plan_here>"Plan"</a>
            {tab("Versions", Tab::Versions(None))}
            {move || more.get().into_iter().map(|(word, to)| tab(word, to)).collect_view()}
            {tab("History", Tab::History)}
        </nav>
    }
}
