//! All stacks: a dense list that stays smooth with a thousand of them, filtered as one types.

use leptos::prelude::*;
use orrery_contracts::rest::Stack;

use crate::route::Route;
use crate::web::clock;
use crate::web::live::live;
use crate::web::parts::{Mark, PageHead, Sight, Status, Waiting};
use crate::web::session::{Door, session};
use crate::words;

#[component]
pub(crate) fn StacksPage() -> impl IntoView {
    let live = live();
    let filter = RwSignal::new(String::new());
    let all = Memo::new(move |_| live.known.with(|known| known.by_name()));
    let shown = Memo::new(move |_| {
        let words: Vec<String> = filter.get().to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |stack: &Stack| {
            let text = format!("{} {} {} {}", stack.name, stack.owner, words::stack_status(stack.status).1, stack.comment).to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        all.with(|all| all.iter().filter(|stack| fits(stack)).cloned().collect::<Vec<_>>())
    });
    view! {
        <PageHead title="Stacks">
            <span class="quiet num">{move || live.loaded.get().then(|| words::plural(all.with(Vec::len), "stack", "stacks"))}</span>
            <div class="push stacks-tools">
                <input class="input" type="search" aria-label="Filter stacks" placeholder="Filter by name, owner, state" bind:value=filter/>
                <a class="btn main" href="/stacks/new">"New stack"</a>
            </div>
        </PageHead>
        {move || match (live.loaded.get(), all.with(Vec::is_empty), shown.with(Vec::is_empty)) {
            (false, true, _) => view! { <div class="card"><Waiting/></div> }.into_any(),
            (true, true, _) => view! { <NoStacks/> }.into_any(),
            (_, false, true) => view! {
                <div class="card empty"><p>"No stack fits “" {move || filter.get()} "”."</p><button class="btn" on:click=move |_| filter.set(String::new())>"Show all"</button></div>
            }.into_any(),
            (_, false, false) => view! { <Table shown/> }.into_any(),
        }}
    }
}

/// The rows that are in sight, and blank space for the others.
#[component]
fn Table(shown: Memo<Vec<Stack>>) -> impl IntoView {
    let session = session();
    let owners = Memo::new(move |_| {
        let me = session.0.with(|door| match door {
            Door::In(me) => me.username.clone(),
            Door::Asking | Door::Out { .. } | Door::Away(_) => String::new(),
        });
        shown.with(|shown| shown.iter().any(|stack| stack.owner != me))
    });
    let sight = Sight::new(Memo::new(move |_| shown.with(Vec::len)));
    view! {
        <section class="card" aria-label="Stacks"><div class="scroll"><table class="cards">
            <thead><tr><th>"Stack"</th><th>"State"</th><th>"Services"</th><th class="wide">"Version"</th><th class="wide">"Note"</th>{move || owners.get().then(|| view! { <th class="wide">"Owner"</th> })}<th class="wide">"Made"</th></tr></thead>
            <tbody node_ref=sight.body>
                <tr class="spacer" aria-hidden="true"><td colspan="7" style:height=move || sight.above()></td></tr>
                <For each=move || shown.with(|shown| sight.of(shown))
                    key=|stack| (stack.id, words::stack_status(stack.status).1, stack.services.running, stack.services.healthy, stack.services.total, stack.current_version, stack.latest_version, stack.drifted) let:stack>
                    <StackRow stack owners/>
                </For>
                <tr class="spacer" aria-hidden="true"><td colspan="7" style:height=move || sight.below()></td></tr>
            </tbody>
        </table></div></section>
    }
}

#[component]
fn StackRow(stack: Stack, owners: Memo<bool>) -> impl IntoView {
    let (tone, word) = words::stack_status(stack.status);
    let none = stack.services.total == 0;
    let newer = stack.current_version.is_none_or(|current| current < stack.latest_version) && stack.latest_version > 0;
    view! {
        <tr>
            <td class="grow"><a class="name" href=Route::stack(stack.id.to_string()).path()>{stack.name.clone()}</a></td>
            <td><Status tone=tone word=word/></td>
            <td class="num" class:wide=none>{super::home::services(&stack)}</td>
            <td class="wide">{stack.current_version.map(|version| view! { <span class="tag brass">"v" {version}</span> " " })}{newer.then(|| view! { <span class="tag">"v" {stack.latest_version} " waits to be applied"</span> })}</td>
            <td class="wide quiet clip-cell">{words::shorten(&stack.comment, 48)}</td>
            {move || owners.get().then(|| view! { <td class="wide quiet">{stack.owner.clone()}</td> })}
            <td class="wide faint nowrap">{clock::ago(stack.created_at)}</td>
        </tr>
    }
}

/// Where a person begins.
#[component]
pub(crate) fn NoStacks() -> impl IntoView {
    view! {
        <section class="card empty">
            <Mark size=44/>
            <h2>"No stack yet"</h2>
            <p>"A stack is a set of containers that belong together, written down in a compose.yaml. Begin with an example:"</p>
            <super::new_stack::ExampleLinks/>
            <p><a href="/stacks/new">"Write one, or drop your own files"</a></p>
        </section>
    }
}
