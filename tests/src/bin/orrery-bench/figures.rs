//! Times, and how they are told.

use std::time::Duration;

/// The times of one thing that was done again and again.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    /// The time that so many in a thousand do not exceed.
    pub(crate) fn at(&self, in_a_thousand: usize) -> Duration {
        let place = self.0.len().saturating_mul(in_a_thousand) / 1000;
        self.0.get(place.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.at(500)
    }

    /// The median, and in brackets the quickest and the slowest.
    pub(crate) fn spread(&self) -> String {
        if self.0.is_empty() {
            return "–".to_owned();
        }
        format!("{} ({} to {})", short(self.median()), short(self.at(0)), short(self.at(1000)))
    }

    /// How many times longer the median of this is than that of another.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        let below = other.median().as_secs_f64();
        if below > 0.0 { self.median().as_secs_f64() / below } else { 0.0 }
    }
}

/// A time in a table.
pub(crate) fn short(time: Duration) -> String {
    if time < Duration::from_millis(100) { format!("{:.1} ms", time.as_secs_f64() * 1000.0) } else { format!("{} ms", time.as_millis()) }
}

/// What became of an aim.
pub(crate) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}
