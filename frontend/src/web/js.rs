//! The border to the browser's own language: what `npm/boot.ts` hands over, and small calls that have no name of their
//! own elsewhere. No logic.
// The macro of wasm-bindgen writes the calls across the border; none is written by hand.
#![allow(unsafe_code)]

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use orrery_contracts::Bundle;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::check::{Check, Field};
use crate::route::Of;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = orrery, js_name = openEditor)]
    fn open_editor_js(host: &web_sys::HtmlElement, options: &JsValue) -> Promise;
    #[wasm_bindgen(js_namespace = orrery, js_name = openConsole)]
    fn open_console_js(host: &web_sys::HtmlElement, label: &str) -> Promise;
    #[wasm_bindgen(js_namespace = orrery, js_name = openScreen)]
    fn open_screen_js(host: &web_sys::HtmlElement, label: &str) -> Promise;
    #[wasm_bindgen(js_namespace = orrery, js_name = filesOfDrop)]
    fn files_of_drop_js(event: &web_sys::DragEvent) -> Promise;
    #[wasm_bindgen(js_namespace = orrery, js_name = filesOfInput)]
    fn files_of_input_js(input: &web_sys::HtmlInputElement) -> Promise;
    #[wasm_bindgen(js_namespace = orrery, js_name = download)]
    fn download_js(name: &str, kind: &str, bytes: &[u8]);
    #[wasm_bindgen(js_namespace = orrery, js_name = check)]
    fn check_js(bundle: &str, project: &str, machine: bool) -> Promise;
    #[wasm_bindgen(js_namespace = orrery, js_name = fillMachine)]
    fn fill_machine_js(text: &str, field: &str, value: &str) -> Promise;
    #[wasm_bindgen(js_namespace = orrery, js_name = examplesUrl, thread_local_v2)]
    static EXAMPLES_URL: String;

    /// An open editor.
    #[derive(Clone)]
    pub(crate) type Editor;
    #[wasm_bindgen(method)]
    pub(crate) fn show(this: &Editor, text: &str, path: &str, label: &str, locked: bool);
    #[wasm_bindgen(method)]
    pub(crate) fn problems(this: &Editor, json: &str);
    #[wasm_bindgen(method, js_name = goTo)]
    pub(crate) fn go_to(this: &Editor, line: u32, column: u32);
    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Editor);

    /// A way to look at a guest, without a connection of its own.
    #[derive(Clone)]
    pub(crate) type Glass;
    #[wasm_bindgen(method)]
    pub(crate) fn attach(this: &Glass, socket: &web_sys::WebSocket);
    #[wasm_bindgen(method)]
    pub(crate) fn focus(this: &Glass);
    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Glass);

    /// A terminal.
    #[wasm_bindgen(extends = Glass)]
    #[derive(Clone)]
    pub(crate) type Terminal;
    #[wasm_bindgen(method)]
    pub(crate) fn text(this: &Terminal) -> String;

    /// The screen of a virtual machine.
    #[wasm_bindgen(extends = Glass)]
    #[derive(Clone)]
    pub(crate) type Screen;
    #[wasm_bindgen(method)]
    pub(crate) fn reset(this: &Screen);
}

/// What JavaScript threw, in its own words.
fn words(thrown: &JsValue) -> String {
    thrown.dyn_ref::<js_sys::Error>().map_or_else(|| "it does not say why".into(), |error| error.message().into())
}

/// Opens an editor within `host`; `changed` hears each change of its text.
pub(crate) async fn open_editor(
    host: &web_sys::HtmlElement,
    text: &str,
    path: &str,
    label: &str,
    changed: &JsValue,
) -> Result<Editor, String> {
    let options = Object::new();
    for (key, value) in
        [("text", text.into()), ("path", path.into()), ("label", label.into()), ("readOnly", false.into()), ("changed", changed.clone())]
    {
        let _ = Reflect::set(&options, &key.into(), &value);
    }
    part("the editor", open_editor_js(host, &options)).await
}

/// Opens a terminal within `host`.
pub(crate) async fn open_console(host: &web_sys::HtmlElement, label: &str) -> Result<Terminal, String> {
    part("the terminal", open_console_js(host, label)).await
}

/// Opens a screen within `host`.
pub(crate) async fn open_screen(host: &web_sys::HtmlElement, label: &str) -> Result<Screen, String> {
    part("the screen", open_screen_js(host, label)).await
}

/// What is loaded when it is needed.
async fn part<T: JsCast>(what: &str, promise: Promise) -> Result<T, String> {
    let opened = JsFuture::from(promise).await;
    opened.map(JsCast::unchecked_into).map_err(|error| format!("{what} could not be loaded: {}", words(&error)))
}

/// The address of a WebSocket of the api.
pub(crate) fn socket_address(path: &str) -> String {
    let location = window().location();
    let scheme = if location.protocol().is_ok_and(|protocol| protocol == "https:") { "wss" } else { "ws" };
    format!("{scheme}://{}{path}", location.host().unwrap_or_default())
}

/// What the checker says of a bundle. The checker is a binary of its own, loaded the first time that it is asked.
pub(crate) async fn check(of: Of, bundle: &Bundle, project: &str) -> Result<Check, String> {
    told(check_js(&written(bundle)?, project, of == Of::Machine)).await
}

/// The text of a machine's definition with a field of the form in it.
pub(crate) async fn fill_machine(text: &str, field: Field, value: &str) -> Result<String, String> {
    told::<Result<String, String>>(fill_machine_js(text, &serde_json::to_string(&field).map_err(|error| error.to_string())?, value)).await?
}

fn written(bundle: &Bundle) -> Result<String, String> {
    serde_json::to_string(bundle).map_err(|error| error.to_string())
}

async fn told<T: serde::de::DeserializeOwned>(promise: Promise) -> Result<T, String> {
    let told = JsFuture::from(promise).await.map_err(|error| format!("the checker could not be loaded: {}", words(&error)))?;
    serde_json::from_slice(told.as_string().unwrap_or_default().as_bytes()).map_err(|error| error.to_string())
}

/// The files of a drop, folders walked. The event must still be under way when this is called.
pub(crate) fn files_of_drop(event: &web_sys::DragEvent) -> impl Future<Output = Result<Vec<(String, Vec<u8>)>, String>> + use<> {
    read_files(files_of_drop_js(event))
}

/// The files that were chosen.
pub(crate) fn files_of_input(input: &web_sys::HtmlInputElement) -> impl Future<Output = Result<Vec<(String, Vec<u8>)>, String>> + use<> {
    read_files(files_of_input_js(input))
}

async fn read_files(promise: Promise) -> Result<Vec<(String, Vec<u8>)>, String> {
    let list = JsFuture::from(promise).await.map_err(|error| format!("the files could not be read: {}", words(&error)))?;
    let one = |file: JsValue| {
        let path = Reflect::get(&file, &"path".into()).ok()?.as_string()?;
        let bytes = Uint8Array::new(&Reflect::get(&file, &"bytes".into()).ok()?).to_vec();
        Some((path, bytes))
    };
    Ok(Array::from(&list).iter().filter_map(one).collect())
}

/// Gives the person a file.
pub(crate) fn download(name: &str, kind: &str, bytes: &[u8]) {
    download_js(name, kind, bytes);
}

pub(crate) fn examples_url() -> String {
    EXAMPLES_URL.with(Clone::clone)
}

pub(crate) fn window() -> web_sys::Window {
    leptos::prelude::window()
}

pub(crate) fn document() -> web_sys::Document {
    leptos::prelude::document()
}

/// The name of the host as the browser knows it: what ports are links to.
pub(crate) fn host_name() -> String {
    window().location().hostname().unwrap_or_default()
}

/// Moves the focus to the element with this id.
pub(crate) fn focus(id: &str) {
    if let Some(element) = document().get_element_by_id(id).and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// An instant in the browser's own zone: `14:02`, or `14:02:11` with seconds.
pub(crate) fn clock_time(at: orrery_contracts::Time, seconds: bool) -> String {
    let date = js_sys::Date::new(&at.to_string().into());
    let (h, m, s) = (date.get_hours(), date.get_minutes(), date.get_seconds());
    if seconds { format!("{h:02}:{m:02}:{s:02}") } else { format!("{h:02}:{m:02}") }
}

/// An instant in full, in the browser's own zone and language.
pub(crate) fn full_time(at: orrery_contracts::Time) -> String {
    js_sys::Date::new(&at.to_string().into()).to_locale_string("default", &JsValue::UNDEFINED).into()
}
