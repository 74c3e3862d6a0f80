//! Something loaded from the api for a part of the page: fetched again when its address changes or somebody asks, given
//! up when the part goes, and left standing while a newer one is on its way.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;
use web_sys::AbortController;

use super::http::{self, Fault};

/// What was loaded, and how it went.
pub(crate) struct Loaded<T: Send + Sync + 'static> {
    pub(crate) value: RwSignal<Option<T>>,
    pub(crate) fault: RwSignal<Option<Fault>>,
    tick: RwSignal<u32>,
}

impl<T: Send + Sync + 'static> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Loaded<T> {}

impl<T: Clone + Send + Sync + 'static> Loaded<T> {
    pub(crate) fn get(&self) -> Option<T> {
        self.value.get()
    }

    /// Fetches again.
    pub(crate) fn again(&self) {
        self.tick.update(|tick| *tick = tick.wrapping_add(1));
    }
}

/// Loads JSON from where `path` says; nothing while it says nowhere.
pub(crate) fn load<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    path: impl Fn() -> Option<String> + Send + Sync + 'static,
) -> Loaded<T> {
    let loaded = Loaded { value: RwSignal::new(None), fault: RwSignal::new(None), tick: RwSignal::new(0) };
    let path = Memo::new(move |_| path());
    let under_way = StoredValue::new_local(None::<AbortController>);
    let stop = move || {
        if let Some(Some(controller)) = under_way.try_get_value() {
            controller.abort();
        }
    };
    Effect::new(move |before: Option<Option<String>>| {
        loaded.tick.track();
        let path = path.get();
        stop();
        if before.is_some_and(|before| before != path) {
            loaded.value.set(None);
            loaded.fault.set(None);
        }
        let Some(controller) = AbortController::new().ok() else { return path };
        under_way.set_value(Some(controller.clone()));
        if let Some(path) = path.clone() {
            spawn_local(async move {
                let signal = controller.signal();
                settle(loaded, http::get(&path, Some(&signal)).await);
            });
        }
        path
    });
    on_cleanup(stop);
    loaded
}

/// Puts an answer where it belongs; the part of the page may be gone by now.
fn settle<T: Send + Sync + 'static>(loaded: Loaded<T>, answer: Result<T, Fault>) {
    match answer {
        Ok(value) => {
            let _ = loaded.value.try_set(Some(value));
            // Nobody is woken for a fault that was not there.
            if loaded.fault.try_with_untracked(Option::is_some).unwrap_or(false) {
                let _ = loaded.fault.try_set(None);
            }
        }
        Err(Fault::Aborted) => {}
        Err(fault) => {
            let _ = loaded.fault.try_set(Some(fault));
        }
    }
}
