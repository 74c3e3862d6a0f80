//! The examples that come with the page: loaded once, when somebody looks at them.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::{Bundle, FileContent};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::{http, js, storage};
use crate::draft::Draft;
use crate::route::Of;

/// An example.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) files: BTreeMap<String, FileContent>,
}

/// Where the draft of a stack or machine that does not exist yet is kept, and its name.
pub(crate) const fn new_key(of: Of) -> &'static str {
    match of {
        Of::Stack => "new",
        Of::Machine => "new-machine",
    }
}

/// Loads the examples.
pub(crate) fn examples() -> RwSignal<Option<Vec<Example>>> {
    let list = RwSignal::new(None);
    spawn_local(async move {
        let found = http::file::<Vec<Example>>(&js::examples_url()).await.unwrap_or_default();
        let _ = list.try_set(Some(found));
    });
    list
}

/// Begins a draft of a new stack or machine with these files.
pub(crate) fn begin_with(of: Of, bundle: Bundle, name: &str) {
    let mut draft = Draft::of(0, Bundle::default());
    if draft.take(bundle.files.into_iter().collect()).is_ok() {
        storage::write(&storage::draft_key(new_key(of)), draft.store("").as_deref());
        storage::write(&storage::name_key(new_key(of)), Some(name));
    }
}

impl Example {
    pub(crate) fn bundle(&self) -> Bundle {
        Bundle { files: self.files.clone() }
    }
}
