//! A small chart: its title, what is now, and lines as wide as there is room.

use leptos::prelude::*;

use crate::chart::{Chart, HEIGHT, WIDTH};

#[component]
pub(crate) fn ChartView(chart: Chart) -> impl IntoView {
    let keys = chart.now.len() > 1;
    let said = chart.now.into_iter().map(|word| view! { <span class:key=keys>{word}</span> }).collect_view();
    let lines = chart
        .lines
        .into_iter()
        .map(|line| view! { <path class="under" d=line.area></path><path class="line" d=line.path></path> })
        .collect_view();
    let half = HEIGHT / 2.0;
    view! {
        <figure class="chart">
            <figcaption><h3>{chart.title}</h3><span class="said num">{said}</span></figcaption>
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=chart.label>
                <path class="grid" d=format!("M0 0H{WIDTH}M0 {half}H{WIDTH}M0 {HEIGHT}H{WIDTH}")></path>
                {lines}
            </svg>
            <p class="axis faint num" aria-hidden="true"><span>"15 min ago"</span><span>"top " {chart.top}</span><span>"now"</span></p>
        </figure>
    }
}
