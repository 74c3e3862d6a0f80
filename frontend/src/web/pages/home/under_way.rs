//! What the queue does now, and what it does next.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;

use crate::progress::Progress;
use crate::web::clock;
use crate::web::live::live;
use crate::web::parts::{CommandButtons, CommandName, CommandWord, ProgressList};
use crate::words;

/// What runs now, with its steps.
#[component]
pub(crate) fn Running() -> impl IntoView {
    let live = live();
    let running =
        Memo::new(move |_| live.known.with(|known| known.open().find(|command| command.status == CommandStatus::Running).cloned()));
    move || {
        running.get().map(|command| {
            let progress = Progress::of_command(&command);
            let who = command.actor.clone().unwrap_or_else(|| command.publisher.clone());
            view! {
                <section class="card" aria-label="Running now">
                    <header>
                        <h2><CommandName command=command.clone()/></h2>
                        <span class="quiet">{who} ", " {clock::since(command.started_at.unwrap_or(command.created_at))}</span>
                        <span class="push"><CommandButtons command/></span>
                    </header>
                    <ProgressList progress=Signal::stored(progress)/>
                </section>
            }
        })
    }
}

/// The next few of the queue.
#[component]
pub(crate) fn Next() -> impl IntoView {
    let live = live();
    let open = Memo::new(move |_| {
        live.known
            .with(|known| known.open().filter(|command| command.status != CommandStatus::Running).take(6).cloned().collect::<Vec<_>>())
    });
    move || {
        let commands = open.get();
        (!commands.is_empty()).then(|| {
            view! {
                <section class="card">
                    <header><h2>"Next in the queue"</h2><span class="push"><a href="/queue">"All of it"</a></span></header>
                    <div class="scroll"><table>
                        <thead class="seen-by-ear"><tr><th>"Number"</th><th>"Command"</th><th>"State"</th><th>"Who"</th></tr></thead>
                        <tbody>
                        {commands.into_iter().map(|command| view! {
                            <tr>
                                <td class="num faint">{words::count(command.seq)}</td>
                                <td><CommandName command=command.clone()/></td>
                                <td><CommandWord command=command.clone()/></td>
                                <td class="wide">{command.actor.clone().unwrap_or_else(|| command.publisher.clone())}</td>
                            </tr>
                        }).collect_view()}
                    </tbody></table></div>
                </section>
            }
        })
    }
}
