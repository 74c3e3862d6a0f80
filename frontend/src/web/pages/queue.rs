//! The queue: now and next in the one order, and what came before.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::Status as CommandStatus;
use orrery_contracts::rest::{Command, List};

use crate::progress::Progress;
use crate::web::live::live;
use crate::web::parts::{CommandButtons, CommandName, CommandWord, PageHead, ProgressList, Through};
use crate::web::toasts::toasts;
use crate::web::{clock, http, js};
use crate::words;

#[component]
pub(crate) fn QueuePage() -> impl IntoView {
    view! {
        <PageHead title="Queue"><span class="quiet">"one order for everything that changes something"</span></PageHead>
        <div class="pile"><NowAndNext/><Before/></div>
    }
}

#[component]
fn NowAndNext() -> impl IntoView {
    let live = live();
    let open = Memo::new(move |_| live.known.with(|known| known.open().cloned().collect::<Vec<_>>()));
    view! {
        <section class="card">
            <header><h2>"Now and next"</h2><span class="push num">{move || words::plural(open.with(Vec::len), "command", "commands")}</span></header>
            {move || if open.with(Vec::is_empty) {
                view! { <p class="pad quiet">"Nothing waits and nothing runs. What you do next starts at once."</p> }.into_any()
            } else {
                view! { <OpenTable commands=open/> }.into_any()
            }}
        </section>
    }
}

/// Commands that have not ended, in the order in which they are executed.
#[component]
pub(crate) fn OpenTable(#[prop(into)] commands: Signal<Vec<Command>>) -> impl IntoView {
    let live = live();
    // Each waits for the one before it in the whole queue, not only in this list.
    let rows = move || {
        let before = |seq: u64| live.known.with(|known| known.open().map(|command| command.seq).take_while(|other| *other < seq).last());
        commands
            .get()
            .into_iter()
            .map(|command| {
                let ahead = before(command.seq);
                (command, ahead)
            })
            .collect::<Vec<_>>()
    };
    let key = |(command, ahead): &(Command, Option<u64>)| {
        (
            command.seq,
            command.status,
            command.attempt,
            command.run,
            command.cancel_requested,
            command.steps.len(),
            ended(command),
            command.plan.is_some(),
            *ahead,
        )
    };
    view! {
        <div class="scroll"><table class="cards">
            <thead><tr><th>"#"</th><th>"Command"</th><th>"State"</th><th class="mid">"Who"</th><th class="wide">"Through"</th><th class="mid">"Since"</th><th class="end"><span class="seen-by-ear">"Ways out"</span></th></tr></thead>
            <tbody>
                <For each=rows key=key let((command, ahead))><OpenRow command ahead/></For>
            </tbody>
        </table></div>
    }
}

fn ended(command: &Command) -> usize {
    command.steps.iter().filter(|step| step.ended_at.is_some()).count()
}

#[component]
fn OpenRow(command: Command, ahead: Option<u64>) -> impl IntoView {
    let running = command.status == CommandStatus::Running;
    let progress =
        running.then(|| Progress::of_command(&command)).filter(|progress| !progress.rows.is_empty() || !progress.others.is_empty());
    let error = command.error.as_ref().filter(|_| command.status == CommandStatus::Failed).map(|error| error.message.clone());
    let since = command.started_at.filter(|_| running).unwrap_or(command.created_at);
    view! {
        <tr>
            <td class="num faint">{words::count(command.seq)}</td>
            <td class="grow"><CommandName command=command.clone()/>{(command.attempt > 1).then(|| view! { " " <span class="tag">"attempt " {command.attempt}</span> })}</td>
            <td><CommandWord command=command.clone() before=ahead/>{error.map(|error| view! { " " <span class="quiet">{words::shorten(&error, 160)}</span> })}</td>
            <td class="mid">{command.actor.clone().map_or_else(|| view! { <span class="quiet">"–"</span> }.into_any(), |actor| actor.into_any())}</td>
            <td class="wide"><Through publisher=command.publisher.clone()/></td>
            <td class="num nowrap mid">{clock::since(since)}</td>
            <td class="end"><CommandButtons command=command.clone()/></td>
        </tr>
        {progress.map(|progress| view! { <tr class="inset"><td colspan="7"><ProgressList progress=Signal::stored(progress)/></td></tr> })}
    }
}

#[component]
fn Before() -> impl IntoView {
    let live = live();
    let toasts = toasts();
    let older = RwSignal::new(Vec::<Command>::new());
    let more = RwSignal::new(true);
    let busy = RwSignal::new(false);
    let ended = Memo::new(move |_| {
        let mut all: Vec<Command> = live.known.with(|known| known.ended().cloned().collect());
        older.with(|older| all.extend(older.iter().filter(|command| command.status.has_ended()).cloned()));
        all.sort_by_key(|command| std::cmp::Reverse(command.seq));
        all.dedup_by_key(|command| command.seq);
        all
    });
    let load = move |_| {
        let Some(last) = ended.with_untracked(|ended| ended.last().map(|command| command.seq)) else { return };
        busy.set(true);
        spawn_local(async move {
            match http::get::<List<Command>>(&format!("/commands?limit=100&after={last}"), None).await {
                Ok(page) => {
                    let _ = more.try_set(page.next.is_some());
                    let _ = older.try_update(|older| older.extend(page.items));
                }
                Err(fault) => toasts.fault(&fault),
            }
            let _ = busy.try_set(false);
        });
    };
    view! {
        <section class="card">
            <header><h2>"Before"</h2><span class="push">"newest first"</span></header>
            {move || if ended.with(Vec::is_empty) {
                view! { <p class="pad quiet">"Nothing has gone through yet."</p> }.into_any()
            } else {
                view! {
                    <EndedTable commands=ended/>
                    {move || (more.get() && ended.with(Vec::len) >= 100).then(|| view! {
                        <footer><button class="btn small" aria-busy=move || busy.get().then_some("true") on:click=load>"Older ones"</button></footer>
                    })}
                }.into_any()
            }}
        </section>
    }
}

/// Commands that have ended, as a table.
#[component]
pub(crate) fn EndedTable(#[prop(into)] commands: Signal<Vec<Command>>) -> impl IntoView {
    view! {
        <div class="scroll"><table class="cards">
            <thead><tr><th>"#"</th><th>"Command"</th><th>"End"</th><th class="mid">"Who"</th><th class="wide">"Through"</th><th class="wide">"Took"</th><th>"When"</th></tr></thead>
            <tbody>
                <For each=move || commands.get() key=|command| (command.seq, command.status, command.reason.clone()) let:command><EndedRow command/></For>
            </tbody>
        </table></div>
    }
}

#[component]
fn EndedRow(command: Command) -> impl IntoView {
    let took = command.started_at.zip(command.ended_at).map(|(from, to)| words::span(to.seconds_since(from)));
    let when = command.ended_at.unwrap_or(command.created_at);
    let why = words::command_reason(&command).filter(|_| command.status != CommandStatus::Done);
    view! {
        <tr>
            <td class="num faint">{words::count(command.seq)}</td>
            <td class="grow"><CommandName command=command.clone()/></td>
            <td><CommandWord command=command.clone()/>{why.map(|why| view! { " " <span class="faint">{words::shorten(&why, 110)}</span> })}</td>
            <td class="mid">{command.actor.clone().map_or_else(|| view! { <span class="quiet">"–"</span> }.into_any(), |actor| actor.into_any())}</td>
            <td class="wide"><Through publisher=command.publisher.clone()/></td>
            <td class="num wide nowrap">{took.unwrap_or_else(|| "–".into())}</td>
            <td class="faint num nowrap" title=js::full_time(when)>{clock::ago(when)}</td>
        </tr>
    }
}
