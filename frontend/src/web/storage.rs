//! What this browser keeps between visits: drafts and the theme. Storage may be full or forbidden; then nothing is kept,
//! and whoever asked is told.

use super::js::window;

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

pub(crate) fn read(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

/// Writes or removes; false when the browser would not take it.
pub(crate) fn write(key: &str, value: Option<&str>) -> bool {
    let Some(storage) = storage() else { return value.is_none() };
    match value {
        Some(value) => storage.set_item(key, value).is_ok(),
        None => storage.remove_item(key).is_ok(),
    }
}

/// Where the draft of a stack or machine is kept.
pub(crate) fn draft_key(id: &str) -> String {
    format!("orrery.draft.{id}")
}

pub(crate) const THEME: &str = "orrery.theme";

/// Where the name of a new one is kept while its draft is.
pub(crate) fn name_key(new: &str) -> String {
    format!("orrery.draft.{new}.name")
}
