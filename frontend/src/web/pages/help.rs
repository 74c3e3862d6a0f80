//! Help: the keys, and the other doors to the same thing.

use leptos::prelude::*;

use crate::web::js;
use crate::web::parts::PageHead;

const KEYS: [(&str, &str); 10] = [
    ("Ctrl K  or  /", "Find anything, do anything"),
    ("g  h", "Home"),
    ("g  s", "Stacks"),
    ("g  m", "Machines"),
    ("g  q", "Queue"),
    ("g  n", "New stack"),
    ("?", "This page"),
    ("Ctrl S", "In the editor of a stack or machine: save a version"),
    ("Ctrl F", "In the editor: find and replace"),
    ("Esc, then Tab", "In the editor: leave it by keyboard"),
];

#[component]
pub(crate) fn Help() -> impl IntoView {
    let origin = js::window().location().origin().unwrap_or_default();
    let curl = format!(
        "TOKEN=$(cat \"$ORRERY_DATA_DIR/admin.token\")\ncurl -H \"Authorization: Bearer $TOKEN\" {origin}/api/v1/stacks\ncurl -H \"Authorization: Bearer $TOKEN\" -X POST {origin}/api/v1/stacks/shop/apply/3"
    );
    let publish = ". \"$ORRERY_DATA_DIR/publishers/ci.env\"\nID=$(cat /proc/sys/kernel/random/uuid)\nnats --server \"$NATS_URL\" --user \"$NATS_USER\" --password \"$NATS_PASSWORD\" \\\n  --inbox-prefix \"_INBOX.$NATS_USER\" request \"orrery.commands.$ID\" \\\n  '{\"type\": \"stack.apply\", \"target\": \"shop\", \"payload\": {\"version\": 3}}'";
    let key = |(keys, what): (&'static str, &'static str)| {
        let keys = keys.split_whitespace().map(|key| {
            if matches!(key, "or" | "then") {
                view! { " " {key} " " }.into_any()
            } else {
                view! { <kbd>{key.trim_end_matches(',').to_owned()}</kbd> " " }.into_any()
            }
        });
        view! { <dt>{keys.collect_view()}</dt><dd>{what}</dd> }
    };
    view! {
        <PageHead title="Help"/>
        <div class="card pad"><div class="prose">
            <h2>"How it works"</h2>
            <p>"Everything that changes something is a command on one queue, and one command runs at a time, in order. A stack or machine is changed by making a new version of its files and applying it; versions never change, and any of them can be rolled back to. An apply of a stack makes the new containers first and keeps the old ones until the new ones are well: when it fails, what ran before runs on."</p>
            <p>"A command that fails holds the queue until somebody retries or cancels it. The banner on top says which one, and why."</p>
            <h2>"Keys"</h2>
            <dl class="keys">{KEYS.into_iter().map(key).collect_view()}</dl>
            <h2>"REST"</h2>
            <p>"All that this page does goes through the same API, described by " <a href="/api/v1/openapi.json" target="_blank">"its OpenAPI document"</a> ". A token for scripts lies in the data folder:"</p>
            <pre tabindex="0" aria-label="Example with curl">{curl}</pre>
            <h2>"NATS"</h2>
            <p>"Programs can put commands on the queue as messages, with a publisher's own credentials. The publisher ci is there from the start; the id of a command is a UUID that its publisher chooses, and the same id twice is one command."</p>
            <pre tabindex="0" aria-label="Example with NATS">{publish}</pre>
        </div></div>
    }
}
