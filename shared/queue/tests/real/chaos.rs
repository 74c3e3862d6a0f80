//! A network that breaks at any moment: requests that arrive and whose answers do not, answers that come late, and a
//! broker whose disk is full. The story of each command must be the one of a quiet day.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orrery_contracts::{Engine, Status, subjects};
use orrery_nats::User;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use crate::world::{World, until};

/// Stands between an executor and the broker, and cuts every connection when told to.
struct Wire {
    address: SocketAddr,
    cut: broadcast::Sender<()>,
    cuts: Arc<AtomicUsize>,
}

impl Wire {
    async fn to(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, _) = broadcast::channel(16);
        let cuts = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let (cut, cuts) = (cut.clone(), Arc::clone(&cuts));
            async move {
                loop {
                    let (inner, _) = listener.accept().await.unwrap();
                    let Ok(outer) = TcpStream::connect(&broker).await else { return };
                    tokio::spawn(carry(inner, outer, cut.subscribe(), Arc::clone(&cuts)));
                }
            }
        });
        Self { address, cut, cuts }
    }
}

async fn carry(mut inner: TcpStream, mut outer: TcpStream, mut cut: broadcast::Receiver<()>, cuts: Arc<AtomicUsize>) {
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
        _ = cut.recv() => { cuts.fetch_add(1, Ordering::Relaxed); }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_at_any_moment_changes_no_story() {
    let world = World::new().await;
    let wire = Wire::to(world.broker.url().trim_start_matches("nats://").to_owned()).await;
    let docker = world.start_through(Engine::Docker, &format!("nats://{}", wire.address)).await;
    let mut commands = Vec::new();
    for number in 0..20_u32 {
        commands.push(world.run(&format!("a{number}--b{number}--c{number}")).await);
    }
    let cutting = tokio::spawn({
        let cut = wire.cut.clone();
        async move {
            // Pauses that meet the loop in every state; the same in each run of the test.
            let mut state = 0x2545_F491_4F6C_DD1D_u64;
            loop {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                tokio::time::sleep(Duration::from_millis(60 + (state >> 33) % 120)).await;
                let _ = cut.send(());
            }
        }
    });
    world.becomes(*commands.last().unwrap(), Status::Done).await;
    cutting.abort();
    assert!(wire.cuts.load(Ordering::Relaxed) > 3, "the connection did break");
    for (number, seq) in commands.into_iter().enumerate() {
        assert_eq!(world.story(seq).await, "RUNNING 1.1, DONE 3 made");
        assert_eq!(world.engine.effects_of(seq), [format!("a{number}"), format!("b{number}"), format!("c{number}")]);
    }
    docker.stop().await.unwrap();
    world.audit().await;
}

#[tokio::test]
async fn a_full_disk_is_not_taken_for_a_lost_race() {
    let world = World::new().await;
    let docker = world.start(Engine::Docker).await;
    let first = world.run("first").await;
    world.becomes(first, Status::Done).await;
    let ops = world.connection(User::Ops).await;
    let events = ops.jetstream().get_stream(subjects::EVENTS).await.unwrap();
    let roomy = events.cached_info().config.clone();
    let full = i64::try_from(events.cached_info().state.bytes).unwrap() + 10;
    ops.jetstream().update_stream(async_nats::jetstream::stream::Config { max_bytes: full, ..roomy.clone() }).await.unwrap();
    let second = world.run("second").await;
    let said = until("the executor to say so", async || docker.waits.for_what("events")).await;
    assert!(said.starts_with("the broker does not store events"), "{said}");
    assert_eq!(world.engine.effects_of(second), [""; 0]);
    ops.jetstream().update_stream(roomy).await.unwrap();
    world.becomes(second, Status::Done).await;
    assert_eq!(world.story(second).await, "RUNNING 1.1, DONE 1 made");
    assert_eq!(docker.waits.for_what("events"), None);
    docker.stop().await.unwrap();
    world.audit().await;
}
