//! Pools and volumes. What changes a pool holds the pool's lock, on whose thread ever it runs: libvirt's refresh while a
//! volume is written is a known race.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use virt::connect::Connect;
use virt::storage_pool::StoragePool;
use virt::storage_vol::StorageVol;

use super::{LONG, LibvirtEngine};
use crate::engine::error::EngineError;
use crate::engine::xml;
use crate::engine::{BackingImage, Effect, Kind, NewVolume};

/// What the mark of a volume that was uploaded to its end is called, behind the volume's own name.
const UPLOADED: &str = ".orrery-uploaded";

/// One lock for each pool, by name.
#[derive(Debug, Default)]
pub(super) struct PoolLocks(Mutex<HashMap<String, Arc<AsyncMutex<()>>>>);

impl PoolLocks {
    /// The lock of a pool.
    fn of(&self, pool: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(pool.to_owned()).or_default())
    }

    /// Waits for a pool. The guard goes with the closure to its thread, so that a caller who leaves does not free it early.
    pub(super) async fn hold(&self, pool: &str) -> OwnedMutexGuard<()> {
        self.of(pool).lock_owned().await
    }

    /// The pool, unless somebody changes it now.
    pub(super) fn try_hold(&self, pool: &str) -> Option<OwnedMutexGuard<()>> {
        self.of(pool).try_lock_owned().ok()
    }
}

pub(super) async fn locked<F>(engine: &LibvirtEngine, pool: &str, change: F) -> Result<Effect, EngineError>
where
    F: FnOnce(&Connect) -> Result<Effect, EngineError> + Send + 'static,
{
    let guard = engine.pools.hold(pool).await;
    let change = move |connection: &Connect| {
        let _held = guard;
        change(connection)
    };
    engine.ask(Kind::Vm, LONG, change).await
}

/// A pool that is there, and up.
pub(super) fn pool(connection: &Connect, name: &str) -> Result<StoragePool, EngineError> {
    let pool = connection.lookup_storage_pool_by_name(name)?;
    if !pool.is_active()? {
        pool.create(0)?;
    }
    Ok(pool)
}

/// Whether an answer is there; that it is not is no error.
pub(super) fn present<T>(answer: Result<T, virt::error::Error>) -> Result<Option<T>, EngineError> {
    match answer.map_err(EngineError::from) {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn ensure_pool(connection: &Connect, name: &str, path: &Path) -> Result<Effect, EngineError> {
    let folder = path.to_str().ok_or_else(|| EngineError::refuse("invalid", format!("the path {} is not UTF-8", path.display())))?;
    let (pool, mut already) = match present(connection.lookup_storage_pool_by_name(name))? {
        Some(pool) => (pool, true),
        None => {
            let (name, folder) = (xml::escaped(name), xml::escaped(folder));
            let definition = format!("<pool type='dir'><name>{name}</name><target><path>{folder}</path></target></pool>");
            (connection.define_storage_pool_xml(&definition, 0)?, false)
        }
    };
    let description = pool.xml_desc(0)?;
    let there = xml::text_at(&xml::parse(&description)?, &["target", "path"]).unwrap_or_default();
    if there.trim_end_matches('/') != folder.trim_end_matches('/') {
        let message = format!("the pool {name} lies in {there}, not in {folder}: move it, or give Orrery's pool another name");
        return Err(EngineError::refuse("pool_elsewhere", message));
    }
    if !pool.is_active()? {
        // The folder is made where it is missing; one that is there is no error.
        pool.build(0)?;
        pool.create(0)?;
        already = false;
    }
    if !pool.autostart()? {
        pool.set_autostart(true)?;
        already = false;
    }
    Ok(Effect { already, ..Effect::made(there) })
}

pub(super) fn create(pool: &StoragePool, new: &NewVolume) -> Result<Effect, EngineError> {
    if let Some(volume) = present(pool.lookup_storage_vol_by_name(&new.name))? {
        return Ok(Effect { already: true, ..Effect::made(volume.path()?) });
    }
    // What was known of an earlier one of this name does not hold for this one.
    delete(pool, &mark_of(&new.name))?;
    let volume = StorageVol::create_xml(pool, &definition(pool, new)?, 0)?;
    Ok(Effect::made(volume.path()?))
}

fn definition(pool: &StoragePool, new: &NewVolume) -> Result<String, EngineError> {
    let backing = match &new.backing {
        None => String::new(),
        Some(backing) => {
            let path = match &backing.image {
                BackingImage::Volume(name) => pool.lookup_storage_vol_by_name(name)?.path()?,
                BackingImage::Path(path) => path.display().to_string(),
            };
            let format = backing.format.word();
            format!("<backingStore><path>{}</path><format type='{format}'/></backingStore>", xml::escaped(&path))
        }
    };
    Ok(format!(
        "<volume><name>{}</name><capacity unit='bytes'>{}</capacity><allocation unit='bytes'>0</allocation>\
         <target><format type='{}'/></target>{backing}</volume>",
        xml::escaped(&new.name),
        new.capacity,
        new.format.word(),
    ))
}

pub(super) fn resize(pool: &StoragePool, name: &str, capacity: u64) -> Result<Effect, EngineError> {
    let volume = pool.lookup_storage_vol_by_name(name)?;
    if volume.info()?.capacity >= capacity {
        return Ok(Effect::found());
    }
    volume.resize(capacity, 0)?;
    Ok(Effect::done())
}

pub(super) fn remove(pool: &StoragePool, name: &str) -> Result<Effect, EngineError> {
    delete(pool, &mark_of(name))?;
    Ok(if delete(pool, name)? { Effect::done() } else { Effect::found() })
}

/// Deletes a volume; says whether there was one.
fn delete(pool: &StoragePool, name: &str) -> Result<bool, EngineError> {
    let Some(volume) = present(pool.lookup_storage_vol_by_name(name))? else { return Ok(false) };
    Ok(present(volume.delete(0))?.is_some())
}

fn mark_of(name: &str) -> String {
    format!("{name}{UPLOADED}")
}

/// The volume that a mark is about.
pub(super) fn marked_by(name: &str) -> Option<&str> {
    name.strip_suffix(UPLOADED)
}

/// Whether a volume was uploaded to its end.
pub(super) fn is_uploaded(pool: &StoragePool, name: &str) -> Result<bool, EngineError> {
    Ok(present(pool.lookup_storage_vol_by_name(&mark_of(name)))?.is_some())
}

/// Notes that a volume was uploaded to its end: an empty volume beside it, since libvirt keeps no note of ours on one.
pub(super) fn mark_uploaded(pool: &StoragePool, name: &str) -> Result<(), EngineError> {
    let mark = xml::escaped(&mark_of(name));
    let definition = format!("<volume><name>{mark}</name><capacity>0</capacity><target><format type='raw'/></target></volume>");
    StorageVol::create_xml(pool, &definition, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_belongs_to_its_volume() {
        assert_eq!(marked_by(&mark_of("box-1.qcow2")), Some("box-1.qcow2"));
        assert_eq!(marked_by("box-1.qcow2"), None);
    }

    #[tokio::test]
    async fn a_pool_has_one_lock() {
        let locks = PoolLocks::default();
        let held = locks.hold("a").await;
        assert!(locks.try_hold("a").is_none() && locks.try_hold("b").is_some());
        drop(held);
        assert!(locks.try_hold("a").is_some());
    }
}
