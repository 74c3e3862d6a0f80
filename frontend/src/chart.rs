//! What a machine uses, as four charts: lines within 300 by 64, and the words around them. It gives paths and texts; colours are
//! put on elsewhere.

use orrery_contracts::figures::{Column, MachineFigures};

use crate::words;

pub(crate) const WIDTH: f64 = 300.0;
pub(crate) const HEIGHT: f64 = 64.0;
/// Below this many bytes a second a rate is no more than a line at the bottom.
const QUIET: u64 = 1000;

/// One chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    /// What it is now: a word for each line, or one for all.
    pub(crate) now: Vec<String>,
    /// What a line at the top means.
    pub(crate) top: String,
    /// All of it for who does not see it.
    pub(crate) label: String,
    pub(crate) lines: Vec<Line>,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The line, with a gap where nothing was counted.
    pub(crate) path: String,
    /// What lies under it.
    pub(crate) area: String,
}

/// How the machine is, as far as its figures go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// It runs, and is heard of.
    Told,
    /// It runs, and nothing was heard for a while.
    Silent,
    /// It does not run.
    Off,
}

/// The charts of a machine; none where there is nothing to draw.
pub(crate) fn charts(figures: &MachineFigures, now: Now) -> Option<[Chart; 4]> {
    let frame = Frame::of(figures, now);
    if frame.ages.is_empty() {
        return None;
    }
    let cpus = last(&figures.cpus).unwrap_or(1).max(1);
    let processors = words::plural(usize::try_from(cpus).unwrap_or(usize::MAX), "processor", "processors");
    let share = |used: u64| format!("{} %", used.saturating_add(cpus.saturating_mul(5)) / cpus.saturating_mul(10));
    let whole = most(&[&figures.cpu]).max(cpus.saturating_mul(1000)).div_ceil(1000).saturating_mul(1000);
    let has = last(&figures.memory).unwrap_or(0);
    let room = most(&[&figures.resident, &figures.memory]);
    Some([
        frame.chart("Processor", whole, &share, &[("", &figures.cpu)], &format!(" of {processors}")),
        frame.chart("Memory", room, &words::memory, &[("takes ", &figures.resident)], &format!(", has {}", words::memory(has))),
        frame.rates("Disks", [("reads ", &figures.read), ("writes ", &figures.written)]),
        frame.rates("Network", [("in ", &figures.received), ("out ", &figures.sent)]),
    ])
}

/// What the charts of one machine have in common.
struct Frame {
    /// How many seconds ago each sample came.
    ages: Vec<f64>,
    window: f64,
    /// Two samples that are further apart have something between them that nobody knows.
    apart: f64,
    now: Now,
}

impl Frame {
    fn of(figures: &MachineFigures, now: Now) -> Self {
        let window = f64::from(figures.window_seconds.max(1));
        let ages = figures.times.iter().map(|time| figures.now.seconds_since(*time).clamp(0.0, window)).collect();
        Self { ages, window, apart: 2.5 * f64::from(figures.every_seconds), now }
    }

    fn rates(&self, title: &'static str, columns: [(&str, &Column); 2]) -> Chart {
        let top = ceiling(most(&columns.map(|(_, column)| column)).max(QUIET));
        self.chart(title, top, &|rate| format!("{}/s", words::bytes(rate)), &columns, "")
    }

    fn chart(&self, title: &'static str, top: u64, word: &dyn Fn(u64) -> String, columns: &[(&str, &Column)], more: &str) -> Chart {
        let now = self.now(word, columns, more);
        let peaks = columns.iter().map(|(verb, column)| format!("{verb}{}", word(most(&[column])))).collect::<Vec<_>>().join(", ");
        let (minutes, said) = (words::span(self.window), now.join(", "));
        let label =
            if counted(columns) { format!("{title}, the last {minutes}: now {said}; at most {peaks}") } else { format!("{title}: {said}") };
        let lines = columns.iter().map(|(_, column)| self.line(column, top)).collect();
        Chart { title, now, top: word(top), label, lines }
    }

    fn now(&self, word: &dyn Fn(u64) -> String, columns: &[(&str, &Column)], more: &str) -> Vec<String> {
        let is_new = self.ages.last().is_some_and(|age| *age <= self.apart);
        let present = |(verb, column): &(&str, &Column)| Some(format!("{verb}{}{more}", word(column.values.last().copied().flatten()?)));
        let instead = match self.now {
            Now::Off => "off",
            Now::Told | Now::Silent if !counted(columns) => "not counted",
            Now::Told if is_new => return columns.iter().map(present).collect::<Option<_>>().unwrap_or_else(|| vec!["busy".to_owned()]),
            Now::Told | Now::Silent => "nothing heard",
        };
        vec![instead.to_owned()]
    }

    fn line(&self, column: &Column, top: u64) -> Line {
        let mut line = Line { path: String::new(), area: String::new() };
        for points in self.pieces(column, top) {
            let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { continue };
            let through = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect::<Vec<_>>().join("L");
            // A single point is a dot: the line's ends are round.
            let dot = if points.len() == 1 { "h.1" } else { "" };
            line.path.push_str(&format!("M{through}{dot}"));
            line.area.push_str(&format!("M{first:.1} {HEIGHT}L{through}L{last:.1} {HEIGHT}Z"));
        }
        line
    }

    /// The points of a column, in a piece for each time without a gap.
    fn pieces(&self, column: &Column, top: u64) -> Vec<Vec<(f64, f64)>> {
        let mut pieces = vec![Vec::new()];
        let mut before = f64::INFINITY;
        for (age, value) in self.ages.iter().zip(&column.values) {
            if value.is_none() || before - age > self.apart {
                pieces.push(Vec::new());
            }
            before = *age;
            if let (Some(value), Some(piece)) = (value, pieces.last_mut()) {
                piece.push((WIDTH * (1.0 - age / self.window), HEIGHT * (1.0 - part(*value, top))));
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

fn counted(columns: &[(&str, &Column)]) -> bool {
    columns.iter().any(|(_, column)| column.values.iter().any(Option::is_some))
}

/// How much of the height a value takes.
#[allow(clippy::cast_precision_loss)]
fn part(value: u64, top: u64) -> f64 {
    (value as f64 / top.max(1) as f64).clamp(0.0, 1.0)
}

fn last(column: &Column) -> Option<u64> {
    column.values.iter().rev().find_map(|value| *value)
}

fn most(columns: &[&Column]) -> u64 {
    columns.iter().flat_map(|column| &column.values).filter_map(|value| *value).max().unwrap_or(0)
}

/// The next of 1, 2, 5, 10, 20, 50…: what is easily read at the top of a chart.
fn ceiling(value: u64) -> u64 {
    let mut ten: u64 = 1;
    loop {
        for step in [1, 2, 5] {
            let top = ten.saturating_mul(step);
            if top >= value || top == u64::MAX {
                return top;
            }
        }
        ten = ten.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_contracts::figures::MachineSample;
    use orrery_contracts::{MachineId, Time};

    /// A machine of which this was told, so many seconds ago.
    fn figures<const N: usize>(told: [(i64, u64, Option<u64>); N]) -> MachineFigures {
        let machine_id: MachineId = "0195f0c8-1111-7000-8000-000000000001".parse().unwrap();
        let at = |ago: i64| Time::parse(&format!("2026-11-21T12:{:02}:{:02}Z", (1800 - ago) / 60, (1800 - ago) % 60)).unwrap();
        let sample = |cpu, read| MachineSample {
            machine_id,
            cpus: 2,
            cpu,
            memory: 1 << 30,
            resident: 1 << 29,
            read,
            written: read.map(|read| read / 2),
            received: 0,
            sent: 400,
        };
        MachineFigures::of(machine_id, at(0), &told.map(|(ago, cpu, read)| (at(ago), sample(cpu, read))))
    }

    #[test]
    fn the_present_is_told_in_words() {
        let [cpu, memory, disks, network] = charts(&figures([(6, 1000, Some(0)), (1, 620, Some(1_200_000))]), Now::Told).unwrap();
        let said = |chart: &Chart| (chart.now.join(" · "), chart.top.clone());
        let is = |now: &str, top: &str| (now.to_owned(), top.to_owned());
        assert_eq!(said(&cpu), is("31 % of 2 processors", "100 %"));
        assert_eq!(cpu.label, "Processor, the last 15 min: now 31 % of 2 processors; at most 50 %");
        assert_eq!(said(&memory), is("takes 512 MiB, has 1 GiB", "1 GiB"));
        assert_eq!(said(&disks), is("reads 1.2 MB/s · writes 600.0 kB/s", "2.0 MB/s"));
        assert_eq!(said(&network), is("in 0 B/s · out 400 B/s", "1.0 kB/s"), "a whisper is not drawn as a shout");
    }

    #[test]
    fn a_line_goes_from_a_quarter_of_an_hour_ago_to_now() {
        let [cpu, ..] = charts(&figures([(900, 0, None), (895, 2000, None), (5, 1000, None), (0, 1000, None)]), Now::Told).unwrap();
        assert_eq!(cpu.lines[0].path, "M0.0 64.0L1.7 0.0M298.3 32.0L300.0 32.0", "and has a gap where nothing was told");
        assert_eq!(cpu.lines[0].area, "M0.0 64L0.0 64.0L1.7 0.0L1.7 64ZM298.3 64L298.3 32.0L300.0 32.0L300.0 64Z");
    }

    #[test]
    fn what_nobody_counted_is_a_gap_and_one_sample_is_a_dot() {
        let [_, _, disks, _] = charts(&figures([(10, 0, Some(1000)), (5, 0, None), (0, 0, Some(500))]), Now::Told).unwrap();
        assert_eq!(
            disks.lines.iter().map(|line| line.path.as_str()).collect::<Vec<_>>(),
            ["M296.7 0.0h.1M300.0 32.0h.1", "M296.7 32.0h.1M300.0 48.0h.1"]
        );
        let [_, _, never, _] = charts(&figures([(5, 0, None), (0, 0, None)]), Now::Told).unwrap();
        assert_eq!((never.now, never.label.as_str()), (vec!["not counted".to_owned()], "Disks: not counted"));
        assert_eq!(never.lines[0].path, "");
    }

    #[test]
    fn what_is_off_or_silent_is_not_told_as_the_present() {
        let known = figures([(65, 10, Some(0)), (60, 10, Some(0))]);
        let now = |now| charts(&known, now).unwrap().map(|chart| chart.now.concat());
        assert_eq!(now(Now::Off), ["off"; 4]);
        assert_eq!(now(Now::Silent), ["nothing heard"; 4]);
        assert_eq!(now(Now::Told), ["nothing heard"; 4], "a minute ago is not now");
        assert_eq!(charts(&figures([]), Now::Told), None);
    }

    #[test]
    fn more_than_a_guest_has_still_fits() {
        // QEMU's own work and memory come on top of the guest's.
        let [cpu, ..] = charts(&figures([(0, 2300, None)]), Now::Told).unwrap();
        assert_eq!((cpu.now.concat().as_str(), cpu.top.as_str()), ("115 % of 2 processors", "150 %"));
    }

    #[test]
    fn the_top_is_a_round_number() {
        assert_eq!([1, 2, 3, 7, 10, 11, 49, 501, 1_200_000].map(ceiling), [1, 2, 5, 10, 10, 20, 50, 1000, 2_000_000]);
        assert_eq!(ceiling(u64::MAX), u64::MAX);
    }
}
