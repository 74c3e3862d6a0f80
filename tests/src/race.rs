//! Two that race. The later one's lead over the earlier is corrected after each race, so that both win about as often: a
//! race that one side always wins tries nothing.

use std::time::Duration;

use anyhow::ensure;

/// How often, when nobody says otherwise.
const USUAL: u32 = 15;
/// The longest that one side is held back.
const LONGEST: i64 = 2_000_000;
/// How far one side is ahead now and then.
const FAR: i64 = 200_000;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that is named first.
    First,
    /// The other.
    Second,
}

/// Races of one kind, and how often each side has won.
#[derive(Debug)]
pub struct Races {
    name: &'static str,
    wanted: u32,
    won: [u32; 2],
    /// By how many microseconds the second waits; the first, where it is negative.
    lead: i64,
    step: i64,
    last: Option<Side>,
    draw: u64,
}

impl Races {
    /// Races of this name; `ORRERY_SOAK_RACES` says how many, `ORRERY_SEED` where their jitter comes from.
    #[must_use]
    pub fn of(name: &'static str) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let wanted = number("ORRERY_SOAK_RACES").and_then(|races| u32::try_from(races).ok()).unwrap_or(USUAL);
        let draw = number("ORRERY_SEED").unwrap_or(1);
        Self { name, wanted, won: [0, 0], lead: 0, step: 1_000, last: None, draw }
    }

    /// How many there have been.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.won.iter().sum()
    }

    /// Whether there is to be another one: until there were enough, and each side has won; but not for ever.
    #[must_use]
    pub fn go_on(&self) -> bool {
        self.count() < self.wanted || (self.won.contains(&0) && self.count() < self.wanted.saturating_mul(10))
    }

    /// Lets two race, and answers what came of both.
    pub async fn run<A, B>(&mut self, first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
        let lead = self.lead + self.jitter() + self.far();
        let held = |by: i64| tokio::time::sleep(Duration::from_micros(u64::try_from(by.clamp(0, LONGEST)).unwrap_or(0)));
        let first = async {
            held(-lead).await;
            first.await
        };
        let second = async {
            held(lead).await;
            second.await
        };
        futures::join!(first, second)
    }

    /// Notes who won: the next time he starts a little later. The same side again and again is held back twice as far.
    pub fn won_by(&mut self, side: Side) {
        self.step = if self.last == Some(side) { (self.step * 2).min(50_000) } else { (self.step / 2).max(200) };
        self.last = Some(side);
        let (place, by) = match side {
            Side::First => (0, -self.step),
            Side::Second => (1, self.step),
        };
        self.won[place] += 1;
        self.lead = (self.lead + by).clamp(-LONGEST, LONGEST);
    }

    /// Says how often each has won; `first` and `second` say what that means.
    ///
    /// # Errors
    /// When one side never did.
    pub fn end(&self, sweep: &str, first: &str, second: &str) -> anyhow::Result<()> {
        let Self { name, won: [one, two], .. } = self;
        println!("{sweep}: {name}: {} races; {one} times {first}, {two} times {second}", self.count());
        ensure!(*one > 0 && *two > 0, "{name}: one side never won in {} races", self.count());
        Ok(())
    }

    /// A part of the present step, to either side.
    fn jitter(&mut self) -> i64 {
        self.drawn() % (self.step * 2 + 1) - self.step
    }

    /// Now and then one side is far ahead, and the other finds a world that knows of it.
    fn far(&mut self) -> i64 {
        if self.drawn() % 5 == 0 { self.drawn() % (2 * FAR + 1) - FAR } else { 0 }
    }

    fn drawn(&mut self) -> i64 {
        self.draw = self.draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.draw >> 33).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Races, Side};

    #[test]
    fn a_side_that_is_slower_is_let_go_earlier_until_it_wins_too() {
        let mut races = Races { wanted: 200, ..Races::of("slow") };
        while races.go_on() {
            let lead = races.lead + races.jitter();
            // The first needs thirty milliseconds longer.
            let (first, second) = (30_000 + (-lead).max(0), lead.max(0));
            races.won_by(if first < second { Side::First } else { Side::Second });
        }
        let [one, two] = races.won;
        assert!(one > 50 && two > 50, "{one} and {two}");
    }
}
