//! What an apply would do, before anybody applies it; and after "Apply" the same list, live.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{Command, PlanRequest};
use orrery_contracts::{Plan, Severity, Verb};

use super::{Line, LiveCommand, followed, line};
use crate::progress::Progress;
use crate::route::{Of, Tab};
use crate::web::actions::act;
use crate::web::http::{self, Fault};
use crate::web::parts::{PlanNotes, ProgressList, Waiting};

#[component]
pub(crate) fn PlanTab(version: u32) -> impl IntoView {
    let followed = followed(line());
    view! {
        {move || match followed.get() {
            Some(seq) => view! { <LiveCommand seq on_leave=move |()| followed.set(None)/> }.into_any(),
            None => view! { <PlanOf version applied=move |command: Command| followed.set(Some(command.seq))/> }.into_any(),
        }}
    }
}

#[component]
fn PlanOf(version: u32, #[prop(into)] applied: Callback<Command>) -> impl IntoView {
    let line = line();
    let plan = RwSignal::new(None::<Result<Plan, Fault>>);
    let ask = move || {
        plan.set(None);
        let path = format!("{}/plan/{version}", line.api());
        let asked = PlanRequest { rollback: untrack(|| goes_back(line, version)) };
        spawn_local(async move {
            let answer = http::post::<Plan>(&path, &asked, None).await;
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

/// Whether what runs is newer.
fn goes_back(line: Line, version: u32) -> bool {
    line.current().is_some_and(|current| version < current)
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
    let line = line();
    let act = act();
    let current = untrack(|| line.current());
    let back = untrack(|| goes_back(line, version));
    let (verb, word) = if back { ("rollback", format!("Roll back to v{version}")) } else { ("apply", format!("Apply v{version}")) };
    let empty = plan.empty;
    let refused = plan.notes.iter().any(|note| note.severity == Severity::Error);
    let go = move |_| {
        if let Some(id) = untrack(|| line.id()) {
            act.converge(line.of, &id, verb, version, move |command| {
                // The event may have come before the answer, and shown the command already.
                applied.try_run(command);
            });
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
            <span class="quiet">{match (refused, empty, current, line.of) {
                (true, ..) => "As things are, it would be refused: see above.",
                (false, true, ..) => "Nothing to do: what runs is what this version says.",
                (false, false, None, _) => "This is the first time that it runs.",
                (false, false, Some(_), Of::Stack) => "What runs now keeps running until what replaces it is well.",
                (false, false, Some(_), Of::Machine) => "When it fails, what ran before is put back.",
            }}</span>
            <span class="push row">
                <a class="btn" href=line.tab(Tab::Definition)>"Back to the files"</a>
                <button class=if empty || refused { "btn" } else { "btn main" } aria-busy=move || act.busy.get().then_some("true") on:click=go>{word}</button>
            </span>
        </footer>
    }
}

/// Why there is no plan, with the places in the definition where those are to blame.
#[component]
fn PlanFault(fault: Fault) -> impl IntoView {
    let line = line();
    let errors = match &fault {
        Fault::Problem(problem) => problem.errors.clone(),
        Fault::Unreachable(_) | Fault::Aborted => vec![],
    };
    let located = errors.into_iter().map(|error| {
        // What a host cannot give has no line, but a path.
        let place = error.file.map_or(error.path, |file| format!("{file}:{}", error.line.unwrap_or(1)));
        view! { <li><span class="st bad" aria-hidden="true"></span><span>{error.message} {error.hint.map(|hint| view! { " " <span class="quiet">{hint}</span> })} " " <span class="faint mono">{place}</span></span></li> }
    });
    view! {
        <div class="pad"><div class="notice bad" role="alert"><div><b>"There is no plan."</b> " " {fault.message()}</div></div></div>
        <ul class="notes">{located.collect_view()}</ul>
        <footer><a class="btn" href=line.tab(Tab::Definition)>"Open the files"</a></footer>
    }
}
