//! Words and figures as a person reads them: how long, how long ago, how a thing is. It knows no signal and no element;
//! what time it is comes in from outside.

use orrery_contracts::rest::{Command, Container, Host};
use orrery_contracts::{DomainState, Health, MachineKind, MachineStatus, MachineSummary, Severity, StackStatus, Status, Time};

/// The five ways in which a thing can be; each is a shape and a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Ok,
    Warn,
    Bad,
    Wait,
    Off,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Wait => "wait",
            Self::Off => "off",
        }
    }
}

/// Digits in groups of three with narrow spaces that do not break: `1 285`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 file`, `3 files`.
pub(crate) fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

/// Bytes in the unit that keeps them short.
pub(crate) fn bytes(n: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let n = n as f64;
    match n {
        n if n < 1000.0 => format!("{n:.0} B"),
        n if n < 1e6 => format!("{:.1} kB", n / 1e3),
        n if n < 1e9 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.1} GB", n / 1e9),
    }
}

/// A span of time: `3 ms`, `0.5 s`, `21.4 s`, `4 min`, `2 h`, `3 days`.
pub(crate) fn span(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 0.1 => format!("{:.0} ms", (s * 1000.0).max(1.0)),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min", (s / 60.0).floor()),
        s if s < 86_400.0 => format!("{:.0} h", (s / 3600.0).floor()),
        s if s < 2.0 * 86_400.0 => "1 day".into(),
        s => format!("{:.0} days", (s / 86_400.0).floor()),
    }
}

/// How long something that goes on has lasted: whole seconds, so that it does not flicker.
pub(crate) fn lasting(seconds: f64) -> String {
    if seconds < 60.0 { format!("{:.0} s", seconds.max(0.0).floor()) } else { span(seconds) }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How long ago: `just now`, `14 s ago`, `4 min ago`, `yesterday`, `9 Nov`, `9 Nov 2024`.
pub(crate) fn ago(now: Time, then: Time) -> String {
    match now.seconds_since(then) {
        s if s < 5.0 => "just now".into(),
        s if s < 86_400.0 => format!("{} ago", lasting(s)),
        s if s < 2.0 * 86_400.0 => "yesterday".into(),
        s if s < 7.0 * 86_400.0 => format!("{:.0} days ago", (s / 86_400.0).floor()),
        s => {
            let then = then.inner();
            let month = MONTHS.get(usize::from(u8::from(then.month())).saturating_sub(1)).copied().unwrap_or_default();
            let day = then.day();
            if s < 300.0 * 86_400.0 { format!("{day} {month}") } else { format!("{day} {month} {}", then.year()) }
        }
    }
}

/// How a stack is.
pub(crate) const fn stack_status(status: StackStatus) -> (Tone, &'static str) {
    match status {
        StackStatus::Created => (Tone::Off, "not applied yet"),
        StackStatus::Deploying => (Tone::Wait, "deploying"),
        StackStatus::Running => (Tone::Ok, "running"),
        StackStatus::Degraded => (Tone::Warn, "degraded"),
        StackStatus::Stopped => (Tone::Off, "stopped"),
        StackStatus::Drifted => (Tone::Warn, "drifted"),
        StackStatus::Failed => (Tone::Bad, "failed"),
        StackStatus::Deleting => (Tone::Wait, "going away"),
    }
}

/// How a machine is.
pub(crate) const fn machine_status(status: MachineStatus) -> (Tone, &'static str) {
    match status {
        MachineStatus::Created => (Tone::Off, "not applied yet"),
        MachineStatus::Deploying => (Tone::Wait, "changing"),
        MachineStatus::Running => (Tone::Ok, "running"),
        MachineStatus::Degraded => (Tone::Warn, "should run"),
        MachineStatus::Stopped => (Tone::Off, "stopped"),
        MachineStatus::Suspended => (Tone::Warn, "suspended"),
        MachineStatus::Drifted => (Tone::Warn, "drifted"),
        MachineStatus::Failed => (Tone::Bad, "failed"),
        MachineStatus::Deleting => (Tone::Wait, "going away"),
    }
}

/// What a guest does, as libvirt says.
pub(crate) const fn domain_state(state: DomainState) -> &'static str {
    match state {
        DomainState::Running => "runs",
        DomainState::Paused => "stands still",
        DomainState::ShuttingDown => "is shutting down",
        DomainState::Off => "is off",
        DomainState::Crashed => "has crashed",
        DomainState::Asleep => "sleeps",
    }
}

/// What a machine is.
pub(crate) const fn machine_kind(kind: MachineKind) -> &'static str {
    match kind {
        MachineKind::Vm => "virtual machine",
        MachineKind::Container => "system container",
    }
}

/// `box debian-12, 2 processors, 1.1 GB`.
pub(crate) fn machine_summary(summary: &MachineSummary) -> String {
    format!("{}, {}, {}", summary.source, plural(summary.cpus as usize, "processor", "processors"), memory(summary.memory))
}

/// What runs things here: `Docker 28.5.2 · libvirt 9.0.0, emulating in software`.
pub(crate) fn engines(hosts: &[Host]) -> String {
    let one = |host: &Host| {
        let name = if host.engine == "docker" { "Docker" } else { &host.engine };
        let how = host.accelerator.as_deref().and_then(accelerator).map(|how| format!(", {how}"));
        host.engine_version.as_ref().map(|version| format!("{name} {version}{}", how.unwrap_or_default()))
    };
    hosts.iter().filter_map(one).collect::<Vec<_>>().join(" · ")
}

/// How virtual machines are run.
pub(crate) fn accelerator(name: &str) -> Option<&'static str> {
    match name {
        "kvm" => Some("with KVM"),
        "tcg" => Some("emulating in software"),
        _ => None,
    }
}

/// Memory and disks, which come in powers of two: `512 MiB`, `1.5 GiB`.
pub(crate) fn memory(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let mib = bytes as f64 / f64::from(1 << 20);
    let short = |n: f64| if n.fract() < 0.05 { format!("{n:.0}") } else { format!("{n:.1}") };
    match mib {
        n if n < 1.0 => format!("{bytes} B"),
        n if n < 1024.0 => format!("{} MiB", short(n)),
        n => format!("{} GiB", short(n / 1024.0)),
    }
}

/// The name that a box's address suggests: its file without what says the format, in the letters that a name may have.
pub(crate) fn box_name(url: &str) -> String {
    let file = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let stem = [".qcow2", ".img", ".raw", ".iso", ".box"].iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    stem.chars().map(letter).collect::<String>().trim_start_matches(['-', '_']).chars().take(63).collect()
}

/// How a container is. One that ended well is done, not down.
pub(crate) fn container_state(container: &Container) -> (Tone, String) {
    match (container.state.as_str(), container.health, container.exit_code) {
        ("running", Health::Unhealthy, _) => (Tone::Bad, "unhealthy".into()),
        ("running", Health::Starting, _) => (Tone::Wait, "starting".into()),
        ("running", _, _) if !container.drift.is_empty() => (Tone::Warn, "drifted".into()),
        ("running", Health::Healthy, _) => (Tone::Ok, "healthy".into()),
        ("running", Health::None, _) => (Tone::Ok, "running".into()),
        ("exited", _, Some(0)) => (Tone::Off, "done, exit 0".into()),
        ("exited", _, Some(code)) => (Tone::Bad, format!("ended, exit {code}")),
        ("created", _, _) => (Tone::Off, "not started".into()),
        ("restarting", _, Some(code)) => (Tone::Bad, format!("restarting, exit {code}")),
        ("restarting" | "removing", _, _) => (Tone::Wait, container.state.clone()),
        ("paused", _, _) => (Tone::Warn, "paused".into()),
        (other, _, _) => (Tone::Bad, other.to_owned()),
    }
}

/// Where a command stands. `before` is the sequence that it waits for.
pub(crate) fn command_state(command: &Command, before: Option<u64>) -> (Tone, String) {
    match command.status {
        Status::Pending => (Tone::Off, before.map_or_else(|| "waits".into(), |seq| format!("waits for {}", count(seq)))),
        Status::Running if command.cancel_requested => (Tone::Wait, "stopping".into()),
        Status::Running => (Tone::Wait, "running".into()),
        Status::Done => (Tone::Ok, if nothing_to_do(command) { "done, nothing to do".into() } else { "done".into() }),
        Status::Failed => (Tone::Bad, "failed, holds".into()),
        Status::Cancelled if rejected(command) => (Tone::Bad, "rejected".into()),
        Status::Cancelled if command.error.is_some() => (Tone::Bad, "failed, cancelled".into()),
        Status::Cancelled => (Tone::Off, "cancelled".into()),
    }
}

fn nothing_to_do(command: &Command) -> bool {
    command.plan.as_ref().is_some_and(|plan| plan.empty) || command.reason.as_deref().is_some_and(|reason| reason.contains("nothing to do"))
}

/// Whether the queue would not take it.
pub(crate) fn rejected(command: &Command) -> bool {
    command.reason.as_deref().is_some_and(|reason| reason.starts_with("rejected:"))
}

/// The one line that says why a command ended as it did; none where there is nothing to add.
pub(crate) fn command_reason(command: &Command) -> Option<String> {
    let error = command.error.as_ref().map(|error| error.message.clone());
    let reason = command.reason.as_deref().map(|reason| reason.strip_prefix("rejected:").unwrap_or(reason).trim().to_owned());
    error.or(reason).filter(|line| !line.is_empty() && line != "nothing to do")
}

/// What a command does, as a verb.
pub(crate) fn command_verb(command: &Command) -> &str {
    match command.r#type.as_deref().map(deed) {
        Some("version.create") => "save",
        Some("rollback") => "roll back",
        Some("shutdown") => "shut down",
        Some("snapshot.create") => "snapshot",
        Some("snapshot.revert") => "revert",
        Some("snapshot.delete") => "forget a snapshot of",
        Some("secret.put") => "set a secret of",
        Some("secret.remove") => "forget a secret of",
        Some("import") => "import box",
        Some("remove") => "remove box",
        Some(deed) => deed,
        None => "unreadable message",
    }
}

/// A type without that which it is about.
fn deed(kind: &str) -> &str {
    kind.split_once('.').map_or(kind, |(_, deed)| deed)
}

/// What a command is about: the stack's or machine's name, else what its publisher wrote.
pub(crate) fn command_subject(command: &Command) -> String {
    command.stack_name.clone().or_else(|| command.machine_name.clone()).or_else(|| command.target.clone()).unwrap_or_default()
}

/// The id of the stack or machine that a command is about, once known.
pub(crate) fn command_about(command: &Command) -> Option<String> {
    command.stack_id.map(|id| id.to_string()).or_else(|| command.machine_id.map(|id| id.to_string()))
}

/// `apply shop v4`.
pub(crate) fn command_phrase(command: &Command) -> String {
    let version = command.version.map(|version| format!(" v{version}")).unwrap_or_default();
    format!("{} {}{version}", command_verb(command), command_subject(command)).trim_end().to_owned()
}

/// What went through the queue, in the past tense, for lists of what happened.
pub(crate) fn command_deed(command: &Command) -> &'static str {
    match command.status {
        Status::Cancelled if rejected(command) => "rejected",
        Status::Cancelled => "cancelled",
        Status::Failed => "failed",
        Status::Pending | Status::Running => "goes on",
        Status::Done if nothing_to_do(command) => "nothing to do",
        Status::Done => command.r#type.as_deref().map_or("done", past),
    }
}

/// A type of command that has been carried out.
fn past(kind: &str) -> &'static str {
    match deed(kind) {
        "version.create" => "saved",
        "snapshot.create" => "kept in a snapshot",
        "snapshot.revert" => "reverted",
        "snapshot.delete" => "snapshot forgotten",
        "secret.put" => "secret set",
        "secret.remove" => "secret forgotten",
        "create" => "created",
        "apply" => "applied",
        "rollback" => "rolled back",
        "deploy" => "deployed",
        "start" => "started",
        "stop" => "stopped",
        "restart" => "restarted",
        "shutdown" => "shut down",
        "reboot" => "rebooted",
        "suspend" => "suspended",
        "resume" => "resumed",
        "delete" => "deleted",
        "import" => "imported",
        "remove" => "removed",
        _ => "done",
    }
}

/// Through which door a command came in.
pub(crate) fn through(publisher: &str) -> (bool, String) {
    match publisher {
        "api" => (false, "page or API".into()),
        "ops" => (true, "operations".into()),
        other => (true, format!("publisher {other}")),
    }
}

/// The verb of a plan's action.
pub(crate) fn action_verb(action: &str) -> &str {
    action.rsplit('.').next().unwrap_or(action)
}

/// What kind of thing an action is about: `network`, `image`; nothing for a container.
pub(crate) fn action_kind(action: &str) -> &str {
    match action.split_once('.') {
        Some(("container", _)) | None => "",
        Some((kind, _)) => kind,
    }
}

/// How much something that is said of a plan or a definition matters.
pub(crate) const fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warn,
        Severity::Note => Tone::Off,
    }
}

/// The same in a word.
pub(crate) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A JSON value in a sentence: texts without quotes, what is missing as a dash.
pub(crate) fn value(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => "–".into(),
        Some(serde_json::Value::String(text)) if text.is_empty() => "\"\"".into(),
        Some(serde_json::Value::String(text)) => shorten(text, 80),
        Some(other) => shorten(&other.to_string(), 80),
    }
}

/// The first sentences of a text, as many as fit.
pub(crate) fn sentences(text: &str, most: usize) -> String {
    let ends = text.match_indices(". ").map(|(at, _)| at + 1);
    let end = ends.take_while(|end| *end <= most).last();
    end.and_then(|end| text.get(..end)).map_or_else(|| shorten(text, most), str::to_owned)
}

/// The beginning of a long text. Digests keep their first twelve characters.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        return text.chars().take(12).collect();
    }
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn figures_are_grouped_by_three() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1285), "1\u{202f}285");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn the_engines_of_a_host_are_told_and_how_its_machines_are_run() {
        let host = |engine: &str, version: Option<&str>, accelerator: Option<&str>| Host {
            name: "local".into(),
            engine: engine.into(),
            engine_version: version.map(str::to_owned),
            api_version: None,
            cpus: None,
            memory: None,
            accelerator: accelerator.map(str::to_owned),
            executor_alive: true,
            engine_ready: true,
            waiting_for: None,
        };
        let docker = host("docker", Some("28.5.2"), None);
        for (libvirt, told) in [
            (host("libvirt", Some("9.0.0"), Some("tcg")), "Docker 28.5.2 · libvirt 9.0.0, emulating in software"),
            (host("libvirt", Some("11.3.0"), Some("kvm")), "Docker 28.5.2 · libvirt 11.3.0, with KVM"),
            (host("libvirt", Some("9.0.0"), None), "Docker 28.5.2 · libvirt 9.0.0"),
            (host("libvirt", None, None), "Docker 28.5.2"),
        ] {
            assert_eq!(engines(&[docker.clone(), libvirt]), told);
        }
    }

    #[test]
    fn memory_is_told_in_powers_of_two() {
        let told: Vec<_> = [512, 1 << 20, 512 << 20, 1536 << 20, 2 << 30].into_iter().map(memory).collect();
        assert_eq!(told, ["512 B", "1 MiB", "512 MiB", "1.5 GiB", "2 GiB"]);
    }

    #[test]
    fn an_address_suggests_a_name_that_a_box_may_have() {
        let told = ["https://a.example/x/Debian-12.5_generic.qcow2?x=1", "https://a.example/disk.img", "http://a.example/"].map(box_name);
        assert_eq!(told, ["debian-12-5_generic", "disk", ""]);
    }

    #[test]
    fn a_span_is_told_in_the_unit_that_a_person_would_use() {
        let told: Vec<_> = [0.0, 0.003, 0.5, 21.43, 59.94, 60.0, 260.0, 7300.0, 90_000.0, 300_000.0].into_iter().map(span).collect();
        assert_eq!(told, ["1 ms", "3 ms", "0.5 s", "21.4 s", "59.9 s", "1 min", "4 min", "2 h", "1 day", "3 days"]);
    }

    #[test]
    fn the_past_is_told_from_now() {
        let now = time("2026-11-21T12:00:00Z");
        let told: Vec<_> = [
            "2026-11-21T11:59:58Z",
            "2026-11-21T11:59:46Z",
            "2026-11-21T11:56:00Z",
            "2026-11-21T01:00:00Z",
            "2026-11-20T03:00:00Z",
            "2026-11-17T03:00:00Z",
            "2026-11-09T12:00:00Z",
            "2025-11-09T12:00:00Z",
            "2026-11-21T12:00:09Z",
        ]
        .into_iter()
        .map(|then| ago(now, time(then)))
        .collect();
        assert_eq!(told, ["just now", "14 s ago", "4 min ago", "11 h ago", "yesterday", "4 days ago", "9 Nov", "9 Nov 2025", "just now"]);
    }

    fn container(state: &str, health: Health, exit_code: Option<i64>) -> Container {
        Container {
            id: "1".into(),
            name: "shop-web-1".into(),
            service: "web".into(),
            number: 1,
            image: "shop".into(),
            state: state.into(),
            health,
            exit_code,
            ports: vec![],
            started_at: None,
            version: Some(1),
            drift: vec![],
        }
    }

    #[test]
    fn a_job_that_ended_well_is_done_and_not_down() {
        assert_eq!(container_state(&container("exited", Health::None, Some(0))), (Tone::Off, "done, exit 0".into()));
        assert_eq!(container_state(&container("exited", Health::None, Some(3))), (Tone::Bad, "ended, exit 3".into()));
        assert_eq!(container_state(&container("running", Health::Unhealthy, None)).0, Tone::Bad);
        assert_eq!(container_state(&container("running", Health::Healthy, None)), (Tone::Ok, "healthy".into()));
    }

    #[test]
    fn a_summary_ends_where_a_sentence_does() {
        assert_eq!(sentences("One. Two two. Three three three.", 16), "One. Two two.");
        assert_eq!(sentences("Only one that is far too long", 10), "Only one …");
    }

    #[test]
    fn values_of_changes_read_like_words() {
        assert_eq!(value(None), "–");
        assert_eq!(value(Some(&serde_json::json!("60"))), "60");
        assert_eq!(value(Some(&serde_json::json!(["a", 1]))), r#"["a",1]"#);
        assert_eq!(value(Some(&serde_json::json!("ab".repeat(32)))), "abababababab");
    }
}
