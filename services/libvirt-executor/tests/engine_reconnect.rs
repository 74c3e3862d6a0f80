//! A daemon that dies: its guests go on, every call says that it is away, and all is told and found again when it is back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use orrery_libvirt_executor::engine::libvirt::Uris;
use orrery_libvirt_executor::engine::{
    Act, Change, Class, DomainEvent, Format, Hypervisor, Kind, LibvirtEngine, NewVolume, Scope, Source, State,
};
use orrery_test_libvirt::Libvirtd;
use support::guests;
use support::lab::{Body, Lab};
use tokio::sync::broadcast::Receiver;

const SOON: Duration = Duration::from_secs(20);

async fn told(events: &mut Receiver<DomainEvent>, what: impl Fn(&DomainEvent) -> bool) {
    let heard = async { while !what(&events.recv().await.unwrap()) {} };
    tokio::time::timeout(SOON, heard).await.expect("it is told in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_dies_is_waited_for_and_its_guests_are_found_again() {
    let mut daemon = Libvirtd::start().unwrap();
    let engine = LibvirtEngine::start(&support::uris(&daemon));
    let folder = daemon.folder().to_owned();
    let body = Body::Lxc(guests::root(&folder));
    let lab = Lab { engine: "lxc", kind: Kind::Container, body, tag: daemon.tag.clone(), folder };
    let machine = lab.machine("lasting");
    let domain = lab.domain(&machine);
    let act = async |act: Act| engine.act(&act, &|_| {}).await;
    act(Act::Define { kind: Kind::Container, xml: lab.xml(&machine) }).await.unwrap();
    act(Act::Start { domain, paused: false }).await.unwrap();
    let mut console = engine.console(domain).await.unwrap();
    let mut events = engine.events();

    daemon.kill().unwrap();
    told(&mut events, |event| *event == DomainEvent::Lost(Kind::Container)).await;
    let error = act(Act::Suspend { domain }).await.unwrap_err();
    assert_eq!(error.class, Class::Wait, "{error}");
    assert!(engine.observe(&Scope::default()).await.is_err_and(|error| error.class == Class::Wait));
    assert!(engine.away().unwrap().contains("no libvirt answers"), "{:?}", engine.away());
    let ended = async { while console.from_guest.recv().await.is_some() {} };
    tokio::time::timeout(SOON, ended).await.expect("a console ends with the daemon");

    daemon.start_again().unwrap();
    told(&mut events, |event| *event == DomainEvent::Connected(Kind::Container)).await;
    let until = tokio::time::Instant::now() + SOON;
    let found = loop {
        match engine.observe(&Scope::default()).await {
            Ok(observed) => break observed,
            Err(error) => assert!(error.class == Class::Wait && tokio::time::Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(found.domain(machine.uuid).unwrap().state, State::Running, "the guest went on");
    assert_eq!(engine.away(), None);
    act(Act::Destroy { domain }).await.unwrap();
    let stopped = |event: &DomainEvent| matches!(event, DomainEvent::Happened { domain: whose, change: Change::Lifecycle { turn: "stopped", .. } } if *whose == domain);
    told(&mut events, stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_waits_for_is_broken_off_and_begun_again() {
    let daemon = Libvirtd::start().unwrap();
    let engine = LibvirtEngine::start(&support::uris(&daemon));
    let path = daemon.folder().join("pool");
    let (pool, name, size) = ("images".to_owned(), "big.img".to_owned(), 256_u64 << 20);
    engine.act(&Act::EnsurePool { name: pool.clone(), path: path.clone() }, &|_| {}).await.unwrap();
    let new = NewVolume { pool: pool.clone(), name: name.clone(), capacity: size, format: Format::Raw, backing: None };
    engine.act(&Act::CreateVolume(new), &|_| {}).await.unwrap();
    let file = daemon.folder().join("source");
    std::fs::write(&file, vec![1; usize::try_from(size).unwrap()]).unwrap();
    let upload = Act::Upload { pool: pool.clone(), name: name.clone(), source: Source::File(file), size };
    let (tell, begun) = tokio::sync::oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let say = |_| {
        if let Some(tell) = tell.lock().unwrap().take() {
            tell.send(()).unwrap();
        }
    };
    tokio::select! {
        _ = engine.act(&upload, &say) => panic!("it takes longer than its first word"),
        word = begun => word.unwrap(),
    }
    let volume = engine.observe(&Scope::all(&pool)).await.unwrap().volume(&name).cloned().unwrap();
    assert!(!volume.uploaded, "what was broken off is not there");
    let last = std::sync::atomic::AtomicU64::new(0);
    let say = |line: orrery_contracts::ProgressLine| last.store(line.current.unwrap(), std::sync::atomic::Ordering::Relaxed);
    assert!(!engine.act(&upload, &say).await.unwrap().already);
    assert!(engine.act(&upload, &|_| {}).await.unwrap().already);
    assert!(last.into_inner() > size / 2, "it says how far it is");
    let written = std::fs::read(path.join(&name)).unwrap();
    assert!(written.len() as u64 == size && written.iter().all(|byte| *byte == 1));
    let short =
        Act::Upload { pool: pool.clone(), name: "short.img".to_owned(), source: Source::Bytes(Bytes::from_static(b"abc")), size: 9 };
    let new = NewVolume { pool, name: "short.img".to_owned(), capacity: 9, format: Format::Raw, backing: None };
    engine.act(&Act::CreateVolume(new), &|_| {}).await.unwrap();
    let error = engine.act(&short, &|_| {}).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Refuse, "source_broken"), "{error}");
}

#[tokio::test]
async fn without_a_daemon_every_call_says_what_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("qemu+unix:///system?socket={}/nobody", folder.path().display());
    let engine = LibvirtEngine::start(&Uris { vm: uri.clone(), container: None });
    let error = engine.observe(&Scope::default()).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Wait, "engine_away"), "{error}");
    assert!(error.message.contains(&uri), "{error}");
    assert!(engine.away().is_some());
}

#[tokio::test]
async fn a_daemon_that_did_not_find_qemu_at_first_looks_again() {
    let mut libvirt = Libvirtd::start().unwrap();
    let uri = libvirt.vm();
    let version = || std::process::Command::new("virsh").args(["-c", &uri, "version"]).output().unwrap();
    libvirt.hide_qemu().unwrap();
    assert!(!version().status.success());
    libvirt.show_qemu().unwrap();
    let why = version().stderr;
    assert!(String::from_utf8_lossy(&why).contains("Cannot find suitable emulator"), "libvirt finds it by itself now: {why:?}");
    let engine = LibvirtEngine::start(&Uris { vm: libvirt.vm(), container: None });
    let able = engine.capabilities().await;
    assert!(able.as_ref().is_ok_and(|able| able.hypervisor > 0), "{able:?}");
}
