//! All machines: a dense list that stays smooth with a thousand of them, filtered as one types; and the boxes beside it.

use leptos::prelude::*;
use orrery_contracts::rest::Machine;

use crate::route::Route;
use crate::web::clock;
use crate::web::live::live;
use crate::web::parts::{Mark, PageHead, Sight, Status, Waiting};
use crate::words;

#[component]
pub(crate) fn MachinesPage() -> impl IntoView {
    let live = live();
    let filter = RwSignal::new(String::new());
    let all = Memo::new(move |_| live.known.with(|known| known.machines_by_name()));
    let shown = Memo::new(move |_| {
        let words: Vec<String> = filter.get().to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |machine: &Machine| {
            let text = format!(
                "{} {} {} {} {}",
                machine.name,
                machine.owner,
                words::machine_status(machine.status).1,
                machine.addresses.join(" "),
                machine.comment
            );
            words.iter().all(|word| text.to_lowercase().contains(word.as_str()))
        };
        all.with(|all| all.iter().filter(|machine| fits(machine)).cloned().collect::<Vec<_>>())
    });
    view! {
        <PageHead title="Machines">
            <span class="quiet num">{move || live.loaded.get().then(|| words::plural(all.with(Vec::len), "machine", "machines"))}</span>
            <div class="push stacks-tools">
                <input class="input" type="search" aria-label="Filter machines" placeholder="Filter by name, state, address" bind:value=filter/>
                <a class="btn main" href="/machines/new">"New machine"</a>
            </div>
        </PageHead>
        <MachinesTabs here="Machines"/>
        {move || match (live.loaded.get(), all.with(Vec::is_empty), shown.with(Vec::is_empty)) {
            (false, true, _) => view! { <div class="card"><Waiting/></div> }.into_any(),
            (true, true, _) => view! { <NoMachines/> }.into_any(),
            (_, false, true) => view! {
                <div class="card empty"><p>"No machine fits “" {move || filter.get()} "”."</p><button class="btn" on:click=move |_| filter.set(String::new())>"Show all"</button></div>
            }.into_any(),
            (_, false, false) => view! { <MachineTable shown/> }.into_any(),
        }}
    }
}

/// The two lists of this part of the page.
#[component]
pub(super) fn MachinesTabs(here: &'static str) -> impl IntoView {
    let tab = |word: &'static str, route: Route| view! { <a href=route.path() aria-current=(word == here).then_some("page")>{word}</a> };
    view! { <nav class="tabs" aria-label="Machines and boxes">{tab("Machines", Route::Machines)}{tab("Boxes", Route::Boxes)}</nav> }
}

#[component]
fn MachineTable(shown: Memo<Vec<Machine>>) -> impl IntoView {
    let sight = Sight::new(Memo::new(move |_| shown.with(Vec::len)));
    let key = |machine: &Machine| serde_json::to_string(machine).unwrap_or_default();
    view! {
        <section class="card" aria-label="Machines"><div class="scroll"><table class="cards">
            <thead><tr><th>"Machine"</th><th>"State"</th><th class="wide">"What it is"</th><th class="wide">"Version"</th><th>"Addresses"</th><th class="wide">"Host"</th><th class="wide">"Made"</th></tr></thead>
            <tbody node_ref=sight.body>
                <tr class="spacer" aria-hidden="true"><td colspan="7" style:height=move || sight.above()></td></tr>
                <For each=move || shown.with(|shown| sight.of(shown)) key=key let:machine><MachineRow machine/></For>
                <tr class="spacer" aria-hidden="true"><td colspan="7" style:height=move || sight.below()></td></tr>
            </tbody>
        </table></div></section>
    }
}

#[component]
fn MachineRow(machine: Machine) -> impl IntoView {
    let (tone, word) = words::machine_status(machine.status);
    let newer = machine.current_version.is_none_or(|current| current < machine.latest_version) && machine.latest_version > 0;
    let none = machine.addresses.is_empty();
    view! {
        <tr>
            <td class="grow"><a class="name" href=Route::machine(machine.id.to_string()).path()>{machine.name.clone()}</a></td>
            <td><Status tone=tone word=word/></td>
            <td class="wide quiet">{machine.summary.as_ref().map_or_else(|| "–".to_owned(), words::machine_summary)}</td>
            <td class="wide">{machine.current_version.map(|version| view! { <span class="tag brass">"v" {version}</span> " " })}{newer.then(|| view! { <span class="tag">"v" {machine.latest_version} " waits to be applied"</span> })}</td>
            <td class="mono" class:wide=none>{if none { "–".to_owned() } else { machine.addresses.join(", ") }}</td>
            <td class="wide quiet">{machine.host.clone()}</td>
            <td class="wide faint nowrap">{clock::ago(machine.created_at)}</td>
        </tr>
    }
}

/// Where a person begins.
#[component]
fn NoMachines() -> impl IntoView {
    view! {
        <section class="card empty">
            <Mark size=44/>
            <h2>"No machine yet"</h2>
            <p>"A machine is a virtual machine that begins with a box: a cloud image, an installer or a kernel. Import a box first, then make a machine of it."</p>
            <div class="row"><a class="btn" href="/boxes">"Import a box"</a><a class="btn main" href="/machines/new">"New machine"</a></div>
        </section>
    }
}
