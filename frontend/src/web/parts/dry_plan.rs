//! The plan for files that are not saved yet, in a dialog: what would happen, and who holds a port, before anything is
//! written.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::Plan;
use serde::Serialize;

use super::{Dialog, PlanNotes, ProgressList, Waiting};
use crate::progress::Progress;
use crate::web::http::{self, Fault};

/// What to ask, and where.
pub(crate) struct Question<B> {
    pub(crate) path: String,
    pub(crate) body: B,
}

/// A button that asks for a plan and shows it.
#[component]
pub(crate) fn DryPlan<B: Serialize + 'static>(question: impl Fn() -> Option<Question<B>> + Copy + Send + Sync + 'static) -> impl IntoView {
    let open = RwSignal::new(false);
    let answer = RwSignal::new(None::<Result<Plan, Fault>>);
    let ask = move |_| {
        let Some(Question { path, body }) = question() else { return };
        answer.set(None);
        open.set(true);
        spawn_local(async move {
            let found = http::post::<Plan>(&path, &body, None).await;
            let _ = answer.try_set(Some(found));
        });
    };
    view! {
        <button class="btn" type="button" on:click=ask>"What would happen?"</button>
        <Dialog open title="What an apply of these files would do" wide=true>
            <div class="body">
                {move || match answer.get() {
                    None => view! { <Waiting/> }.into_any(),
                    Some(Err(fault)) => view! { <div class="notice bad" role="alert"><div>{fault.message()}</div></div> }.into_any(),
                    Some(Ok(plan)) => view! { <Shown plan/> }.into_any(),
                }}
            </div>
        </Dialog>
    }
}

#[component]
fn Shown(plan: Plan) -> impl IntoView {
    let progress = Progress::of_plan(&plan);
    view! {
        <p class="quiet">"Nothing is saved and nothing is changed by looking."</p>
        <section class="card">
            <PlanNotes notes=plan.notes.clone()/>
            {if plan.actions.is_empty() && plan.kept.is_empty() {
                view! { <p class="pad quiet">"Nothing to do: what runs is what these files say."</p> }.into_any()
            } else {
                view! { <ProgressList progress=Signal::stored(progress)/> }.into_any()
            }}
        </section>
    }
}
