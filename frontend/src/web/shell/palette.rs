//! Find anything, do anything: pages, stacks and machines, their parts, what can be done with them, and commands, from one field.

use leptos::html;
use leptos::prelude::*;
use orrery_contracts::rest::{Machine, Stack};
use orrery_contracts::{MachineId, MachineStatus, StackId, StackStatus};
use wasm_bindgen::JsCast;

use crate::palette::{Entry, Hit, search};
use crate::route::{Route, Tab};
use crate::web::actions::act;
use crate::web::later::{Later, later};
use crate::web::live::{Live, live};
use crate::web::nav::nav;
use crate::words;

/// What choosing an entry does.
#[derive(Clone, Debug, PartialEq)]
enum Deed {
    Go(Route),
    Stack(StackId, &'static str),
    Machine(MachineId, &'static str),
}

fn entries(live: Live) -> Vec<Entry<Deed>> {
    let go = |title: &str, kind, route| Entry { title: title.to_owned(), kind, action: Deed::Go(route) };
    let mut all = vec![
        go("New stack", "do", Route::NewStack),
        go("New machine", "do", Route::NewMachine),
        go("Home", "page", Route::Home),
        go("Stacks", "page", Route::Stacks),
        go("Machines", "page", Route::Machines),
        go("Boxes", "page", Route::Boxes),
        go("Queue", "page", Route::Queue),
        go("Help and keys", "page", Route::Help),
    ];
    live.known.with(|known| {
        let stacks = known.by_name();
        all.extend(stacks.iter().map(|stack| go(&stack.name, "stack", Route::stack(stack.id.to_string()))));
        all.extend(stacks.iter().flat_map(stack_entries));
        let machines = known.machines_by_name();
        all.extend(machines.iter().map(|machine| go(&machine.name, "machine", Route::machine(machine.id.to_string()))));
        all.extend(machines.iter().flat_map(machine_entries));
        let commands = known.open().chain(known.ended().take(50));
        all.extend(commands.map(|command| {
            go(&format!("{} {}", command.seq, words::command_phrase(command)), "command", Route::Command(command.seq.to_string()))
        }));
    });
    all
}

fn stack_entries(stack: &Stack) -> Vec<Entry<Deed>> {
    let name = &stack.name;
    let tab = |title: String, tab| Entry { title, kind: "go", action: Deed::Go(Route::Stack(stack.id.to_string(), tab)) };
    let deed = |title: String, verb| Entry { title, kind: "do", action: Deed::Stack(stack.id, verb) };
    let mut all = vec![
        tab(format!("Edit {name}"), Tab::Definition),
        tab(format!("Logs of {name}"), Tab::Logs),
        tab(format!("Versions of {name}"), Tab::Versions(None)),
        tab(format!("History of {name}"), Tab::History),
    ];
    match stack.status {
        StackStatus::Stopped => all.push(deed(format!("Start {name}"), "start")),
        StackStatus::Running | StackStatus::Degraded | StackStatus::Drifted => {
            all.push(deed(format!("Restart {name}"), "restart"));
            all.push(deed(format!("Stop {name}"), "stop"));
        }
        StackStatus::Created | StackStatus::Deploying | StackStatus::Failed | StackStatus::Deleting => {}
    }
    all
}

fn machine_entries(machine: &Machine) -> Vec<Entry<Deed>> {
    let name = &machine.name;
    let tab = |title: String, tab| Entry { title, kind: "go", action: Deed::Go(Route::Machine(machine.id.to_string(), tab)) };
    let deed = |title: String, verb| Entry { title, kind: "do", action: Deed::Machine(machine.id, verb) };
    let mut all = vec![
        tab(format!("Edit {name}"), Tab::Definition),
        tab(format!("Versions of {name}"), Tab::Versions(None)),
        tab(format!("History of {name}"), Tab::History),
    ];
    if machine.summary.as_ref().is_some_and(|summary| summary.console) {
        all.push(tab(format!("Console of {name}"), Tab::Console));
    }
    match machine.status {
        MachineStatus::Stopped => all.push(deed(format!("Start {name}"), "start")),
        MachineStatus::Suspended => all.push(deed(format!("Resume {name}"), "resume")),
        MachineStatus::Running | MachineStatus::Drifted => {
            all.push(deed(format!("Reboot {name}"), "reboot"));
            all.push(deed(format!("Shut down {name}"), "shutdown"));
        }
        MachineStatus::Created | MachineStatus::Deploying | MachineStatus::Degraded | MachineStatus::Failed | MachineStatus::Deleting => {}
    }
    all
}

#[component]
pub(crate) fn Palette(open: RwSignal<bool>) -> impl IntoView {
    let element = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(dialog) = element.get() else { return };
        let dialog: &web_sys::HtmlDialogElement = dialog.unchecked_ref();
        if open.get() && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog class="palette" node_ref=element aria-label="Find anything, do anything" on:close=move |_| open.set(false)
            on:mousedown=move |event| {
                let itself = event.target().zip(element.get_untracked()).is_some_and(|(target, dialog)| {
                    let dialog: &web_sys::EventTarget = dialog.unchecked_ref();
                    target == *dialog
                });
                if itself { open.set(false) }
            }>
            {move || open.get().then(|| later(move || Later::Find(open)))}
        </dialog>
    }
}

/// The field and what was found.
#[component]
pub(crate) fn Find(open: RwSignal<bool>) -> impl IntoView {
    let (live, nav, act) = (live(), nav(), act());
    let query = RwSignal::new(String::new());
    let at = RwSignal::new(0_usize);
    let hits = Memo::new(move |_| query.with(|query| search(&entries(live), query, 12)));
    let run = move |deed: Deed| {
        open.set(false);
        match deed {
            Deed::Go(route) => nav.go(route),
            Deed::Stack(id, verb) => act.stack(id, verb),
            Deed::Machine(id, verb) => act.machine(id, verb),
        }
    };
    let keys = move |event: web_sys::KeyboardEvent| {
        let count = hits.with(Vec::len).max(1);
        match event.key().as_str() {
            "ArrowDown" => at.update(|at| *at = (*at + 1) % count),
            "ArrowUp" => at.update(|at| *at = (*at + count - 1) % count),
            "Enter" => {
                if let Some(hit) = hits.with(|hits| hits.get(at.get_untracked()).cloned()) {
                    run(hit.entry.action);
                }
            }
            _ => return,
        }
        event.prevent_default();
    };
    let input = NodeRef::<html::Input>::new();
    Effect::new(move || {
        if let Some(input) = input.get() {
            let _ = input.focus();
        }
    });
    let chosen = move || hits.with(|hits| !hits.is_empty()).then(|| format!("find-{}", at.get()));
    view! {
        <div class="query">
            <svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.600" aria-hidden="true"><circle cx="7" cy="7" r="4.500"/><path d="m10.500 10.500 3.500 3.500"/></svg>
            <input node_ref=input type="text" role="combobox" aria-expanded="true" aria-controls="find-list" aria-activedescendant=chosen autocomplete="off" spellcheck="false"
                aria-label="Find" placeholder="A stack, a machine, a command, something to do" on:keydown=keys prop:value=move || query.get()
                on:input=move |event| { query.set(event_target_value(&event)); at.set(0); }/>
            <kbd>"Esc"</kbd>
        </div>
        <ul id="find-list" role="listbox" aria-label="What was found">
            {move || hits.get().into_iter().enumerate().map(|(n, hit)| {
                let deed = hit.entry.action.clone();
                view! {
                    <li id=format!("find-{n}") role="option" aria-selected=move || if at.get() == n { "true" } else { "false" }
                        on:mousemove=move |_| if at.get_untracked() != n { at.set(n) } on:click=move |_| run(deed.clone())>
                        <span class="clip">{title(&hit)}</span>
                        <span class="tag push">{hit.entry.kind}</span>
                    </li>
                }
            }).collect_view()}
        </ul>
        {move || hits.with(Vec::is_empty).then(|| view! { <p class="none">"Nothing like that."</p> })}
    }
}

fn title(hit: &Hit<Deed>) -> impl IntoView + use<> {
    let letters = hit.entry.title.chars().enumerate();
    let marked = hit.marked.clone();
    letters
        .map(
            |(at, letter)| {
                if marked.contains(&at) { view! { <mark>{letter.to_string()}</mark> }.into_any() } else { letter.to_string().into_any() }
            },
        )
        .collect_view()
}
