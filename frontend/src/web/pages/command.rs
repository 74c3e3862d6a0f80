//! One command: what it is, how it went, its plan with the steps inside, and the logs that were kept.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;
use orrery_contracts::rest::Command;

use crate::progress::Progress;
use crate::route::Route;
use crate::web::live::live;
use crate::web::load::load;
use crate::web::parts::{CommandButtons, CommandWord, FaultNote, PageHead, PlanNotes, ProgressList, Through, Waiting};
use crate::web::{clock, js};
use crate::words;

#[component]
pub(crate) fn CommandPage(id: String) -> impl IntoView {
    let live = live();
    let path = format!("/commands/{}", crate::route::encode(&id));
    let loaded = load::<Command>(move || Some(path.clone()));
    Effect::new(move || {
        if let Some(command) = loaded.get() {
            live.learn(command);
        }
    });
    let command = Memo::new(move |_| loaded.get().map(|command| live.command(command.seq).unwrap_or(command)));
    follow(command, loaded);
    let title = move || command.with(|command| command.as_ref().map_or_else(|| "Command".into(), words::command_phrase));
    view! {
        <PageHead title=Signal::derive(title)>
            {move || command.get().map(|command| view! {
                <CommandWord command=command.clone()/>
                <span class="quiet num">"number " {words::count(command.seq)}</span>
                <div class="push">
                    {command.stack_id.map(|id| view! { <a class="btn" href=Route::stack(id.to_string()).path()>"Open the stack"</a> })}
                    {command.machine_id.map(|id| view! { <a class="btn" href=Route::machine(id.to_string()).path()>"Open the machine"</a> })}
                    {(command.status != CommandStatus::Failed).then(|| view! { <CommandButtons command/> })}
                </div>
            })}
        </PageHead>
        <FaultNote fault=loaded.fault again=move |()| loaded.again()/>
        {move || (command.with(Option::is_none) && loaded.fault.with(Option::is_none)).then(|| view! { <div class="card"><Waiting/></div> })}
        {move || command.get().map(|command| view! { <div class="cols"><CommandBody command=command.clone()/><CommandFacts command/></div> })}
    }
}

/// While it runs, its whole is asked for now and then: steps come as events, the plan comes with the whole.
pub(crate) fn follow(command: Memo<Option<Command>>, loaded: crate::web::load::Loaded<Command>) {
    let open = Memo::new(move |_| {
        command.with(|command| {
            command.as_ref().is_some_and(|command| matches!(command.status, CommandStatus::Pending | CommandStatus::Running))
        })
    });
    let stage = Memo::new(move |_| {
        command.with(|command| command.as_ref().map(|command| (command.status, command.attempt, command.run, command.steps.len())))
    });
    Effect::new(move |before: Option<Option<(CommandStatus, u32, u32, usize)>>| {
        let now = stage.get();
        if before.flatten().is_some_and(|before| now.is_some_and(|now| (now.0, now.1, now.2) != (before.0, before.1, before.2))) {
            loaded.again();
        }
        now
    });
    let poll = set_interval_with_handle(
        move || {
            if open.try_get_untracked().unwrap_or(false) {
                loaded.again();
            }
        },
        std::time::Duration::from_millis(1500),
    )
    .ok();
    on_cleanup(move || {
        if let Some(poll) = poll {
            poll.clear();
        }
    });
}

/// What it did and does.
#[component]
pub(crate) fn CommandBody(command: Command) -> impl IntoView {
    let progress = Progress::of_command(&command);
    let notes = command.plan.as_ref().map(|plan| plan.notes.clone()).unwrap_or_default();
    let empty = progress.rows.is_empty() && progress.others.is_empty();
    let figures = (progress.total > 0).then(|| format!("{} of {}", progress.done, progress.total));
    view! {
        <div class="pile">
            <CommandEnd command=command.clone()/>
            <section class="card">
                <header><h2>{if command.plan.is_some() { "Plan and steps" } else { "Steps" }}</h2><span class="push num">{figures}</span></header>
                <PlanNotes notes/>
                {if empty { view! { <p class="pad quiet">{nothing_done(&command)}</p> }.into_any() } else { view! { <ProgressList progress=Signal::stored(progress)/> }.into_any() }}
            </section>
        </div>
    }
}

fn nothing_done(command: &Command) -> &'static str {
    match command.status {
        CommandStatus::Pending => "It waits for its turn; nothing is done yet.",
        CommandStatus::Running => "It has begun.",
        CommandStatus::Done => "There was nothing to do on the engine.",
        CommandStatus::Failed | CommandStatus::Cancelled => "Nothing was done.",
    }
}

/// Why it ended, or stands, as it does.
#[component]
fn CommandEnd(command: Command) -> impl IntoView {
    let seq = command.seq;
    let act = crate::web::actions::act();
    match (command.status, &command.error) {
        (CommandStatus::Failed, error) => {
            let error = error.clone().map_or_else(|| "It failed.".to_owned(), |error| error.message);
            view! {
                <div class="notice bad" role="alert">
                    <div><b>"It failed, and holds the queue."</b> " " {error}</div>
                    <span class="row">
                        <button class="btn small" disabled=move || act.busy.get() on:click=move |_| act.command(seq, "retry")>"Retry"</button>
                        <button class="btn small bad" disabled=move || act.busy.get() on:click=move |_| act.command(seq, "cancel")>"Cancel it, go on"</button>
                    </span>
                </div>
            }
            .into_any()
        }
        (CommandStatus::Cancelled, _) => {
            let word = if words::rejected(&command) { "It was rejected." } else { "It was cancelled." };
            let why = words::command_reason(&command);
            view! { <div class="notice warn"><div><b>{word}</b> " " {why}</div></div> }.into_any()
        }
        (CommandStatus::Running, _) if command.cancel_requested => {
            view! { <div class="notice"><div>"It was asked to stop, and does so after the step in hand."</div></div> }.into_any()
        }
        (CommandStatus::Pending | CommandStatus::Running | CommandStatus::Done, _) => ().into_any(),
    }
}

#[component]
fn CommandFacts(command: Command) -> impl IntoView {
    let time = |at: orrery_contracts::Time| view! { <span title=js::full_time(at)>{clock::ago(at)}</span> };
    let took = command.started_at.zip(command.ended_at).map(|(from, to)| words::span(to.seconds_since(from)));
    view! {
        <section class="card">
            <header><h2>"Facts"</h2></header>
            <dl class="facts pad">
                <dt>"Number"</dt><dd class="num">{words::count(command.seq)}</dd>
                <dt>"Type"</dt><dd class="mono">{command.r#type.clone().unwrap_or_else(|| "unreadable".into())}</dd>
                <dt>"Target"</dt><dd>{words::command_subject(&command)}</dd>
                <dt>"Who"</dt><dd>{command.actor.clone().unwrap_or_else(|| "–".into())}</dd>
                <dt>"Through"</dt><dd><Through publisher=command.publisher.clone()/></dd>
                <dt>"On failure"</dt><dd>{if command.on_failure == "release" { "release the queue" } else { "hold the queue" }}</dd>
                <dt>"Accepted"</dt><dd>{time(command.created_at)}</dd>
                {command.started_at.map(|at| view! { <dt>"Started"</dt><dd>{time(at)}</dd> })}
                {command.ended_at.map(|at| view! { <dt>"Ended"</dt><dd>{time(at)}</dd> })}
                {took.map(|took| view! { <dt>"Took"</dt><dd class="num">{took}</dd> })}
                {(command.attempt > 1 || command.run > 1).then(|| view! { <dt>"Attempt"</dt><dd class="num">{command.attempt} ", run " {command.run}</dd> })}
                <dt>"Id"</dt><dd class="mono faint">{command.id.clone()}</dd>
            </dl>
        </section>
    }
}
