//! What time it is, as signals: one that moves every second for what goes on, one that moves every ten for what was.

use std::time::Duration;

use leptos::prelude::*;
use orrery_contracts::Time;

#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) second: RwSignal<Option<Time>>,
    pub(crate) slow: RwSignal<Option<Time>>,
}

fn now() -> Option<Time> {
    Time::parse(&String::from(js_sys::Date::new_0().to_iso_string())).ok()
}

/// Starts the clock and offers it to the whole page.
pub(crate) fn provide_clock() {
    let clock = Clock { second: RwSignal::new(now()), slow: RwSignal::new(now()) };
    provide_context(clock);
    let ticks = StoredValue::new(0_u32);
    let tick = move || {
        let count = ticks.get_value().wrapping_add(1);
        ticks.set_value(count);
        clock.second.set(now());
        if count.is_multiple_of(10) {
            clock.slow.set(now());
        }
    };
    let _ = set_interval_with_handle(tick, Duration::from_secs(1));
}

pub(crate) fn clock() -> Clock {
    expect_context()
}

/// How long ago, kept current.
pub(crate) fn ago(then: Time) -> impl Fn() -> String + Clone + Send + Sync + 'static {
    let clock = clock();
    move || clock.slow.get().map(|now| crate::words::ago(now, then)).unwrap_or_default()
}

/// How long something has gone on, kept current.
pub(crate) fn since(then: Time) -> impl Fn() -> String + Clone + Send + Sync + 'static {
    let clock = clock();
    move || clock.second.get().map(|now| crate::words::lasting(now.seconds_since(then))).unwrap_or_default()
}
