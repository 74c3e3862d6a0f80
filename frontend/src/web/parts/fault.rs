//! What stands where something should: that it is on its way, or why it is not there.

use leptos::prelude::*;

use crate::web::http::Fault;

/// Why something could not be loaded, with a way to try again.
#[component]
pub(crate) fn FaultNote(fault: RwSignal<Option<Fault>>, #[prop(into)] again: Callback<()>) -> impl IntoView {
    move || {
        fault.get().map(|fault| {
            view! {
                <div class="notice bad" role="alert">
                    <div>{fault.message()}</div>
                    <button class="btn small" on:click=move |_| again.run(())>"Try again"</button>
                </div>
            }
        })
    }
}

/// Grey bars where lines will be.
#[component]
pub(crate) fn Waiting() -> impl IntoView {
    view! {
        <div class="skeletons" role="status" aria-label="Loading">
            <div class="skeleton"></div>
            <div class="skeleton"></div>
            <div class="skeleton"></div>
            <div class="skeleton"></div>
        </div>
    }
}
