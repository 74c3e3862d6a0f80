//! A new box: fetched from an address, or a file of this computer.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::NewUpload;
use orrery_contracts::command::BoxFormat;
use orrery_contracts::machine::NewBox;

use crate::sending::Known;
use crate::web::actions::act;
use crate::web::sending::{first_file, known, sending};
use crate::web::toasts::toasts;
use crate::words;

/// What a box can be.
const FORMATS: [(BoxFormat, &str); 6] = [
    (BoxFormat::Qcow2, "disk image, qcow2"),
    (BoxFormat::Raw, "disk image, raw"),
    (BoxFormat::Vagrant, "Vagrant box for libvirt"),
    (BoxFormat::Iso, "ISO image"),
    (BoxFormat::Rootfs, "root filesystem as tar"),
    (BoxFormat::File, "other file: a kernel, an initramfs"),
];

/// Where a new box comes from, its name and its checksum.
#[component]
pub(crate) fn ImportForm(open: RwSignal<bool>) -> impl IntoView {
    let act = act();
    let [name, url, sha256, description] = std::array::from_fn(|_| RwSignal::new(String::new()));
    let format = RwSignal::new(None::<BoxFormat>);
    let (mine, begins) = (RwSignal::new(false), RwSignal::new(false));
    let chosen = NodeRef::<html::Input>::new();
    let (sending, toasts) = (sending(), toasts());
    let said = |field: RwSignal<String>| Some(field.get_untracked().trim().to_owned()).filter(|text| !text.is_empty());
    let sum = move || said(sha256).map(|text| text.to_lowercase());
    let fetch = move || {
        let (name, format, description) = (said(name).unwrap_or_default(), format.get_untracked(), said(description));
        let new = NewBox { name, url: said(url), upload: None, sha256: sum(), format, description };
        act.send("/boxes".into(), new, move |_| {
            let _ = open.try_set(false);
        });
    };
    let upload = move || {
        let Some(file) = chosen.get_untracked().as_ref().and_then(first_file) else { return };
        if begins.get_untracked() {
            return;
        }
        begins.set(true);
        let Known { name: called, size, modified } = known(&file);
        let (name, format, description) = (said(name).unwrap_or_default(), format.get_untracked(), said(description));
        let new = NewUpload { name, size, file: Some(called), modified: Some(modified), sha256: sum(), format, description };
        spawn_local(async move {
            let begun = sending.begin(new, file).await;
            let _ = begins.try_set(false);
            match begun {
                Ok(()) => drop(open.try_set(false)),
                Err(fault) => toasts.fault(&fault),
            }
        });
    };
    let import = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if mine.get_untracked() { upload() } else { fetch() }
    };
    let busy = move || act.busy.get() || begins.get();
    let source = move |of_mine: bool, word: &'static str| {
        let checked = move || if mine.get() == of_mine { "true" } else { "false" };
        view! { <button type="button" role="radio" aria-checked=checked on:click=move |_| mine.set(of_mine)>{word}</button> }
    };
    // The name that the address or the file suggests, until somebody writes another.
    let suggest = move |from: &str| {
        if name.with_untracked(String::is_empty) {
            name.set(words::box_name(from));
        }
    };
    let guess = move |_| url.with_untracked(|url| suggest(url));
    let take = move |_| {
        if let Some(file) = chosen.get_untracked().as_ref().and_then(first_file) {
            suggest(&file.name());
        }
    };
    view! {
        <form class="body" on:submit=import>
            <div class="segments small" role="radiogroup" aria-label="Where it comes from">{source(false, "From the web")}{source(true, "From this computer")}</div>
            <div class="field" hidden=move || mine.get()><label for="box-url">"Address"</label>
                <input class="input mono" id="box-url" type="url" required=move || !mine.get() disabled=move || mine.get() autofocus bind:value=url on:change=guess autocomplete="off" spellcheck="false" placeholder="https://…/debian-12-generic-amd64.qcow2"/></div>
            <div class="field" hidden=move || !mine.get()><label for="box-file">"File"</label>
                <input class="input" id="box-file" type="file" node_ref=chosen required=move || mine.get() disabled=move || !mine.get() on:change=take aria-describedby="box-file-help"/>
                <span class="help" id="box-file-help">"It is sent piece by piece. What was interrupted goes on when the same file is chosen again."</span></div>
            <div class="field"><label for="box-name">"Name"</label>
                <input class="input mono" id="box-name" required bind:value=name autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="debian-12" aria-describedby="box-name-help"/>
                <span class="help" id="box-name-help">"What definitions call it."</span></div>
            <div class="field"><label for="box-sha256">"SHA-256"</label>
                <input class="input mono" id="box-sha256" bind:value=sha256 autocomplete="off" autocapitalize="none" spellcheck="false" pattern="\\s*[0-9a-fA-F]{64}\\s*" title="64 hexadecimal digits" aria-describedby="box-sha256-help"/>
                <span class="help" id="box-sha256-help">"What came is compared with it before it is used. Needed with an address that begins with http://."</span></div>
            <div class="field"><label for="box-format">"Format"</label>
                <select class="select" id="box-format" on:change=move |event| format.set(FORMATS.iter().map(|(format, _)| *format).find(|format| format.as_str() == event_target_value(&event)))>
                    <option value="">"found out from its first bytes"</option>
                    {FORMATS.into_iter().map(|(format, word)| view! { <option value=format.as_str()>{word}</option> }).collect_view()}
                </select></div>
            <div class="field"><label for="box-description">"What it is for"</label>
                <input class="input" id="box-description" bind:value=description autocomplete="off"/></div>
            <div class="row"><button class="btn main" disabled=busy aria-busy=move || busy().then_some("true")>{move || if mine.get() { "Upload and import" } else { "Import" }}</button></div>
        </form>
    }
}
