//! What convergence relies on in libvirt, tried on the one in memory, on libvirt's own driver for tests, and on real virtual
//! machines and containers of a libvirtd of the tests' own: the same suite, so that the first cannot drift from the others.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

mod support;

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::Bytes;
use orrery_libvirt_executor::engine::libvirt::Uris;
use orrery_libvirt_executor::engine::memory::Behaviour;
use orrery_libvirt_executor::engine::{
    Accelerator, Act, AddressSource, Backing, BackingImage, Change, Class, DomainEvent, DomainRef, Effect, EngineError, Format, Hypervisor,
    Kind, LibvirtEngine, MemoryEngine, NewVolume, Outcome, Reservation, Scope, Seen, Source, State, Until,
};
use orrery_test_libvirt::Libvirtd;
use support::guests;
use support::lab::{Body, Lab, Lack, Machine};

const SOON: Duration = Duration::from_secs(60);

async fn act(engine: &impl Hypervisor, act: Act) -> Result<Effect, EngineError> {
    engine.act(&act, &|_| {}).await
}

/// An act that is done, and found done when it is repeated.
async fn once(engine: &impl Hypervisor, one: Act) -> Effect {
    let word = one.word();
    let first = act(engine, one.clone()).await.unwrap_or_else(|error| panic!("{word}: {error}"));
    assert!(!first.already, "{word} has something to do");
    let again = act(engine, one).await.unwrap_or_else(|error| panic!("{word} again: {error}"));
    assert!(again.already, "{word} twice is {word}");
    assert_eq!(first.id, again.id.or_else(|| first.id.clone()), "{word} finds what it made");
    first
}

async fn seen(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) -> Seen {
    let scope = Scope { only: Some(machine.uuid), ..Scope::default() };
    let observed = engine.observe(&scope).await.unwrap();
    let seen = observed.domain(machine.uuid).unwrap_or_else(|| panic!("{} is seen", machine.name)).clone();
    assert_eq!(seen.domain, lab.domain(machine));
    seen
}

/// The whole suite.
async fn conforms(engine: &impl Hypervisor, lab: &Lab) {
    let overlay = volumes(engine, lab).await;
    networks(engine, lab).await;
    let mut machine = lab.machine("one");
    machine.disk = overlay;
    machine.interface = (lab.engine != "test").then(|| (lab.name("net"), "52:54:00:77:00:07".to_owned()));
    defined(engine, lab, &machine).await;
    tuned(engine, lab, &machine).await;
    runs(engine, lab, &machine).await;
    streams(engine, lab, &machine).await;
    snapshots(engine, lab, &machine).await;
    ends(engine, lab, &machine).await;
    refuses(engine, lab, &machine).await;
    goes(engine, lab, &machine).await;
}

/// Pool, image, overlay; says where the overlay lies.
async fn volumes(engine: &impl Hypervisor, lab: &Lab) -> Option<String> {
    let (pool, base, overlay) = (lab.name("pool"), "base.qcow2".to_owned(), "one.qcow2".to_owned());
    let path = lab.folder.join("pool");
    once(engine, Act::EnsurePool { name: pool.clone(), path: path.clone() }).await;
    let error = act(engine, Act::EnsurePool { name: pool.clone(), path: lab.folder.join("elsewhere") }).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Refuse, "pool_elsewhere"));
    let new = |name: &str, capacity, format, backing| {
        Act::CreateVolume(NewVolume { pool: pool.clone(), name: name.to_owned(), capacity, format, backing })
    };
    once(engine, new(&base, 64 << 20, Format::Qcow2, None)).await;
    let backing = Backing { image: BackingImage::Volume(base.clone()), format: Format::Qcow2 };
    let made = once(engine, new(&overlay, 128 << 20, Format::Qcow2, Some(backing))).await;
    let missing = Backing { image: BackingImage::Volume("nowhere".to_owned()), format: Format::Qcow2 };
    assert!(act(engine, new("over-nothing", 1 << 20, Format::Qcow2, Some(missing))).await.unwrap_err().is_gone());
    if lab.has(Lack::Resize) {
        once(engine, Act::ResizeVolume { pool: pool.clone(), name: overlay.clone(), capacity: 256 << 20 }).await;
    }
    if lab.has(Lack::Upload) {
        let bytes = Bytes::from(vec![7; 3 << 20]);
        once(engine, new("seed.img", 4 << 20, Format::Raw, None)).await;
        let source = Source::Bytes(bytes.clone());
        once(engine, Act::Upload { pool: pool.clone(), name: "seed.img".to_owned(), source, size: 3 << 20 }).await;
        let upload = Act::Upload { pool: pool.clone(), name: "nowhere".to_owned(), source: Source::Bytes(bytes), size: 3 << 20 };
        assert!(act(engine, upload).await.unwrap_err().is_gone());
    }
    let observed = engine.observe(&Scope::all(&pool)).await.unwrap();
    let names: Vec<&str> = observed.volumes.iter().map(|volume| volume.name.as_str()).collect();
    let expected: &[&str] = if lab.has(Lack::Upload) { &["base.qcow2", "one.qcow2", "seed.img"] } else { &["base.qcow2", "one.qcow2"] };
    assert_eq!(names, expected, "marks of uploads are no volumes");
    if lab.has(Lack::Upload) {
        assert!(observed.volume("seed.img").unwrap().uploaded && !observed.volume("base.qcow2").unwrap().uploaded);
    }
    let (base, one) = (observed.volume(&base).unwrap(), observed.volume(&overlay).unwrap());
    assert_eq!((base.capacity, base.format.as_str()), (64 << 20, "qcow2"));
    if lab.has(Lack::Backing) {
        assert_eq!((one.capacity, one.backing.as_deref()), (256 << 20, Some(base.path.as_str())));
    }
    made.id
}

async fn networks(engine: &impl Hypervisor, lab: &Lab) {
    let name = lab.name("net");
    let xml = lab.network_xml(&name, "orrtest0");
    let other = act(engine, Act::EnsureNetwork { name: "other".to_owned(), xml: xml.clone() }).await.unwrap_err();
    assert_eq!(other.code, "invalid");
    once(engine, Act::EnsureNetwork { name: name.clone(), xml }).await;
    let reservation = |mac: &str, ip: &str| Reservation { mac: mac.to_owned(), ip: ip.parse().unwrap(), name: lab.name("one") };
    let reserve = |mac: &str, ip: &str| Act::Reserve { network: name.clone(), reservation: reservation(mac, ip) };
    once(engine, reserve("52:54:00:77:00:07", "10.77.0.9")).await;
    once(engine, reserve("52:54:00:77:00:07", "10.77.0.7")).await;
    let taken = act(engine, reserve("52:54:00:77:00:08", "10.77.0.7")).await.unwrap_err();
    assert_eq!((taken.class, taken.code), (Class::Refuse, "address_taken"));
    once(
        engine,
        Act::Reserve {
            network: name.clone(),
            reservation: Reservation { name: lab.name("two"), ..reservation("52:54:00:77:00:08", "10.77.0.8") },
        },
    )
    .await;
    let before = engine.observe(&Scope::all("none")).await.unwrap().network(&name).unwrap().clone();
    once(engine, Act::Release { network: name.clone(), mac: "52:54:00:77:00:08".to_owned() }).await;
    let after = engine.observe(&Scope::all("none")).await.unwrap().network(&name).unwrap().clone();
    assert_eq!(after.reservations, [reservation("52:54:00:77:00:07", "10.77.0.7")]);
    assert_eq!(before.hash, after.hash, "reservations are no part of the definition");
    assert_eq!((after.active, after.autostart, after.bridge.as_deref()), (true, true, Some("orrtest0")));
    assert_eq!(after.metadata.as_deref(), Some("{}"));
}

async fn defined(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    let xml = lab.xml(machine);
    let made = once(engine, Act::Define { kind: lab.kind, xml: xml.clone() }).await;
    assert_eq!(made.id, Some(machine.uuid.to_string()));
    let now = seen(engine, lab, machine).await;
    assert_eq!((now.name.as_str(), now.metadata.as_str()), (machine.name.as_str(), machine.json.as_str()));
    assert_eq!((now.state, now.persistent, now.autostart, now.saved), (State::Off, true, false, false));
    assert_eq!((now.vcpus, now.memory), (1, u64::from(machine.memory) << 20));
    let without_uuid = xml.replace(&format!("<uuid>{}</uuid>", machine.uuid), "");
    assert_eq!(act(engine, Act::Define { kind: lab.kind, xml: without_uuid }).await.unwrap_err().code, "invalid");
    let rival = Machine { uuid: uuid::Uuid::new_v4(), ..machine.clone() };
    let error = act(engine, Act::Define { kind: lab.kind, xml: lab.xml(&rival) }).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Replan, "name_taken"), "{error}");
    let broken = act(engine, Act::Define { kind: lab.kind, xml: "<domain".to_owned() }).await.unwrap_err();
    assert_eq!(broken.code, "invalid");
}

async fn tuned(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    let domain = lab.domain(machine);
    let before = seen(engine, lab, machine).await;
    once(engine, Act::SetAutostart { domain, on: true }).await;
    once(engine, Act::SetMetadata { domain, json: r#"{"version":2}"#.to_owned() }).await;
    let now = seen(engine, lab, machine).await;
    assert_eq!((now.autostart, now.metadata.as_str()), (true, r#"{"version":2}"#));
    assert_eq!(now.hash, before.hash, "metadata is no part of the definition");
    if lab.has(Lack::Resources) {
        once(engine, Act::SetVcpus { domain, count: 2 }).await;
        once(engine, Act::SetMemory { domain, bytes: 128 << 20 }).await;
        let now = seen(engine, lab, machine).await;
        assert_eq!((now.vcpus, now.memory), (2, 128 << 20));
        assert_ne!(now.hash, before.hash, "another definition has another hash");
    }
    if lab.has(Lack::Shares) {
        once(engine, Act::SetShares { domain, shares: 512 }).await;
    }
    let short = Scope { in_short: true, ..Scope::default() };
    let shortly = engine.observe(&short).await.unwrap();
    let shortly = shortly.domain(machine.uuid).unwrap();
    assert_eq!((shortly.state, shortly.metadata.as_str(), shortly.hash.as_ref()), (State::Off, r#"{"version":2}"#, None));
    let none = engine.observe(&Scope { no_domains: true, ..Scope::all("orrery") }).await.unwrap();
    assert!(none.domains.is_empty() && none.others.is_empty());
    let only = Scope { only: Some(uuid::Uuid::nil()), ..Scope::default() };
    let others = engine.observe(&only).await.unwrap().others;
    assert!(others.iter().any(|other| other.domain == domain && other.ours), "what was not asked for is told in short");
}

async fn runs(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    let domain = lab.domain(machine);
    let mut events = engine.events();
    if lab.has(Lack::PausedStart) {
        once(engine, Act::Start { domain, paused: true }).await;
        assert_eq!(seen(engine, lab, machine).await.state, State::Paused);
        if lab.has(Lack::Console) {
            greets(engine, domain, true).await;
        }
        let went_on = act(engine, Act::Start { domain, paused: false }).await.unwrap();
        assert!(!went_on.already, "one that stands still goes on");
    } else {
        once(engine, Act::Start { domain, paused: false }).await;
    }
    assert!(act(engine, Act::Start { domain, paused: false }).await.unwrap().already);
    assert_eq!(engine.wait(domain, Until::Running, SOON).await.unwrap(), Outcome::Met);
    let started = |change: &Change| matches!(change, Change::Lifecycle { turn: "started", .. });
    happens(&mut events, domain, started).await;
    assert_eq!(engine.wait(domain, Until::Off, Duration::from_millis(50)).await.unwrap(), Outcome::Late);
    once(engine, Act::Suspend { domain }).await;
    once(engine, Act::Resume { domain }).await;
    if lab.has(Lack::Addresses) {
        assert_eq!(engine.wait(domain, Until::Addressed, SOON).await.unwrap(), Outcome::Met);
        let now = seen(engine, lab, machine).await;
        let address = &now.addresses[0];
        assert_eq!((address.ip.to_string().as_str(), address.source), ("10.77.0.7", AddressSource::Lease));
        assert_eq!(address.mac, "52:54:00:77:00:07");
    }
    once(engine, Act::SetMetadata { domain, json: r#"{"version":3}"#.to_owned() }).await;
    assert_eq!(seen(engine, lab, machine).await.metadata, r#"{"version":3}"#);
    if lab.has(Lack::Shares) {
        once(engine, Act::SetShares { domain, shares: 256 }).await;
    }
    if lab.has(Lack::Figures) {
        let figures = engine.figures(&[domain, DomainRef { uuid: uuid::Uuid::nil(), ..domain }]).await.unwrap();
        assert_eq!(figures.len(), 1, "what is not there has no figures");
        assert!(figures[0].domain == domain && figures[0].cpu_time > 0 && figures[0].memory > 0, "{figures:?}");
        assert_eq!(figures[0].disks.is_some(), domain.kind == Kind::Vm, "a container's disks are not counted: {figures:?}");
    }
}

/// Waits for an event of a domain.
async fn happens(events: &mut tokio::sync::broadcast::Receiver<DomainEvent>, whose: DomainRef, what: impl Fn(&Change) -> bool) {
    let heard = async {
        loop {
            match events.recv().await.unwrap() {
                DomainEvent::Happened { domain, change } if domain == whose && what(&change) => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(SOON, heard).await.expect("the event is told in time");
}

/// Reads a console until a guest greets or answers.
async fn greets(engine: &impl Hypervisor, domain: DomainRef, resume: bool) {
    let mut console = engine.console(domain).await.unwrap();
    if resume {
        act(engine, Act::Resume { domain }).await.unwrap();
    }
    let mut text = String::new();
    let talk = async {
        let mut asked = false;
        while !text.contains("got ping") {
            if !asked && (!resume || text.contains("hello from")) {
                asked = true;
                console.to_guest.send(Bytes::from_static(b"ping\n")).await.unwrap();
            }
            let bytes = console.from_guest.recv().await.expect("the console is open");
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    };
    let answered = tokio::time::timeout(SOON, talk).await;
    assert!(answered.is_ok(), "the guest answers on its console; it wrote:\n{text}");
    if resume {
        assert!(text.contains("hello from"), "nothing is missed of a guest that starts paused");
        act(engine, Act::Suspend { domain }).await.unwrap();
    }
}

/// Reads a console until a guest says something.
async fn hears(engine: &impl Hypervisor, domain: DomainRef, what: &str) {
    let mut console = engine.console(domain).await.unwrap();
    let mut text = String::new();
    let listen = async {
        while !text.contains(what) {
            text.push_str(&String::from_utf8_lossy(&console.from_guest.recv().await.expect("the console is open")));
        }
    };
    let heard = tokio::time::timeout(SOON, listen).await;
    assert!(heard.is_ok(), "the guest says {what}; it wrote:\n{text}");
}

async fn streams(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    let domain = lab.domain(machine);
    if lab.has(Lack::Console) {
        greets(engine, domain, false).await;
    }
    if lab.has(Lack::Screen) {
        act(engine, Act::Reboot { domain, grace: SOON }).await.unwrap();
        hears(engine, domain, "hello from").await;
        let picture = engine.screenshot(domain).await.unwrap();
        assert!(picture.mime.starts_with("image/") && !picture.bytes.is_empty(), "{}", picture.mime);
        let screen = engine.graphics(domain).await.unwrap();
        let greeting = tokio::task::spawn_blocking(move || {
            let mut greeting = [0; 12];
            UnixStream::from(screen).read_exact(&mut greeting).unwrap();
            greeting
        });
        assert_eq!(&greeting.await.unwrap(), b"RFB 003.008\n");
    } else if domain.kind == Kind::Container {
        assert_eq!(engine.screenshot(domain).await.unwrap_err().code, "no_screen");
        assert_eq!(engine.graphics(domain).await.unwrap_err().code, "no_screen");
    }
}

async fn snapshots(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    let domain = lab.domain(machine);
    let take = |name: &str| Act::SnapshotCreate { domain, name: name.to_owned(), description: "before & after".to_owned(), ran: false };
    if !lab.has(Lack::Snapshots) {
        let error = act(engine, take("one")).await.unwrap_err();
        assert_eq!((error.class, error.code), (Class::Refuse, "snapshot_unsupported"));
        return;
    }
    once(engine, take("one")).await;
    once(engine, take("two")).await;
    let now = seen(engine, lab, machine).await;
    let told: Vec<_> = now.snapshots.iter().map(|one| (one.name.as_str(), one.state.as_str(), one.external, one.current)).collect();
    assert_eq!(told, [("one", "running", false, false), ("two", "running", false, true)]);
    assert_eq!(now.snapshots[0].description, "before & after");
    act(engine, Act::Suspend { domain }).await.unwrap();
    act(engine, Act::SnapshotRevert { domain, name: "one".to_owned() }).await.unwrap();
    let now = seen(engine, lab, machine).await;
    assert_eq!((now.state, now.snapshots[0].current), (State::Running, true), "it goes on as it was then");
    let error = act(engine, Act::SnapshotRevert { domain, name: "three".to_owned() }).await.unwrap_err();
    assert!(error.is_gone(), "{error}");
    once(engine, Act::SnapshotDelete { domain, name: "one".to_owned() }).await;
    assert_eq!(seen(engine, lab, machine).await.snapshots.len(), 1);
}

async fn ends(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    let domain = lab.domain(machine);
    let mut events = engine.events();
    let shutdown = act(engine, Act::Shutdown { domain, grace: SOON }).await.unwrap();
    assert!(!shutdown.already && shutdown.warnings.is_empty(), "the guest ends by itself: {shutdown:?}");
    happens(&mut events, domain, |change| matches!(change, Change::Lifecycle { turn: "stopped", .. })).await;
    assert_eq!(engine.wait(domain, Until::Off, SOON).await.unwrap(), Outcome::Met);
    assert_eq!(seen(engine, lab, machine).await.state, State::Off);
    assert!(act(engine, Act::Shutdown { domain, grace: SOON }).await.unwrap().already, "off twice is off");
    assert!(act(engine, Act::Destroy { domain }).await.unwrap().already);
    assert!(matches!(engine.wait(domain, Until::Running, SOON).await.unwrap(), Outcome::Failed { code: "stopped", .. }));
    assert!(engine.figures(&[domain]).await.unwrap().is_empty(), "what does not run has no figures");
    let error = act(engine, Act::Suspend { domain }).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Replan, "conflict"), "{error}");
    if lab.has(Lack::DeafGuests) && lab.engine != "memory" {
        // Before its kernel runs, a guest hears nothing.
        act(engine, Act::Start { domain, paused: false }).await.unwrap();
        let forced = act(engine, Act::Shutdown { domain, grace: Duration::from_millis(300) }).await.unwrap();
        assert!(forced.warnings[0].contains("did not end within"), "{forced:?}");
        assert_eq!(seen(engine, lab, machine).await.state, State::Off);
    }
    act(engine, Act::Start { domain, paused: false }).await.unwrap();
    once(engine, Act::Destroy { domain }).await;
    if domain.kind == Kind::Vm {
        assert!(act(engine, Act::ForgetSaved { domain }).await.unwrap().already, "nothing was saved");
    }
}

async fn refuses(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    if !lab.has(Lack::Dependencies) {
        return;
    }
    let mut other = lab.machine("two");
    let domain = lab.domain(&other);
    other.disk = machine.disk.as_ref().map(|disk| format!("{disk}.nowhere"));
    act(engine, Act::Define { kind: lab.kind, xml: lab.xml(&other) }).await.unwrap();
    let error = act(engine, Act::Start { domain, paused: false }).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Refuse, "file_missing"), "{error}");
    other.disk = None;
    other.interface = Some(("nowhere".to_owned(), "52:54:00:77:00:09".to_owned()));
    act(engine, Act::Define { kind: lab.kind, xml: lab.xml(&other) }).await.unwrap();
    assert!(act(engine, Act::Start { domain, paused: false }).await.unwrap_err().is_gone());
    act(engine, Act::Undefine { domain }).await.unwrap();
}

async fn goes(engine: &impl Hypervisor, lab: &Lab, machine: &Machine) {
    let domain = lab.domain(machine);
    let mut foreign = lab.machine("foreign");
    foreign.json = String::new();
    act(engine, Act::Define { kind: lab.kind, xml: lab.xml(&foreign) }).await.unwrap();
    let observed = engine.observe(&Scope::default()).await.unwrap();
    assert!(observed.domain(foreign.uuid).is_none());
    assert!(observed.others.iter().any(|other| other.name == foreign.name && !other.ours), "a domain that is not ours is told");
    for domain in [domain, lab.domain(&foreign)] {
        once(engine, Act::Undefine { domain }).await;
        assert!(act(engine, Act::Start { domain, paused: false }).await.unwrap_err().is_gone());
        assert!(engine.wait(domain, Until::Off, SOON).await.unwrap_err().is_gone());
    }
    once(engine, Act::RemoveNetwork { name: lab.name("net") }).await;
    let pool = lab.name("pool");
    for name in ["one.qcow2", "base.qcow2"] {
        once(engine, Act::RemoveVolume { pool: pool.clone(), name: name.to_owned() }).await;
    }
    if lab.has(Lack::Upload) {
        once(engine, Act::RemoveVolume { pool: pool.clone(), name: "seed.img".to_owned() }).await;
    }
    let after = engine.observe(&Scope::all(&pool)).await.unwrap();
    assert!(after.volumes.is_empty() && after.domains.is_empty() && after.network(&lab.name("net")).is_none(), "{after:?}");
}

fn boot_in_memory() -> Body {
    Body::Qemu(guests::Boot { kernel: "/boot/vmlinuz".into(), initrd: "/boot/initrd".into() })
}

#[tokio::test(start_paused = true)]
async fn the_engine_in_memory_conforms() {
    let engine = MemoryEngine::new();
    let lab = Lab { engine: "memory", kind: Kind::Vm, body: boot_in_memory(), tag: "memory".into(), folder: "/pools".into() };
    conforms(&engine, &lab).await;
}

#[tokio::test]
async fn libvirts_driver_for_tests_conforms_as_far_as_it_goes() {
    let engine = LibvirtEngine::start(&Uris { vm: "test:///default".to_owned(), container: None });
    let lab = Lab { engine: "test", kind: Kind::Vm, body: Body::Test, tag: "test".into(), folder: "/pools".into() };
    conforms(&engine, &lab).await;
    let error = act(&engine, Act::Destroy { domain: DomainRef::container(uuid::Uuid::nil()) }).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Refuse, "no_containers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn real_virtual_machines_conform() {
    let daemon = Libvirtd::start().unwrap();
    let engine = LibvirtEngine::start(&support::uris(&daemon));
    let folder = daemon.folder().to_owned();
    let body = Body::Qemu(guests::boot(&folder));
    let lab = Lab { engine: "qemu", kind: Kind::Vm, body, tag: daemon.tag.clone(), folder };
    let able = engine.capabilities().await.unwrap();
    assert_eq!((able.accelerator, able.containers), (Accelerator::Tcg, true), "{able:?}");
    assert!(able.version >= 9_000_000 && able.hypervisor >= 7_000_000, "{able:?}");
    conforms(&engine, &lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kvm_is_believed_only_where_a_guest_runs_under_it() {
    let daemon = Libvirtd::start_with_kvm().unwrap();
    let engine = LibvirtEngine::start(&support::uris(&daemon));
    let able = engine.capabilities().await.unwrap();
    let left = engine.observe(&Scope::default()).await.unwrap();
    assert!(left.others.is_empty(), "the guest that was tried is gone: {left:?}");
    assert_eq!(engine.capabilities().await.unwrap(), able, "what was found is kept");
    match able.accelerator {
        // Where the device is not there, or guests hang under it.
        Accelerator::Tcg => return,
        Accelerator::Kvm => assert!(std::path::Path::new("/dev/kvm").exists()),
    }
    let folder = daemon.folder().to_owned();
    let body = Body::Kvm(guests::boot(&folder));
    let lab = Lab { engine: "qemu", kind: Kind::Vm, body, tag: daemon.tag.clone(), folder };
    let machine = lab.machine("fast");
    let domain = lab.domain(&machine);
    act(&engine, Act::Define { kind: Kind::Vm, xml: lab.xml(&machine) }).await.unwrap();
    act(&engine, Act::Start { domain, paused: true }).await.unwrap();
    greets(&engine, domain, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_containers_conform() {
    let daemon = Libvirtd::start().unwrap();
    let engine = LibvirtEngine::start(&support::uris(&daemon));
    let folder = daemon.folder().to_owned();
    let body = Body::Lxc(guests::root(&folder));
    let lab = Lab { engine: "lxc", kind: Kind::Container, body, tag: daemon.tag.clone(), folder };
    conforms(&engine, &lab).await;
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_asked_again_before_it_is_ended() {
    let engine = MemoryEngine::new();
    let lab = Lab { engine: "memory", kind: Kind::Vm, body: boot_in_memory(), tag: "ask".into(), folder: "/pools".into() };
    let machine = lab.machine("one");
    let domain = lab.domain(&machine);
    act(&engine, Act::Define { kind: Kind::Vm, xml: lab.xml(&machine) }).await.unwrap();
    for (behaviour, forced, seconds) in [(Behaviour::Obeys, false, 0), (Behaviour::ObeysAt(3), false, 20), (Behaviour::Deaf, true, 60)] {
        engine.behave(machine.uuid, behaviour);
        act(&engine, Act::Start { domain, paused: false }).await.unwrap();
        let began = tokio::time::Instant::now();
        let effect = act(&engine, Act::Shutdown { domain, grace: SOON }).await.unwrap();
        assert_eq!((!effect.warnings.is_empty(), began.elapsed().as_secs()), (forced, seconds), "{behaviour:?}");
    }
}
