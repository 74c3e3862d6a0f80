//! What the engine can do: asked of the daemon where it knows, and tried where it only believes to know.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use virt::connect::Connect;
use virt::sys;

use super::storage::present;
use super::{CALL, LONG, LibvirtEngine};
use crate::engine::error::{Class, EngineError};
use crate::engine::observed::{Accelerator, Capabilities, HostSize, SnapshotKinds};
use crate::engine::{Kind, xml};

/// How long a guest may take to run through its firmware; software does it in a third of a second where nothing else is done.
const PROBE: Duration = Duration::from_secs(10);
/// How often the probe is looked at.
const PROBE_LOOK: Duration = Duration::from_millis(10);
/// How many times as long as in software a guest under KVM may take: it takes less where KVM is what it should be.
const SLOWER: u32 = 2;
/// What says which accelerator to use, instead of trying.
const FORCED: &str = "ORRERY_LIBVIRT_ACCEL";

/// What was found by trying, with the versions that it was found on: of the daemon, and of QEMU.
#[derive(Debug, Default)]
pub(super) struct Found(Mutex<Option<(Versions, Accelerator)>>);

type Versions = (u32, u32);

impl Found {
    fn on(&self, versions: Versions) -> Option<Accelerator> {
        let found = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.filter(|(of, _)| *of == versions).map(|(_, accelerator)| accelerator)
    }

    fn keep(&self, versions: Versions, accelerator: Accelerator) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((versions, accelerator));
    }
}

/// What the daemon says about virtual machines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    uefi: bool,
    passt: bool,
}

impl Told {
    /// Reads `<domainCapabilities>`.
    fn read(text: &str) -> Result<Self, EngineError> {
        let document = xml::parse(text)?;
        let lists = |element: &str, name: &str, value: &str| {
            let listed = xml::at(&document, &[element]).into_iter().flat_map(|node| node.descendants());
            let values = listed.filter(|node| node.has_tag_name("enum") && node.attribute("name") == Some(name));
            values.flat_map(|node| node.children()).any(|node| node.has_tag_name("value") && node.text() == Some(value))
        };
        let interface = xml::at(&document, &["devices", "interface"]);
        let passt = interface.is_some_and(|node| node.descendants().any(|node| node.has_tag_name("value") && node.text() == Some("passt")));
        Ok(Self { uefi: lists("os", "firmware", "efi"), passt })
    }
}

/// What the engine can do.
pub(super) async fn capabilities(engine: &LibvirtEngine) -> Result<Capabilities, EngineError> {
    let question = |connection: &Connect| {
        let versions = (connection.lib_version()?, hypervisor(connection)?);
        let told = match connection.domain_capabilities(None, None, None, Some("qemu"), 0) {
            Ok(text) => Told::read(&text)?,
            // A driver without guests of its own (test) has nothing to tell.
            Err(_) => Told::default(),
        };
        let node = connection.node_info()?;
        Ok((versions, told, HostSize { cpus: node.cpus, memory: node.memory.saturating_mul(1024) }))
    };
    // The first time, the daemon asks QEMU itself, which can take a minute where KVM is slow.
    let (versions, told, host) = engine.ask(Kind::Vm, LONG, question).await?;
    Ok(Capabilities {
        host,
        version: versions.0,
        hypervisor: versions.1,
        accelerator: accelerator(engine, versions).await?,
        uefi: told.uefi,
        containers: containers(engine).await,
        passt: told.passt,
        snapshots: SnapshotKinds::of(versions.0),
    })
}

/// The version of QEMU. A daemon that could not ask QEMU what it can do when it first needed to know believes ever after that there is none,
/// until somebody wants all its capabilities.
fn hypervisor(connection: &Connect) -> Result<u32, EngineError> {
    connection.hyp_version().or_else(|error| {
        tracing::info!("libvirt looks for QEMU again: {error}");
        connection.capabilities()?;
        Ok(connection.hyp_version()?)
    })
}

async fn containers(engine: &LibvirtEngine) -> bool {
    engine.container.is_some() && engine.ask(Kind::Container, CALL, |connection| Ok(connection.lib_version()?)).await.is_ok()
}

async fn accelerator(engine: &LibvirtEngine, versions: Versions) -> Result<Accelerator, EngineError> {
    if let Ok(forced) = std::env::var(FORCED)
        && !forced.is_empty()
    {
        return forced_by(&forced);
    }
    if let Some(found) = engine.found.on(versions) {
        return Ok(found);
    }
    let found = if kvm_runs_guests(engine).await? { Accelerator::Kvm } else { Accelerator::Tcg };
    tracing::info!(accelerator = found.domain_type(), "what runs guests was found by trying");
    engine.found.keep(versions, found);
    Ok(found)
}

fn forced_by(word: &str) -> Result<Accelerator, EngineError> {
    match word {
        "kvm" => Ok(Accelerator::Kvm),
        "tcg" => Ok(Accelerator::Tcg),
        other => Err(EngineError::refuse("invalid", format!("{FORCED} is {other:?}: it may be kvm or tcg, or not be set"))),
    }
}

/// Whether KVM runs guests, by letting one run. That the device is there proves nothing: it may hang, or emulate each
/// instruction at a hundredth of the speed. So the same guest runs in software first, on a host that may be busy just now.
async fn kvm_runs_guests(engine: &LibvirtEngine) -> Result<bool, EngineError> {
    let in_software = runs(engine, Accelerator::Tcg, PROBE).await?;
    let within = in_software.map_or(PROBE, |took| took.saturating_mul(SLOWER));
    let under_kvm = runs(engine, Accelerator::Kvm, within).await?;
    tracing::info!(?in_software, ?under_kvm, "how long a guest takes through its firmware");
    Ok(under_kvm.is_some())
}

/// How long a guest took to run through its firmware, if it did so in time. It has no disk; its firmware finds nothing to boot and starts
/// again, upon which libvirt ends it: so its end, and nothing less, proves that its instructions were carried out.
async fn runs(engine: &LibvirtEngine, accelerator: Accelerator, within: Duration) -> Result<Option<Duration>, EngineError> {
    let uuid = Uuid::new_v4();
    let definition = probe(uuid, accelerator);
    let began = Instant::now();
    let started = engine.ask(Kind::Vm, LONG, move |connection| {
        Ok(connection.create_domain_xml(&definition, sys::VIR_DOMAIN_START_AUTODESTROY).map(drop)?)
    });
    match started.await {
        Ok(()) => {}
        Err(error) if error.class == Class::Wait => return Err(error),
        Err(error) => {
            tracing::debug!("no guest starts with {}: {error}", accelerator.domain_type());
            return Ok(None);
        }
    }
    let there = move |connection: &Connect| Ok(present(connection.lookup_domain_by_uuid(uuid))?.is_some());
    while engine.ask(Kind::Vm, CALL, there).await? {
        if began.elapsed() > within {
            let end = move |connection: &Connect| match present(connection.lookup_domain_by_uuid(uuid))? {
                Some(domain) => Ok(present(domain.destroy()).map(drop)?),
                None => Ok(()),
            };
            engine.ask(Kind::Vm, CALL, end).await?;
            return Ok(None);
        }
        tokio::time::sleep(PROBE_LOOK).await;
    }
    Ok(Some(began.elapsed()))
}

fn probe(uuid: Uuid, accelerator: Accelerator) -> String {
    format!(
        "<domain type='{}'><name>orrery-probe-{uuid}</name><uuid>{uuid}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
         <os><type>hvm</type><bios rebootTimeout='0'/></os><features><acpi/></features><on_reboot>destroy</on_reboot>\
         <devices><controller type='usb' model='none'/><video><model type='none'/></video><memballoon model='none'/></devices></domain>",
        accelerator.domain_type()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_tells_is_read() {
        let newer = "<domainCapabilities><os supported='yes'><enum name='firmware'><value>bios</value><value>efi</value></enum></os>\
                     <devices><interface supported='yes'><enum name='backendType'><value>default</value><value>passt</value></enum>\
                     </interface></devices></domainCapabilities>";
        assert_eq!(Told::read(newer).unwrap(), Told { uefi: true, passt: true });
        let older = "<domainCapabilities><os supported='yes'><enum name='firmware'/></os><devices/></domainCapabilities>";
        assert_eq!(Told::read(older).unwrap(), Told::default());
    }

    #[test]
    fn an_accelerator_may_be_forced_and_a_wrong_word_is_told() {
        assert_eq!(forced_by("kvm").unwrap(), Accelerator::Kvm);
        assert_eq!(forced_by("tcg").unwrap(), Accelerator::Tcg);
        assert_eq!(forced_by("yes").unwrap_err().code, "invalid");
    }

    #[test]
    fn what_was_found_holds_for_its_versions_alone() {
        let found = Found::default();
        found.keep((9_000_000, 7_002_000), Accelerator::Tcg);
        assert_eq!(found.on((9_000_000, 7_002_000)), Some(Accelerator::Tcg));
        assert_eq!(found.on((11_003_000, 7_002_000)), None);
    }
}
