//! The stacks that are measured: so many services of one process each, side by side or as chains of health checks.

/// How long a chain is.
const CHAIN: usize = 5;

/// A stack to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) services: usize,
    /// Whether each service waits until the one before it in its chain of five is healthy.
    pub(crate) chained: bool,
}

/// One service of it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// The one before it in its chain.
    pub(crate) after: Option<String>,
}

impl Shape {
    /// What is measured with so many services.
    pub(crate) fn of(services: usize) -> Vec<Self> {
        let flat = Self { services, chained: false };
        if services < CHAIN { vec![flat] } else { vec![flat, Self { services, chained: true }] }
    }

    pub(crate) fn words(self) -> String {
        match (self.services, self.chained) {
            (1, _) => "one service".to_owned(),
            (many, false) => format!("{many} services side by side"),
            (many, true) => format!("{many} services in chains of {CHAIN} health checks"),
        }
    }

    pub(crate) fn all(self) -> Vec<Service> {
        let name = |n: usize| format!("s{n:02}");
        let one =
            |n: usize| Service { name: name(n), after: (self.chained && !n.is_multiple_of(CHAIN)).then(|| name(n.saturating_sub(1))) };
        (0..self.services).map(one).collect()
    }

    /// The definition; of the first service so many times another one.
    pub(crate) fn definition(self, edition: usize) -> String {
        let mut text = "services:\n".to_owned();
        for (n, service) in self.all().iter().enumerate() {
            let edition = if n == 0 { edition } else { 0 };
            text.push_str(&format!(
                "  {}:\n    image: orrery/busybox:test\n    command: [\"sleep\", \"100000\"]\n    stop_signal: SIGKILL\n    environment: {{EDITION: \"{edition}\"}}\n",
                service.name
            ));
            if self.chained {
                text.push_str("    healthcheck: {test: [\"CMD\", \"true\"], interval: 500ms}\n");
            }
            if let Some(after) = &service.after {
                text.push_str(&format!("    depends_on: {{{after}: {{condition: service_healthy}}}}\n"));
            }
        }
        text
    }
}
