//! The tile of the machines.

use leptos::prelude::*;
use orrery_contracts::MachineStatus;

use crate::feed::Known;
use crate::web::live::live;
use crate::web::parts::Status;
use crate::words::Tone;

/// How many machines there are.
#[component]
pub(crate) fn MachinesTile() -> impl IntoView {
    let live = live();
    let machines = Memo::new(move |_| {
        let all = live.known.with(Known::glances);
        (all.len(), all.iter().filter(|one| runs(one.status)).count())
    });
    let tone = move || if machines.get().1 > 0 { Tone::Ok } else { Tone::Off };
    view! {
        <a class="card tile" href="/machines">
            <span class="quiet">"Machines"</span>
            <div class="big">{move || machines.get().0}</div>
            <Status tone=Signal::derive(tone) word=Signal::derive(move || format!("{} running", machines.get().1))/>
        </a>
    }
}

/// Whether a guest is there, and does what it is for.
const fn runs(status: MachineStatus) -> bool {
    matches!(status, MachineStatus::Running | MachineStatus::Drifted)
}
