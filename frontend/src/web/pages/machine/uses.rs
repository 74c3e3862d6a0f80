//! What the machine uses: four small charts of the last quarter of an hour. They are fetched again when the api says that there
//! is more, and when the page is looked at again.

use leptos::prelude::*;
use orrery_contracts::DomainState;
use orrery_contracts::figures::{MachineFigures, SAMPLE_SECONDS};

use super::this;
use crate::chart::{Now, charts};
use crate::web::clock::clock;
use crate::web::js::document;
use crate::web::live::live;
use crate::web::load::{Loaded, load};
use crate::web::parts::{Charts, FaultNote, Waiting};

/// After so many seconds without a word nobody knows what is now.
const SILENCE: f64 = 4.0 * SAMPLE_SECONDS as f64;

#[component]
pub(super) fn Uses() -> impl IntoView {
    let this = this();
    let id = Memo::new(move |_| this.machine.with(|machine| machine.as_ref().map(|machine| machine.id)));
    let runs = Memo::new(move |_| this.machine.with(|machine| machine.as_ref().is_some_and(|machine| machine.state.is_some_and(is_up))));
    let loaded = load::<MachineFigures>(move || id.get().map(|id| format!("/machines/{id}/figures")));
    keep_current(loaded, runs);
    let clock = clock();
    let heard = Memo::new(move |_| {
        loaded.value.track();
        clock.second.get_untracked()
    });
    let silent = Memo::new(move |_| clock.slow.get().zip(heard.get()).is_some_and(|(now, heard)| now.seconds_since(heard) > SILENCE));
    let now = Memo::new(move |_| match (runs.get(), silent.get()) {
        (false, _) => Now::Off,
        (true, false) => Now::Told,
        (true, true) => Now::Silent,
    });
    view! {
        <section class="card" aria-label="What it uses">
            <header><h2>"What it uses"</h2><span class="push">"the last quarter of an hour"</span></header>
            <FaultNote fault=loaded.fault again=move |()| loaded.again()/>
            {move || match loaded.get() {
                None => view! { <Waiting/> }.into_any(),
                Some(figures) => match charts(&figures, now.get()) {
                    Some(charts) => view! { <Charts charts/> }.into_any(),
                    None if runs.get() => view! { <p class="pad quiet">"No figures yet: the first come some seconds after its start."</p> }.into_any(),
                    None => view! { <p class="pad quiet">"It is off, and uses nothing."</p> }.into_any(),
                },
            }}
        </section>
    }
}

const fn is_up(state: DomainState) -> bool {
    match state {
        DomainState::Running | DomainState::Paused | DomainState::ShuttingDown | DomainState::Asleep => true,
        DomainState::Off | DomainState::Crashed => false,
    }
}

/// Fetches again when something has come or the machine has started or ended, while the page is looked at.
fn keep_current(loaded: Loaded<MachineFigures>, runs: Memo<bool>) {
    let live = live();
    let again = move || {
        if !document().hidden() {
            loaded.again();
        }
    };
    Effect::new(move |before: Option<()>| {
        live.figures.track();
        runs.track();
        if before.is_some() {
            again();
        }
    });
    let looked_at = window_event_listener_untyped("visibilitychange", move |_| again());
    on_cleanup(move || looked_at.remove());
}
