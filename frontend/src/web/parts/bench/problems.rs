//! Everything that the checker says, in all files; each leads to its place.

use leptos::prelude::*;

use super::BenchState;
use crate::words::{self, plural};

#[component]
pub(super) fn ProblemList(state: BenchState) -> impl IntoView {
    let problems = Memo::new(move |_| state.found.with(|found| found.problems.clone()));
    let summary = move || {
        let (blocking, all) = state.found.with(|found| (found.blocking(), found.problems.len()));
        let others = all - blocking;
        match (blocking, others) {
            (0, 0) => "No problem".to_owned(),
            (0, n) => plural(n, "remark", "remarks"),
            (n, 0) => plural(n, "problem", "problems"),
            (n, m) => format!("{}, {}", plural(n, "problem", "problems"), plural(m, "remark", "remarks")),
        }
    };
    let open = move |file: String, line: u32, column: u32| {
        state.diff.set(false);
        state.selected.set(file);
        state.go_to.set(Some((line, column)));
    };
    view! {
        <div class="seen-by-ear" role="status">{summary}</div>
        {move || (!problems.with(Vec::is_empty)).then(|| view! {
            <ul class="problems" aria-label="Problems">
                {problems.get().into_iter().map(|problem| {
                    let (file, line, column) = (problem.file.clone(), problem.line, problem.column);
                    view! {
                        <li><button type="button" on:click=move |_| open(file.clone(), line, column)>
                            <span class=format!("st {}", words::severity_tone(problem.severity).class()) role="img" aria-label=words::severity(problem.severity)></span>
                            <span>{problem.message.clone()} {problem.hint.clone().map(|hint| view! { " " <span class="quiet">{hint}</span> })}</span>
                            <span class="faint num mono nowrap">{problem.file.clone()} ":" {problem.line}</span>
                        </button></li>
                    }
                }).collect_view()}
            </ul>
        })}
    }
}
