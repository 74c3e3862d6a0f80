//! The overview: what is being done, what runs, its shape, and the versions at the side.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::StackStatus;

use super::secrets::SecretsCard;
use super::services::{ServiceTable, rows, tones};
use super::{This, this};
use crate::check::Check;
use crate::route::Of;
use crate::web::actions::bundle;
use crate::web::js;
use crate::web::pages::line::{Next, Now, VersionRail};
use crate::web::parts::OrbitPicture;

#[component]
pub(super) fn Overview() -> impl IntoView {
    let this = this();
    let found = definition(this);
    let services = Memo::new(move |_| {
        let containers = this.detail.value.with(|detail| detail.as_ref().map(|detail| detail.containers.clone()).unwrap_or_default());
        found.with(|found| rows(&found.services, &containers))
    });
    let bodies = Memo::new(move |_| found.with(|found| found.services.clone()));
    let tones = Memo::new(move |_| services.with(|services| tones(services)));
    let command = Memo::new(move |_| this.stack.with(|stack| stack.as_ref().and_then(|stack| stack.command)));
    let calm = Signal::derive(move || {
        this.stack.with(|stack| {
            stack.as_ref().is_some_and(|stack| match stack.status {
                StackStatus::Created | StackStatus::Running | StackStatus::Degraded | StackStatus::Drifted | StackStatus::Stopped => true,
                StackStatus::Deploying | StackStatus::Failed | StackStatus::Deleting => false,
            })
        })
    });
    view! {
        <div class="cols">
            <div class="pile">
                {move || command.get().map(|seq| view! { <Now seq/> })}
                <Next calm/>
                <ServiceTable rows=services/>
                <SecretsCard/>
            </div>
            <aside class="pile" aria-label="Versions and shape">
                <VersionRail/>
                {move || (!bodies.with(Vec::is_empty)).then(|| view! {
                    <section class="card"><header><h2>"Shape"</h2></header><div class="pad"><OrbitPicture bodies tones/></div></section>
                })}
            </aside>
        </div>
    }
}

/// What the version that runs says, or the newest one where none runs: read by the executor's own code.
fn definition(this: This) -> RwSignal<Check> {
    let found = RwSignal::new(Check::default());
    let wanted = Memo::new(move |_| {
        let stack = this.stack.get()?;
        let number = stack.current_version.unwrap_or(stack.latest_version);
        this.version(number).map(|version| (version.digest, stack.project))
    });
    Effect::new(move || {
        let Some((digest, project)) = wanted.get() else { return };
        spawn_local(async move {
            let Ok(bundle) = bundle(&digest).await else { return };
            if let Ok(told) = js::check(Of::Stack, &bundle, &project).await {
                let _ = found.try_set(told);
            }
        });
    });
    found
}
