//! The one thing that may shout: the queue stands because a command failed, or because the executor that it waits for is
//! away. With what went wrong, who asked for it, when, and both ways out.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;
use orrery_contracts::rest::Command;

use crate::route::Route;
use crate::web::actions::act;
use crate::web::clock;
use crate::web::later::{Later, later};
use crate::web::live::live;
use crate::words;

/// The place of the banner. What is in it comes with the second module: it is seldom needed.
#[component]
pub(super) fn HeldPlace() -> impl IntoView {
    let live = live();
    let stands = Memo::new(move |_| {
        let head = live.known.with(|known| known.open().next().map(|head| head.status));
        let away = live.queue.with(|queue| queue.as_ref().is_some_and(|queue| queue.executor_away.is_some()));
        head == Some(CommandStatus::Failed) || head.is_some() && away
    });
    move || stands.get().then(|| later(|| Later::Held))
}

#[component]
pub(crate) fn HeldBanner() -> impl IntoView {
    let live = live();
    let head = Memo::new(move |_| live.known.with(|known| known.open().next().cloned()));
    let waiting = Memo::new(move |_| live.known.with(|known| known.open().count().saturating_sub(1)));
    let away = Memo::new(move |_| live.queue.with(|queue| queue.as_ref().and_then(|queue| queue.executor_away.clone())));
    move || {
        let head = head.get()?;
        match (head.status, away.get()) {
            (CommandStatus::Failed, _) => Some(view! { <Held head waiting=waiting.get()/> }.into_any()),
            (_, Some(engine)) => Some(view! { <Away head engine waiting=waiting.get()/> }.into_any()),
            (_, None) => None,
        }
    }
}

fn behind(waiting: usize) -> String {
    match waiting {
        0 => "Nothing waits behind it.".into(),
        1 => "1 command waits behind it.".into(),
        n => format!("{} commands wait behind it.", words::count(n as u64)),
    }
}

#[component]
fn Held(head: Command, waiting: usize) -> impl IntoView {
    let act = act();
    let seq = head.seq;
    let path = Route::Command(seq.to_string()).path();
    let error = head.error.as_ref().map(|error| error.message.clone()).unwrap_or_else(|| "it failed".into());
    let who = head.actor.clone().unwrap_or_else(|| head.publisher.clone());
    let when = head.steps.iter().filter_map(|step| step.ended_at).max().or(head.started_at).unwrap_or(head.created_at);
    let keeps = matches!(head.r#type.as_deref(), Some("stack.apply" | "stack.rollback" | "stack.deploy"))
        .then_some(" What ran before it still runs.");
    view! {
        <div class="heldbar" role="alert">
            <span class="st bad" aria-hidden="true"></span>
            <div>
                <strong>"The queue is held"</strong>
                " by "
                <a href=path.clone()><b>{words::command_phrase(&head)}</b></a>
                ": " {error} " "
                <span class="quiet">{who} ", " {clock::ago(when)} "." {keeps} " " {behind(waiting)}</span>
            </div>
            <span class="row">
                <a class="btn small" href=path>"Show what happened"</a>
                <button class="btn small" disabled=move || act.busy.get() on:click=move |_| act.command(seq, "retry")>"Retry"</button>
                <button class="btn small bad" disabled=move || act.busy.get() on:click=move |_| act.command(seq, "cancel")>"Cancel it, go on"</button>
            </span>
        </div>
    }
}

#[component]
fn Away(head: Command, engine: String, waiting: usize) -> impl IntoView {
    let act = act();
    let live = live();
    let seq = head.seq;
    let why = move || {
        live.hosts
            .with(|hosts| hosts.iter().find(|host| host.engine == engine).and_then(|host| host.waiting_for.clone()))
            .map(|why| format!(" It says: {why}."))
            .unwrap_or_default()
    };
    let cancel = head.status == CommandStatus::Pending;
    view! {
        <div class="heldbar warn" role="alert">
            <span class="st warn" aria-hidden="true"></span>
            <div>
                <strong>"The queue waits for an executor that is away"</strong>
                ": "
                <a href=Route::Command(seq.to_string()).path()><b>{words::command_phrase(&head)}</b></a>
                " is next, and nobody is there to do it." {why} " "
                <span class="quiet">"It goes on by itself when the executor is back. " {behind(waiting)}</span>
            </div>
            <span class="row">
                {cancel.then(|| view! { <button class="btn small bad" disabled=move || act.busy.get() on:click=move |_| act.command(seq, "cancel")>"Cancel it"</button> })}
            </span>
        </div>
    }
}
