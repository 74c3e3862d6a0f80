//! Uploads that are no boxes yet: how far each is, stopped, gone on with, thrown away.

use leptos::html;
use leptos::prelude::*;
use orrery_contracts::Upload;
use uuid::Uuid;

use crate::sending::{far, other_file};
use crate::web::clock;
use crate::web::live::live;
use crate::web::sending::{Doing, Sending, first_file, known, sending};
use crate::web::toasts::toasts;

/// Every upload that there is.
#[component]
pub(crate) fn UploadsCard() -> impl IntoView {
    let (sending, live) = (sending(), live());
    Effect::new(move || {
        live.boxes.track();
        sending.look();
    });
    let ids = move || sending.all.with(|all| all.keys().copied().collect::<Vec<_>>());
    view! {
        <section class="card" aria-label="Uploads" hidden=move || ids().is_empty()><div class="scroll"><table class="cards">
            <thead><tr><th>"Upload"</th><th>"How far"</th><th class="wide">"Last bytes"</th><th class="end"><span class="seen-by-ear">"Ways on"</span></th></tr></thead>
            <tbody><For each=ids key=|id| *id let:id><UploadRow id/></For></tbody>
        </table></div></section>
    }
}

#[component]
fn UploadRow(id: Uuid) -> impl IntoView {
    let sending = sending();
    let upload = Memo::new(move |_| sending.all.with(|all| all.get(&id).cloned()));
    let doing = Memo::new(move |_| sending.doing(id));
    let whole = Memo::new(move |_| upload.with(|upload| upload.as_ref().is_some_and(|upload| upload.sha256.is_some())));
    let of = Memo::new(move |_| upload.with(|upload| upload.as_ref().map(|upload| upload.of.clone())));
    move || {
        let of = of.get()?;
        let name = of.name.to_string();
        let done = move || upload.with(|upload| upload.as_ref().map(|upload| upload.received.to_string()));
        let words = move || upload.with(|upload| upload.as_ref().map(|upload| state(upload, doing.get())));
        Some(view! {
            <tr>
                <td class="grow"><span class="name">{name.clone()}</span> <div class="faint mono">{of.file.clone()}</div></td>
                <td><progress class="meter" max=of.size.to_string() value=done aria-label=format!("Upload of {name}")></progress>
                    <span class="quiet num" role="status">{words}</span></td>
                <td class="wide faint nowrap">{move || upload.with(|upload| upload.as_ref().map(|upload| clock::ago(upload.touched_at)))}</td>
                <td class="end">{move || view! { <Ways sending upload whole=whole.get() doing=doing.get()/> }}</td>
            </tr>
        })
    }
}

/// How an upload stands, in words.
fn state(upload: &Upload, doing: Option<Doing>) -> String {
    let far = far(upload);
    match (doing, upload.sha256.is_some()) {
        (Some(Doing::Failed(why)), _) => why,
        (Some(Doing::Sends), true) => "all has come; a box is made of it".to_owned(),
        (_, true) => "all has come".to_owned(),
        (Some(Doing::Sends), false) => far,
        (Some(Doing::Waits(why)), false) => format!("{far}; it goes on by itself: {why}"),
        (Some(Doing::Stands), false) => format!("{far}, stopped"),
        (None, false) => format!("{far}; choose the same file to go on"),
    }
}

#[component]
fn Ways(sending: Sending, upload: Memo<Option<Upload>>, whole: bool, doing: Option<Doing>) -> impl IntoView {
    let toasts = toasts();
    let name = upload.with_untracked(|upload| upload.as_ref().map(|upload| upload.of.name.to_string()).unwrap_or_default());
    let now = move || upload.get_untracked();
    let input = NodeRef::<html::Input>::new();
    let go_on = move |_| {
        let has_file = now().is_some_and(|upload| sending.again(upload));
        if !has_file && let Some(input) = input.get_untracked() {
            input.click();
        }
    };
    let take = move |_| {
        let Some((upload, file)) = now().zip(input.get_untracked().as_ref().and_then(first_file)) else { return };
        match other_file(&upload, &known(&file)) {
            Some(why) => toasts.bad(why),
            None => sending.go_on(upload, file),
        }
    };
    let sends = matches!(doing, Some(Doing::Sends | Doing::Waits(_)));
    let cancel = move |_| {
        if let Some(upload) = now() {
            sending.cancel(upload.of.id);
        }
    };
    let first = match (whole, sends) {
        (true, true) => ().into_any(),
        (true, false) => {
            let import = move |_| {
                if let Some(upload) = now() {
                    sending.import(upload);
                }
            };
            view! { <button class="btn small" aria-label=format!("Make the box {name}") on:click=import>"Import"</button> }.into_any()
        }
        (false, true) => {
            let stop = move |_| {
                if let Some(upload) = now() {
                    sending.stop(upload.of.id);
                }
            };
            view! { <button class="btn small" aria-label=format!("Pause the upload of {name}") on:click=stop>"Pause"</button> }.into_any()
        }
        (false, false) => view! {
            <button class="btn small" aria-label=format!("Go on with the upload of {name}") on:click=go_on>"Go on"</button>
            <input type="file" hidden node_ref=input on:change=take aria-label=format!("The file of {name}")/>
        }
        .into_any(),
    };
    view! { {first} " " <button class="btn small" aria-label=format!("Cancel the upload of {name}") on:click=cancel>"Cancel"</button> }
}
