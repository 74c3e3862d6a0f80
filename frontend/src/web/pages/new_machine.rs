//! A new machine: a form and its text, which are one.

use leptos::prelude::*;
use orrery_contracts::{Bundle, FileContent};

use super::line::{NewOne, Write};
use crate::draft::Draft;
use crate::route::Of;
use crate::web::parts::PageHead;

const FIRST_LINES: &str = "kind: vm
source:
  box: debian-12
cpus: 1
memory: 1GiB
disks:
  - name: root
    size: 10GiB
networks:
  - nat: default
";

fn first() -> Draft {
    let mut draft = Draft::of(0, Bundle::default());
    draft.write("machine.yaml", FIRST_LINES);
    draft
}

#[component]
pub(crate) fn NewMachinePage() -> impl IntoView {
    let new = NewOne::take_up(Of::Machine, first());
    let mut lines = Bundle::default();
    lines.files.insert("machine.yaml".to_owned(), FileContent::text(FIRST_LINES));
    let written = Memo::new(move |_| new.draft.with(|draft| *draft.bundle() != lines));
    // The bench shows one draft for its life: another beginning is another bench.
    let turn = RwSignal::new(0_u32);
    let over_again = move |_| {
        new.over_again(first());
        turn.update(|turn| *turn = turn.wrapping_add(1));
    };
    view! {
        <PageHead title="New machine">
            {move || written.get().then(|| view! { <div class="push"><button class="btn" on:click=over_again>"Start over"</button></div> })}
        </PageHead>
        {move || { turn.track(); view! { <Write new/> } }}
    }
}
