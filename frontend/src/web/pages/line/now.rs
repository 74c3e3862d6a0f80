//! What is being done to a stack or machine, and what a person would do next.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;
use orrery_contracts::rest::Command;

use super::line;
use crate::progress::Progress;
use crate::route::{Route, Tab};
use crate::web::clock;
use crate::web::live::live;
use crate::web::load::load;
use crate::web::pages::command::follow;
use crate::web::parts::{CommandButtons, CommandName, CommandWord, ProgressList};
use crate::words;

/// The command that changes it now, waits to, or failed.
#[component]
pub(crate) fn Now(seq: u64) -> impl IntoView {
    let live = live();
    let loaded = load::<Command>(move || Some(format!("/commands/{seq}")));
    Effect::new(move || {
        if let Some(command) = loaded.get() {
            live.learn(command);
        }
    });
    let command = Memo::new(move |_| live.command(seq).or_else(|| loaded.get()));
    follow(command, loaded);
    move || {
        command.get().filter(worth_showing).map(|command| {
            let progress = Progress::of_command(&command);
            let who = command.actor.clone().unwrap_or_else(|| command.publisher.clone());
            let error = command.error.as_ref().map(|error| error.message.clone());
            let path = Route::Command(seq.to_string()).path();
            let any = !progress.rows.is_empty() || !progress.others.is_empty();
            view! {
                <section class="card" aria-label="What is being done">
                    <header>
                        <h2><CommandName command=command.clone()/></h2>
                        <CommandWord command=command.clone()/>
                        <span class="quiet">"by " {who} ", " {clock::ago(command.started_at.unwrap_or(command.created_at))} " · " <a href=path>"command " {words::count(seq)}</a></span>
                        <span class="push"><CommandButtons command/></span>
                    </header>
                    {error.map(|error| view! { <p class="pad bad-text">{error}</p> })}
                    {any.then(|| view! { <ProgressList progress=Signal::stored(progress)/> })}
                </section>
            }
        })
    }
}

/// Whether a command is one that is worth showing on the overview.
fn worth_showing(command: &Command) -> bool {
    match command.status {
        CommandStatus::Pending | CommandStatus::Running | CommandStatus::Failed => true,
        CommandStatus::Done | CommandStatus::Cancelled => false,
    }
}

/// What to do with one that does not run its newest version. `calm` says whether nothing else comes first.
#[component]
pub(crate) fn Next(#[prop(into)] calm: Signal<bool>) -> impl IntoView {
    let line = line();
    move || {
        let head = line.head.get().filter(|_| calm.get())?;
        let newer = head.latest > 0 && head.current.is_none_or(|current| current < head.latest);
        newer.then(|| {
            let words = match head.current {
                None => format!("This {} has not been applied yet: nothing of it runs.", line.of.word()),
                Some(current) => format!("v{} is saved and not applied; v{current} runs.", head.latest),
            };
            view! {
                <div class="notice">
                    <div>{words}</div>
                    <a class="btn small" href=line.tab(Tab::Plan(head.latest))>"See the plan for v" {head.latest}</a>
                </div>
            }
        })
    }
}
