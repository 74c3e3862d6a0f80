//! The lines of a log view: merged from all services, bounded, one colour a service, filtered by words and by service,
//! held still while a person reads. It does not fetch.

use std::collections::{BTreeSet, VecDeque};

use orrery_contracts::rpc::LogLine;

/// Lines kept at most; the oldest go.
const KEPT: usize = 4000;

/// A line with a number of its own, so that a list can keep its rows apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) n: u64,
    pub(crate) line: LogLine,
}

/// A log view.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogLines {
    lines: VecDeque<Numbered>,
    held: VecDeque<LogLine>,
    services: Vec<String>,
    hidden: BTreeSet<String>,
    filter: String,
    next: u64,
    paused: bool,
}

impl LogLines {
    /// A view that knows these services before they speak, so that they have the same colours at every visit.
    pub(crate) fn of(services: impl IntoIterator<Item = String>) -> Self {
        let services: BTreeSet<String> = services.into_iter().collect();
        Self { services: services.into_iter().collect(), ..Self::default() }
    }

    /// Takes lines in, or sets them aside while the view is held still.
    pub(crate) fn push(&mut self, lines: impl IntoIterator<Item = LogLine>) {
        for line in lines {
            if !self.services.contains(&line.service) {
                self.services.push(line.service.clone());
            }
            if self.paused {
                self.held.push_back(line);
            } else {
                self.append(line);
            }
        }
        let over = self.held.len().saturating_sub(KEPT);
        self.held.drain(..over);
    }

    fn append(&mut self, line: LogLine) {
        self.lines.push_back(Numbered { n: self.next, line });
        self.next += 1;
        if self.lines.len() > KEPT {
            self.lines.pop_front();
        }
    }

    /// Holds the view still, or lets what was set aside in.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
        if !paused {
            for line in std::mem::take(&mut self.held) {
                self.append(line);
            }
        }
    }

    /// How many lines were set aside.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.held.clear();
    }

    /// Services that were known at first, then the others in the order in which they first spoke.
    pub(crate) fn services(&self) -> &[String] {
        &self.services
    }

    /// One of the eight colours; the same service keeps its own.
    pub(crate) fn hue(&self, service: &str) -> usize {
        self.services.iter().position(|known| known == service).unwrap_or(0) % 8 + 1
    }

    pub(crate) fn shows(&self, service: &str) -> bool {
        !self.hidden.contains(service)
    }

    pub(crate) fn toggle(&mut self, service: &str) {
        if !self.hidden.remove(service) {
            self.hidden.insert(service.to_owned());
        }
    }

    pub(crate) fn filter(&mut self, words: &str) {
        self.filter = words.trim().to_lowercase();
    }

    /// What fits the filters, oldest first.
    pub(crate) fn shown(&self) -> Vec<Numbered> {
        let fits = |line: &&Numbered| {
            self.shows(&line.line.service) && (self.filter.is_empty() || line.line.line.to_lowercase().contains(&self.filter))
        };
        self.lines.iter().filter(fits).cloned().collect()
    }

    /// Everything that is kept, as a text file.
    pub(crate) fn as_text(&self) -> String {
        self.shown().iter().fold(String::new(), |text, numbered| {
            let LogLine { time, service, line, .. } = &numbered.line;
            format!("{text}{time} {service} {line}\n")
        })
    }
}

/// A line without the escape sequences that colour terminals.
pub(crate) fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else if !c.is_control() || c == '\t' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_contracts::Time;

    fn line(service: &str, text: &str) -> LogLine {
        LogLine {
            time: Time::parse("2026-01-01T00:00:00Z").unwrap(),
            service: service.into(),
            number: None,
            stream: "stdout".into(),
            line: text.into(),
        }
    }

    fn texts(log: &LogLines) -> Vec<String> {
        log.shown().into_iter().map(|numbered| numbered.line.line).collect()
    }

    #[test]
    fn a_held_view_stands_still_and_loses_nothing() {
        let mut log = LogLines::default();
        log.push([line("web", "1")]);
        log.pause(true);
        log.push([line("db", "2"), line("web", "3")]);
        assert_eq!((texts(&log), log.held()), (vec!["1".to_owned()], 2));
        log.pause(false);
        assert_eq!(texts(&log), ["1", "2", "3"]);
    }

    #[test]
    fn words_and_services_filter_together() {
        let mut log = LogLines::default();
        log.push([line("web", "GET /a"), line("db", "got A"), line("web", "POST /b")]);
        log.filter(" /A ");
        assert_eq!(texts(&log), ["GET /a"]);
        log.filter("");
        log.toggle("web");
        assert_eq!(texts(&log), ["got A"]);
        assert_eq!((log.hue("web"), log.hue("db")), (1, 2));
    }

    #[test]
    fn services_that_are_known_keep_their_colours_whoever_speaks_first() {
        let mut log = LogLines::of(["web".to_owned(), "db".to_owned(), "web".to_owned()]);
        log.push([line("web", "1"), line("stray", "2")]);
        assert_eq!(log.services(), ["db", "web", "stray"]);
        assert_eq!((log.hue("web"), log.hue("stray")), (2, 3));
    }

    #[test]
    fn the_oldest_lines_go() {
        let mut log = LogLines::default();
        log.push((0..KEPT + 5).map(|n| line("web", &n.to_string())));
        assert_eq!(log.shown().len(), KEPT);
        assert_eq!(texts(&log)[0], "5");
    }

    #[test]
    fn colours_of_terminals_are_left_out() {
        assert_eq!(plain("\u{1b}[1;31merror\u{1b}[0m: a\tb\r"), "error: a\tb");
    }
}
