//! Machines: from the request to the one that runs, and to the one that has said on its console that it is ready, beside `virsh define`
//! and `virsh start` of the same definition.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use orrery_contracts::Bundle;
use orrery_contracts::rest::{Command, Machine};
use orrery_test_libvirt::Libvirtd;
use orrery_tests::machines::{import, import_as};
use orrery_tests::{Installation, Service, bundles, memory};
use serde_json::json;
use uuid::Uuid;

use crate::contest::between;
use crate::figures::{Times, verdict};

/// What the guest of one sector says last.
const READY: &str = "that is all";
/// Between two looks at what a guest has said.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a guest may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A virtual machine that runs.
    Running,
    /// A virtual machine that has said that it is ready.
    Ready,
    /// A container that runs.
    Container,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Running, Self::Ready, Self::Container];

    const fn words(self) -> &'static str {
        match self {
            Self::Running => "virtual machine until it runs",
            Self::Ready => "virtual machine until it is ready",
            Self::Container => "container until it runs",
        }
    }

    /// The definition.
    const fn definition(self) -> &'static str {
        match self {
            Self::Running => "kind: vm\nsource: {box: boots}\nmemory: 32MiB\nstop_grace_period: 1s\n",
            Self::Ready => {
                "kind: vm\nsource: {box: boots}\nmemory: 32MiB\nstop_grace_period: 1s\nready: {console: that is all, timeout: 60s}\n"
            }
            Self::Container => "kind: container\nsource: {archive: small}\nmemory: 32MiB\nstop_grace_period: 1s\n",
        }
    }
}

/// Machines of one kind, so many at once.
#[derive(Debug)]
struct Contest {
    kind: Kind,
    many: usize,
    /// From RUNNING to the last effect, all applies together.
    converge: Times,
    /// From the first request to the answer that the last one is DONE.
    whole: Times,
    virsh: Times,
    /// From RUNNING to DONE of an apply that finds nothing to do.
    nothing: Times,
}

/// So many machines of each kind.
pub(crate) async fn contests(orrery: &Installation, libvirt: &Libvirtd, many: usize, rounds: usize) -> anyhow::Result<String> {
    let mut text = "\n| | Orrery, RUNNING to the last effect | Orrery, first POST to the last DONE | virsh define, virsh start | nothing has changed |\n\
        | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let mut verdicts = String::new();
    boxes(orrery).await?;
    for kind in Kind::ALL {
        let mut contest =
            Contest { kind, many, converge: Times::default(), whole: Times::default(), virsh: Times::default(), nothing: Times::default() };
        for round in 0..rounds {
            eprintln!("{many} × {}, round {} of {rounds}", kind.words(), round.saturating_add(1));
            contest.round(orrery, libvirt).await?;
        }
        contest.report(&mut text, &mut verdicts);
    }
    Ok(format!("{text}\n{verdicts}"))
}

async fn boxes(orrery: &Installation) -> anyhow::Result<()> {
    let publisher = orrery.ci().await?;
    import(&publisher).await?;
    import_as(&publisher, "small", root()?).await
}

/// A root with one program that does nothing, in an archive.
fn root() -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let bin = folder.path().join("bin");
    std::fs::create_dir_all(&bin)?;
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).is_file());
    std::fs::copy(busybox.context("Debian's busybox-static is not installed")?, bin.join("busybox"))?;
    for name in ["sh", "sleep"] {
        std::os::unix::fs::symlink("busybox", bin.join(name))?;
    }
    for name in ["proc", "sys", "dev", "etc", "tmp", "sbin"] {
        std::fs::create_dir_all(folder.path().join(name))?;
    }
    let init = folder.path().join("sbin/init");
    std::fs::write(&init, "#!/bin/sh\ntrap 'exit 0' TERM PWR INT\nwhile :; do sleep 1000 & wait $!; done\n")?;
    std::fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let packed = Program::new("tar").arg("-C").arg(folder.path()).args(["--owner=0", "--group=0", "-czf", "-", "."]).output()?;
    ensure!(packed.status.success(), "tar: {}", String::from_utf8_lossy(&packed.stderr));
    Ok(packed.stdout)
}

impl Contest {
    /// All machines by Orrery, and the same definitions by virsh, one after another as the queue has them.
    async fn round(&mut self, orrery: &Installation, libvirt: &Libvirtd) -> anyhow::Result<()> {
        let names: Vec<String> = (0..self.many).map(|number| format!("{}-{number}", orrery.name("bench"))).collect();
        let bundle = bundles::with(Bundle::default(), "machine.yaml", self.kind.definition());
        let start = Instant::now();
        let mut sent = Vec::new();
        for name in &names {
            orrery.api.write("/machines", json!({"name": name, "bundle": bundle})).await?;
            sent.push(orrery.api.write(&format!("/machines/{name}/apply/1"), json!({})).await?);
        }
        let mut converge = Duration::ZERO;
        for command in &sent {
            converge = converge.saturating_add(effects(&orrery.api.must_be_done(&command.id).await?)?);
        }
        self.whole.push(start.elapsed());
        self.converge.push(converge);
        for name in &names {
            let again = orrery.api.done(&format!("/machines/{name}/apply/1"), json!({})).await?;
            self.nothing.push(between(again.started_at.context("it never ran")?, again.ended_at.context("it never ended")?));
        }
        let first: Machine = orrery.api.read(&format!("/machines/{}", names.first().context("no machine")?)).await?;
        let peer = Peer::like(libvirt, self.kind, &first)?;
        for name in &names {
            orrery.api.done(&format!("/machines/{name}/stop"), json!({})).await?;
        }
        self.virsh.push(peer.run(self.many)?);
        for name in &names {
            orrery.api.done(&format!("/machines/{name}/delete"), json!({"disks": true})).await?;
        }
        Ok(())
    }

    fn report(&self, text: &mut String, verdicts: &mut String) {
        let Self { kind, many, converge, whole, virsh, nothing } = self;
        let (converged, whole, peer, idle) = (converge.spread(), whole.spread(), virsh.spread(), nothing.spread());
        let _ = writeln!(text, "| {many} × {} | {converged} | {whole} | {peer} | {idle} |", kind.words());
        let slower = converge.over(virsh);
        let _ = writeln!(
            verdicts,
            "{}: {slower:.2} times virsh, which has its disks made before; aim: 1.10: {}. An apply that finds nothing to do: aim: under 20 ms: {}.  ",
            kind.words(),
            verdict(slower <= 1.10),
            verdict(nothing.median() < Duration::from_millis(20))
        );
    }
}

/// From RUNNING to the end of the last step that changed something, or saw the machine ready.
fn effects(command: &Command) -> anyhow::Result<Duration> {
    let last = command.steps.iter().filter_map(|step| step.ended_at).max();
    Ok(between(command.started_at.context("it never ran")?, last.or(command.ended_at).context("it never ended")?))
}

/// The same machines by hand: the definition that libvirt has of the one that Orrery made, under other names.
struct Peer<'a> {
    libvirt: &'a Libvirtd,
    kind: Kind,
    id: String,
    name: String,
    xml: String,
}

impl<'a> Peer<'a> {
    fn like(libvirt: &'a Libvirtd, kind: Kind, machine: &Machine) -> anyhow::Result<Self> {
        let id = machine.id.to_string();
        let peer = Self { libvirt, kind, name: String::new(), xml: String::new(), id: id.clone() };
        let (name, xml) = (peer.virsh(&["domname", &id])?, peer.virsh(&["dumpxml", "--inactive", &id])?);
        Ok(Self { name: name.trim().to_owned(), xml, ..peer })
    }

    /// Defines and starts so many, and removes them again; what only this took is measured.
    fn run(&self, many: usize) -> anyhow::Result<Duration> {
        let folder = tempfile::tempdir_in(self.libvirt.folder())?;
        let mut guests = Vec::new();
        for number in 0..many {
            let guest = Guest::new(format!("peer-{number}"), folder.path(), number);
            std::fs::write(&guest.xml, self.definition(&guest))?;
            self.copy_disks(&guest.id)?;
            guests.push(guest);
        }
        let start = Instant::now();
        for guest in &guests {
            self.virsh(&["define", &guest.xml.display().to_string()])?;
            self.virsh(&["start", &guest.name])?;
            if self.kind == Kind::Ready {
                guest.is_ready()?;
            }
        }
        let took = start.elapsed();
        for guest in &guests {
            self.virsh(&["destroy", &guest.name])?;
            self.virsh(&["undefine", &guest.name])?;
            self.remove_disks(&guest.id)?;
        }
        Ok(took)
    }

    fn definition(&self, guest: &Guest) -> String {
        let name = |name: &str| format!("<name>{name}</name>");
        let said = format!("<serial type='pty'><log file='{}'/>", guest.said.display());
        let xml = self.xml.replace(&name(&self.name), &name(&guest.name)).replace(&self.id, &guest.id);
        if self.kind == Kind::Ready { xml.replace("<serial type='pty'>", &said) } else { xml }
    }

    fn disks(&self, id: &str) -> anyhow::Result<Vec<PathBuf>> {
        let pool = self.libvirt.folder().join("pool").read_dir()?;
        let own = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(id));
        Ok(pool.flatten().map(|entry| entry.path()).filter(own).collect())
    }

    fn copy_disks(&self, id: &str) -> anyhow::Result<()> {
        for disk in self.disks(&self.id)? {
            let copy = disk.display().to_string().replace(&self.id, id);
            ran(Program::new("cp").arg("-a").arg(&disk).arg(copy))?;
        }
        Ok(())
    }

    fn remove_disks(&self, id: &str) -> anyhow::Result<()> {
        self.disks(id)?.iter().try_for_each(|disk| ran(Program::new("rm").arg("-rf").arg(disk)).map(drop))
    }

    fn virsh(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let at = if self.kind == Kind::Container { self.libvirt.container() } else { self.libvirt.vm() };
        ran(Program::new("virsh").args(["--quiet", "--connect", &at]).args(arguments))
    }
}

fn ran(program: &mut Program) -> anyhow::Result<String> {
    let output = program.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// One of them.
struct Guest {
    name: String,
    id: String,
    xml: PathBuf,
    said: PathBuf,
}

impl Guest {
    fn new(name: String, folder: &Path, number: usize) -> Self {
        let file = |extension: &str| folder.join(format!("{number}.{extension}"));
        Self { name, id: Uuid::now_v7().to_string(), xml: file("xml"), said: file("log") }
    }

    fn is_ready(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !std::fs::read_to_string(&self.said).unwrap_or_default().contains(READY) {
            ensure!(begun.elapsed() < PATIENCE, "{} is not ready", self.name);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// So many machines one after another, each made, run and removed: what the executor holds afterwards.
pub(crate) async fn lives(orrery: &Installation, many: usize) -> anyhow::Result<String> {
    boxes(orrery).await?;
    let bundle = bundles::with(Bundle::default(), "machine.yaml", Kind::Running.definition());
    let pid = orrery.pid(Service::LibvirtExecutor).context("the executor does not run")?;
    let (begun, mut early) = (Instant::now(), 0);
    for number in 0..many {
        let name = format!("life-{number}");
        orrery.api.write("/machines", json!({"name": name, "bundle": bundle})).await?;
        orrery.api.write(&format!("/machines/{name}/apply/1"), json!({})).await?;
        orrery.api.write(&format!("/machines/{name}/stop"), json!({})).await?;
        orrery.api.done(&format!("/machines/{name}/delete"), json!({"disks": true})).await?;
        if number == many / 10 {
            early = memory::resident(pid)?;
        }
    }
    let (late, took) = (memory::resident(pid)?, begun.elapsed());
    let grown = late as f64 / early as f64;
    Ok(format!(
        "\n{many} machines, one after another made, started, stopped and removed, in {:.0} s: the executor holds {early} KiB after a tenth of them and {late} KiB after \
         all, {grown:.2} times as much; aim: 1.10: {}.\n",
        took.as_secs_f64(),
        verdict(grown <= 1.10)
    ))
}
