//! What an apply would do, before anybody applies it; and after "Apply" the same list, live.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{Command, Empty};
use orrery_contracts::{Plan, Severity, Status as CommandStatus, Verb};

use super::this;
use crate::progress::Progress;
use crate::route::StackTab;
use crate::web::actions::act;
use crate::web::http::{self, Fault};
use crate::web::live::live;
use crate::web::load::load;
use crate::web::pages::command::{CommandBody, follow};
use crate::web::parts::{CommandButtons, CommandWord, PlanNotes, ProgressList, Waiting};
use crate::words;

#[component]
pub(super) fn PlanTab(version: u32) -> impl IntoView {
    let this = this();
    // A command that converges this stack right now is shown instead of a plan.
    let running = Memo::new(move |_| this.stack.with(|stack| stack.as_ref().and_then(|stack| stack.command)));
    let live = live();
    let converging = Memo::new(move |_| {
        let seq = running.get()?;
        let command = live.command(seq)?;
        let kind = matches!(command.r#type.as_deref(), Some("stack.apply" | "stack.rollback" | "stack.deploy"));
        (kind && !command.status.has_ended()).then_some(seq)
    });
    let followed = RwSignal::new(None::<u64>);
    Effect::new(move || {
        if let Some(seq) = converging.get() {
            followed.set(Some(seq));
        }
    });
    view! {
        {move || match followed.get() {
            Some(seq) => view! { <LiveCommand seq on_leave=move |()| followed.set(None)/> }.into_any(),
            None => view! { <PlanOf version applied=move |command: Command| followed.set(Some(command.seq))/> }.into_any(),
        }}
    }
}

/// A command of this stack while it runs, and as it ended.
#[component]
pub(super) fn LiveCommand(seq: u64, #[prop(into)] on_leave: Callback<()>) -> impl IntoView {
    let live = live();
    let this = this();
    let loaded = load::<Command>(move || Some(format!("/commands/{seq}")));
    Effect::new(move || {
        if let Some(command) = loaded.get() {
            live.learn(command);
        }
    });
    let command = Memo::new(move |_| live.command(seq).or_else(|| loaded.get()));
    follow(command, loaded);
    let ended = Memo::new(move |_| command.with(|command| command.as_ref().is_some_and(|command| command.status.has_ended())));
    view! {
        <div class="pile">
            {move || command.get().map(|command| view! {
                <div class="row">
                    <h2>{words::command_phrase(&command)}</h2>
                    <CommandWord command=command.clone()/>
                    <span class="faint num">"number " {words::count(command.seq)}</span>
                    <span class="push row">{(command.status != CommandStatus::Failed).then(|| view! { <CommandButtons command/> })}</span>
                </div>
            })}
            {move || match command.get() {
                Some(command) => view! { <CommandBody command/> }.into_any(),
                None => view! { <div class="card"><Waiting/></div> }.into_any(),
            }}
            {move || ended.get().then(|| view! {
                <div class="row">
                    <a class="btn main" href=this.tab(StackTab::Overview)>"See what runs"</a>
                    <button class="btn" on:click=move |_| on_leave.run(())>"Plan again"</button>
                </div>
            })}
        </div>
    }
}

#[component]
fn PlanOf(version: u32, #[prop(into)] applied: Callback<Command>) -> impl IntoView {
    let this = this();
    let plan = RwSignal::new(None::<Result<Plan, Fault>>);
    let ask = move || {
        plan.set(None);
        let key = crate::route::encode(&this.key.get_value());
        spawn_local(async move {
            let answer = http::post::<Plan>(&format!("/stacks/{key}/plan/{version}"), &Empty {}, None).await;
            let _ = plan.try_set(Some(answer));
        });
    };
    ask();
    view! {
        <section class="card" aria-label="Plan">
            <header>
                <h2>"Plan for v" {version}</h2>
                {move || plan.with(|plan| match plan {
                    Some(Ok(plan)) => Some(view! { <span class="quiet">{summary(plan)}</span> }),
                    Some(Err(_)) | None => None,
                })}
                <span class="push">
                    <button class="btn small plain" on:click=move |_| ask()>"Plan again"</button>
                </span>
            </header>
            {move || match plan.get() {
                None => view! { <Waiting/> }.into_any(),
                Some(Err(fault)) => view! { <PlanFault fault/> }.into_any(),
                Some(Ok(plan)) => view! { <PlanShown plan version applied/> }.into_any(),
            }}
        </section>
    }
}

/// `2 to add, 1 to change, 4 stay`.
fn summary(plan: &Plan) -> String {
    let count = |verb: Verb| plan.actions.iter().filter(|action| action.verb() == verb).count();
    let counts =
        [(count(Verb::Add), "to add"), (count(Verb::Change), "to change"), (count(Verb::Remove), "to remove"), (plan.kept.len(), "stay")];
    let parts = counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    parts.collect::<Vec<_>>().join(", ")
}

#[component]
fn PlanShown(plan: Plan, version: u32, applied: Callback<Command>) -> impl IntoView {
    let this = this();
    let act = act();
    let stack = this.stack.get_untracked();
    let back = stack.as_ref().and_then(|stack| stack.current_version).is_some_and(|current| version < current);
    let never = stack.as_ref().is_some_and(|stack| stack.current_version.is_none());
    let (verb, word) = if back { ("rollback", format!("Roll back to v{version}")) } else { ("apply", format!("Apply v{version}")) };
    let id = stack.map(|stack| stack.id);
    let empty = plan.empty;
    let refused = plan.notes.iter().any(|note| note.severity == Severity::Error);
    let go = move |_| {
        if let Some(id) = id {
            act.converge(id, verb, version, move |command| applied.run(command));
        }
    };
    let progress = Progress::of_plan(&plan);
    view! {
        <PlanNotes notes=plan.notes.clone()/>
        {if plan.actions.is_empty() && plan.kept.is_empty() {
            view! { <p class="pad quiet">"Nothing to do: what runs is what the version says."</p> }.into_any()
        } else {
            view! { <ProgressList progress=Signal::stored(progress)/> }.into_any()
        }}
        <footer>
            <span class="quiet">{match (refused, empty, never) {
                (true, _, _) => "As things are, it would be refused: see above.",
                (false, true, _) => "Nothing to do: what runs is what this version says.",
                (false, false, true) => "This is the first time that it runs.",
                (false, false, false) => "What runs now keeps running until what replaces it is well.",
            }}</span>
            <span class="push row">
                <a class="btn" href=this.tab(StackTab::Definition)>"Back to the files"</a>
                <button class=if empty || refused { "btn" } else { "btn main" } aria-busy=move || act.busy.get().then_some("true") on:click=go>{word}</button>
            </span>
        </footer>
    }
}

/// Why there is no plan, with the places in the definition where those are to blame.
#[component]
fn PlanFault(fault: Fault) -> impl IntoView {
    let this = this();
    let errors = match &fault {
        Fault::Problem(problem) => problem.errors.clone(),
        Fault::Unreachable(_) | Fault::Aborted => vec![],
    };
    let located = errors.into_iter().map(|error| {
        let place = error.file.map(|file| format!("{file}:{}", error.line.unwrap_or(1))).unwrap_or_default();
        view! { <li><span class="st bad" aria-hidden="true"></span><span>{error.message} {error.hint.map(|hint| view! { " " <span class="quiet">{hint}</span> })} " " <span class="faint mono">{place}</span></span></li> }
    });
    view! {
        <div class="pad"><div class="notice bad" role="alert"><div><b>"There is no plan."</b> " " {fault.message()}</div></div></div>
        <ul class="notes">{located.collect_view()}</ul>
        <footer><a class="btn" href=this.tab(StackTab::Definition)>"Open the files"</a></footer>
    }
}

/// Whether a command is one that is worth showing on the overview.
pub(super) fn worth_showing(command: &Command) -> bool {
    match command.status {
        CommandStatus::Pending | CommandStatus::Running | CommandStatus::Failed => true,
        CommandStatus::Done | CommandStatus::Cancelled => false,
    }
}
