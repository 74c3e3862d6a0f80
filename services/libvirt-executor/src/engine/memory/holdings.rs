//! Pools, volumes and networks in memory.

use std::path::{Path, PathBuf};

use super::world::{World, no};
use crate::engine::error::EngineError;
use crate::engine::observed::{Reservation, SeenNetwork, SeenVolume};
use crate::engine::{BackingImage, Effect, NewVolume, xml};

impl World {
    pub(super) fn pool(&self, name: &str) -> Result<&Path, EngineError> {
        self.pools.get(name).map(PathBuf::as_path).ok_or_else(|| no("Storage pool", name))
    }

    pub(super) fn ensure_pool(&mut self, name: &str, path: &Path) -> Result<Effect, EngineError> {
        match self.pools.get(name) {
            Some(there) if there == path => Ok(Effect { already: true, ..Effect::made(path.display().to_string()) }),
            Some(there) => {
                let message = format!("the pool {name} lies in {}, not in {}", there.display(), path.display());
                Err(EngineError::refuse("pool_elsewhere", message))
            }
            None => {
                self.pools.insert(name.to_owned(), path.to_owned());
                Ok(Effect::made(path.display().to_string()))
            }
        }
    }

    pub(super) fn volume(&mut self, pool: &str, name: &str) -> Result<&mut SeenVolume, EngineError> {
        self.pool(pool)?;
        self.volumes.get_mut(&(pool.to_owned(), name.to_owned())).ok_or_else(|| no("Storage volume", name))
    }

    pub(super) fn create_volume(&mut self, new: &NewVolume) -> Result<Effect, EngineError> {
        if let Ok(there) = self.volume(&new.pool, &new.name) {
            return Ok(Effect { already: true, ..Effect::made(there.path.clone()) });
        }
        let path = self.pool(&new.pool)?.join(&new.name).display().to_string();
        let backing = match new.backing.as_ref().map(|backing| &backing.image) {
            None => None,
            Some(BackingImage::Path(path)) => Some(path.display().to_string()),
            Some(BackingImage::Volume(name)) => Some(self.volume(&new.pool, name)?.path.clone()),
        };
        let volume = SeenVolume {
            name: new.name.clone(),
            path: path.clone(),
            capacity: new.capacity,
            allocation: 0,
            format: new.format.word().to_owned(),
            backing,
            uploaded: false,
        };
        self.volumes.insert((new.pool.clone(), new.name.clone()), volume);
        Ok(Effect::made(path))
    }

    pub(super) fn upload(&mut self, pool: &str, name: &str, size: u64) -> Result<Effect, EngineError> {
        let volume = self.volume(pool, name)?;
        let already = std::mem::replace(&mut volume.uploaded, true);
        volume.allocation = volume.allocation.max(size);
        Ok(Effect { already, ..Effect::made(volume.path.clone()) })
    }

    pub(super) fn ensure_network(&mut self, name: &str, definition: &str) -> Result<Effect, EngineError> {
        if self.networks.contains_key(name) {
            return Ok(Effect { already: true, ..Effect::made(name) });
        }
        let document = xml::parse(definition)?;
        let named = xml::text_at(&document, &["name"]).unwrap_or_default();
        if named != name {
            return Err(EngineError::refuse("invalid", format!("the definition of the network {name} names {named:?}")));
        }
        let network = SeenNetwork {
            name: named,
            active: true,
            autostart: true,
            bridge: xml::at(&document, &["bridge"]).and_then(|node| node.attribute("name")).map(str::to_owned),
            metadata: xml::metadata_in(&document),
            hash: xml::hash(definition)?,
            subnets: xml::subnets(&document),
            reservations: xml::reservations(&document),
        };
        self.networks.insert(name.to_owned(), network);
        Ok(Effect::made(name))
    }

    pub(super) fn reserve(&mut self, network: &str, wanted: &Reservation) -> Result<Effect, EngineError> {
        let wanted = Reservation { mac: wanted.mac.to_ascii_lowercase(), ..wanted.clone() };
        let there = self.networks.get_mut(network).ok_or_else(|| no("Network", network))?;
        if there.reservations.contains(&wanted) {
            return Ok(Effect::found());
        }
        if let Some(rival) = there.reservations.iter().find(|one| one.ip == wanted.ip && one.mac != wanted.mac) {
            let message = format!("the network {network} keeps {} for {} ({})", wanted.ip, rival.mac, rival.name);
            return Err(EngineError::refuse("address_taken", message));
        }
        there.reservations.retain(|one| one.mac != wanted.mac);
        there.reservations.push(wanted);
        there.reservations.sort();
        Ok(Effect::done())
    }
}
