//! Every command that was about this stack or machine.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{Command, List};

use super::line;
use crate::web::http;
use crate::web::live::live;
use crate::web::load::load;
use crate::web::pages::queue::{EndedTable, OpenTable};
use crate::web::parts::{FaultNote, Waiting};
use crate::web::toasts::toasts;
use crate::words;

#[component]
pub(crate) fn HistoryTab() -> impl IntoView {
    let line = line();
    let live = live();
    let toasts = toasts();
    let id = Memo::new(move |_| line.id());
    let filter = move |id: &str| format!("/commands?{}_id={id}&limit=100", line.of.word());
    let loaded = load::<List<Command>>(move || id.get().map(|id| filter(&id)));
    let older = RwSignal::new(Vec::<Command>::new());
    let next = RwSignal::new(None::<String>);
    Effect::new(move || {
        if let Some(list) = loaded.get() {
            next.set(list.next);
        }
    });
    let all = Memo::new(move |_| {
        let id = id.get();
        let mut all: Vec<Command> = live.known.with(|known| {
            known
                .commands
                .values()
                .filter(|command| words::command_about(command).is_some_and(|about| Some(about) == id))
                .cloned()
                .collect()
        });
        all.extend(loaded.value.with(|list| list.as_ref().map(|list| list.items.clone()).unwrap_or_default()));
        older.with(|older| all.extend(older.iter().cloned()));
        // What is known from events comes first and wins.
        all.sort_by_key(|command| std::cmp::Reverse(command.seq));
        all.dedup_by_key(|command| command.seq);
        all
    });
    let open =
        Memo::new(move |_| all.with(|all| all.iter().rev().filter(|command| !command.status.has_ended()).cloned().collect::<Vec<_>>()));
    let ended = Memo::new(move |_| all.with(|all| all.iter().filter(|command| command.status.has_ended()).cloned().collect::<Vec<_>>()));
    let more = move |_| {
        let (Some(id), Some(after)) = (id.get_untracked(), next.get_untracked()) else { return };
        spawn_local(async move {
            match http::get::<List<Command>>(&format!("{}&after={}", filter(&id), crate::route::encode(&after)), None).await {
                Ok(list) => {
                    let _ = older.try_update(|older| older.extend(list.items));
                    let _ = next.try_set(list.next);
                }
                Err(fault) => toasts.fault(&fault),
            }
        });
    };
    view! {
        <div class="pile">
            <FaultNote fault=loaded.fault again=move |()| loaded.again()/>
            {move || (!open.with(Vec::is_empty)).then(|| view! { <section class="card"><header><h2>"Not ended yet"</h2></header><OpenTable commands=open/></section> })}
            <section class="card">
                <header><h2>"What happened"</h2><span class="push">"newest first"</span></header>
                {move || match (loaded.value.with(Option::is_none) && all.with(Vec::is_empty), ended.with(Vec::is_empty)) {
                    (true, _) => view! { <Waiting/> }.into_any(),
                    (false, true) => view! { <p class="pad quiet">"Nothing has ended yet."</p> }.into_any(),
                    (false, false) => view! { <EndedTable commands=ended/> }.into_any(),
                }}
                {move || next.get().map(|_| view! { <footer><button class="btn small" on:click=more>"Older ones"</button></footer> })}
            </section>
        </div>
    }
}
