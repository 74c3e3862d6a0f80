//! Steps: what was done, how long it took, and the log that was kept of it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::Digest;
use orrery_contracts::rest::Step;

use crate::web::{clock, http};
use crate::words;

#[component]
pub(crate) fn StepList(steps: Vec<Step>) -> impl IntoView {
    (!steps.is_empty()).then(|| view! { <ol class="steps">{steps.into_iter().map(|step| view! { <StepLine step/> }).collect_view()}</ol> })
}

#[component]
fn StepLine(step: Step) -> impl IntoView {
    let failed = step.status == "failed";
    let (mark, class, word) = match step.status.as_str() {
        "running" => ("…", "wait", "running"),
        "done" => ("✓", "ok", "done"),
        "found_done" => ("✓", "ok", "found done"),
        "skipped" => ("–", "", "skipped"),
        _ => ("✗", "bad", "failed"),
    };
    let took = match step.ended_at {
        Some(ended) => words::span(ended.seconds_since(step.started_at)).into_any(),
        None => view! { {clock::since(step.started_at)} }.into_any(),
    };
    let verb = words::action_verb(&step.action).replace('_', " ");
    let detail = (!step.detail.is_empty()).then(|| format!(" · {}", step.detail));
    view! {
        <li>
            <div>
                <span class=format!("mark {class}") role="img" aria-label=word>{mark}</span>
                <span class="mono">{verb}</span>
                " "
                {step.subject.clone()}
                <span class:bad-text=failed>{detail}</span>
                {step.log.clone().map(|log| view! { <KeptLog log open=failed/> })}
            </div>
            <span class="faint num nowrap">{took}</span>
        </li>
    }
}

/// The log of a step: output of a build, the last lines of a container that failed. It stays when the container is gone.
#[component]
pub(crate) fn KeptLog(log: Digest, open: bool) -> impl IntoView {
    let text = RwSignal::new(None::<String>);
    let path = format!("/bundles/{log}");
    let fetch = move || {
        let path = path.clone();
        if text.get_untracked().is_none() {
            spawn_local(async move {
                let read = http::bytes(&path, None).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let _ = text.try_set(Some(read.unwrap_or_else(|fault| fault.message())));
            });
        }
    };
    if open {
        fetch();
    }
    let lines = move || text.get().map(|text| text.lines().map(crate::log_lines::plain).collect::<Vec<_>>().join("\n"));
    view! {
        <details open=open on:toggle=move |_| fetch()>
            <summary class="linkish">"Log"</summary>
            <pre class="keptlog" tabindex="0" aria-label="Log of the step">{move || lines().unwrap_or_else(|| "…".into())}</pre>
        </details>
    }
}
