//! Which call carries out which act, on which connection, and how long it may take.

use virt::connect::Connect;

use super::storage::{self, locked, pool};
use super::{CALL, LONG, LibvirtEngine, domains, networks, power, snapshots, upload};
use crate::engine::error::EngineError;
use crate::engine::{Act, Effect, Kind, Say};

/// Carries out one act.
pub(super) async fn carry_out(engine: &LibvirtEngine, act: &Act, say: Say<'_>) -> Result<Effect, EngineError> {
    match act.clone() {
        Act::EnsurePool { name, path } => {
            let held = name.clone();
            locked(engine, &held, move |connection| storage::ensure_pool(connection, &name, &path)).await
        }
        Act::CreateVolume(new) => {
            let held = new.pool.clone();
            locked(engine, &held, move |connection| storage::create(&pool(connection, &new.pool)?, &new)).await
        }
        Act::Upload { pool, name, source, size } => upload::upload(engine, &pool, &name, &source, size, say).await,
        Act::ResizeVolume { pool: of, name, capacity } => {
            let held = of.clone();
            locked(engine, &held, move |connection| storage::resize(&pool(connection, &of)?, &name, capacity)).await
        }
        Act::RemoveVolume { pool: of, name } => {
            let held = of.clone();
            locked(engine, &held, move |connection| storage::remove(&pool(connection, &of)?, &name)).await
        }
        Act::EnsureNetwork { name, xml } => engine.ask(Kind::Vm, LONG, move |connection| networks::ensure(connection, &name, &xml)).await,
        Act::RemoveNetwork { name } => engine.ask(Kind::Vm, LONG, move |connection| networks::remove(connection, &name)).await,
        Act::Reserve { network, reservation } => {
            let question = move |connection: &Connect| networks::reserve(&connection.lookup_network_by_name(&network)?, &reservation);
            engine.ask(Kind::Vm, CALL, question).await
        }
        Act::Release { network, mac } => engine.ask(Kind::Vm, CALL, move |connection| networks::release(connection, &network, &mac)).await,
        // libvirt may ask QEMU first what it can do, which takes a minute where KVM is there and hangs.
        Act::Define { kind, xml } => engine.ask(kind, LONG, move |connection| domains::define(connection, &xml)).await,
        Act::Undefine { domain } => engine.ask(domain.kind, CALL, move |connection| domains::undefine(connection, domain.uuid)).await,
        Act::Start { domain, paused } => engine.with(domain, LONG, move |domain| power::start(domain, paused)).await,
        Act::Shutdown { domain, grace } => power::shutdown(engine, domain, grace, say).await,
        Act::Destroy { domain } => engine.with(domain, LONG, power::destroy).await,
        Act::Reboot { domain, grace } => power::reboot(engine, domain, grace, say).await,
        Act::Suspend { domain } => engine.with(domain, CALL, power::suspend).await,
        Act::Resume { domain } => engine.with(domain, CALL, power::resume).await,
        Act::SetAutostart { domain, on } => engine.with(domain, CALL, move |domain| domains::autostart(domain, on)).await,
        Act::SetMetadata { domain, json } => engine.with(domain, CALL, move |domain| domains::set_metadata(domain, &json)).await,
        Act::SetVcpus { domain, count } => engine.with(domain, CALL, move |domain| domains::set_vcpus(domain, count)).await,
        Act::SetMemory { domain, bytes } => {
            engine.with(domain, CALL, move |domain| domains::set_memory(domain, bytes.div_ceil(1024))).await
        }
        Act::SetShares { domain, shares } => engine.with(domain, CALL, move |domain| domains::set_shares(domain, shares)).await,
        Act::SnapshotCreate { domain, name, description, ran } => {
            snapshots::with(engine, domain, move |domain, kinds| snapshots::create(domain, kinds, &name, &description, ran)).await
        }
        Act::SnapshotRevert { domain, name } => {
            snapshots::with(engine, domain, move |domain, kinds| snapshots::revert(domain, kinds, &name)).await
        }
        Act::SnapshotDelete { domain, name } => snapshots::with(engine, domain, move |domain, _| snapshots::delete(domain, &name)).await,
        Act::ForgetSaved { domain } => engine.with(domain, CALL, domains::forget_saved).await,
    }
}
