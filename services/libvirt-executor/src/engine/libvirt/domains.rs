//! Definitions of domains, and what is changed in them: in what runs and in what is kept.

use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use virt::sys;

use super::storage::present;
use crate::engine::error::EngineError;
use crate::engine::{Effect, METADATA_NAMESPACE, METADATA_PREFIX, raw, xml};

pub(super) fn define(connection: &Connect, definition: &str) -> Result<Effect, EngineError> {
    let uuid = xml::text_at(&xml::parse(definition)?, &["uuid"]).filter(|uuid| !uuid.is_empty());
    let Some(uuid) = uuid else {
        let message = "the definition has no <uuid>: without one, defining it twice would fail";
        return Err(EngineError::refuse("invalid", message));
    };
    let before = match present(connection.lookup_domain_by_uuid_string(&uuid))? {
        Some(domain) if domain.is_persistent()? => Some(kept(&domain)?),
        Some(_) | None => None,
    };
    let domain = connection.define_domain_xml_flags(definition, sys::VIR_DOMAIN_DEFINE_VALIDATE)?;
    let already = before == Some(kept(&domain)?);
    Ok(Effect { already, ..Effect::made(domain.uuid_string()?) })
}

/// What is kept of a domain: the hash of its definition, and our metadata.
fn kept(domain: &Domain) -> Result<(String, Option<String>), EngineError> {
    let definition = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
    Ok((xml::hash(&definition)?, xml::metadata_in(&xml::parse(&definition)?)))
}

/// Forgets a domain with all that libvirt keeps beside it. Drivers know few or none of these flags, and refuse those they
/// do not know: the first set that is taken serves.
pub(super) fn undefine(connection: &Connect, uuid: Uuid) -> Result<Effect, EngineError> {
    let Some(domain) = present(connection.lookup_domain_by_uuid(uuid))? else { return Ok(Effect::found()) };
    let most = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
    let all = most | sys::VIR_DOMAIN_UNDEFINE_NVRAM | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
    let mut answer = Ok(());
    for flags in [all, most, 0] {
        answer = domain.undefine_flags(flags);
        if !answer.as_ref().is_err_and(|error| error.code().is(ErrorNumber::InvalidArg)) {
            break;
        }
    }
    Ok(match present(answer)? {
        Some(()) => Effect::done(),
        None => Effect::found(),
    })
}

pub(super) fn autostart(domain: &Domain, on: bool) -> Result<Effect, EngineError> {
    if domain.autostart()? == on {
        return Ok(Effect::found());
    }
    Ok(domain.set_autostart(on).map(|()| Effect::done())?)
}

/// The JSON text beside a domain's definition.
pub(super) fn metadata(domain: &Domain) -> Result<Option<String>, EngineError> {
    let kind = i32::try_from(sys::VIR_DOMAIN_METADATA_ELEMENT).unwrap_or_default();
    let Some(element) = present(domain.metadata(kind, Some(METADATA_NAMESPACE), sys::VIR_DOMAIN_AFFECT_CURRENT))? else {
        return Ok(None);
    };
    Ok(xml::metadata_in(&xml::parse(&element)?))
}

pub(super) fn set_metadata(domain: &Domain, json: &str) -> Result<Effect, EngineError> {
    let places = places(domain)?;
    let kind = i32::try_from(sys::VIR_DOMAIN_METADATA_ELEMENT).unwrap_or_default();
    let has = |flags| -> Result<bool, EngineError> {
        let element = present(domain.metadata(kind, Some(METADATA_NAMESPACE), flags))?;
        let said = element.map(|element| Ok::<_, EngineError>(xml::metadata_in(&xml::parse(&element)?))).transpose()?.flatten();
        Ok(said.as_deref() == Some(json))
    };
    let mut everywhere = true;
    for flags in [sys::VIR_DOMAIN_AFFECT_CONFIG, sys::VIR_DOMAIN_AFFECT_LIVE] {
        if places & flags != 0 && !has(flags)? {
            everywhere = false;
        }
    }
    if everywhere {
        return Ok(Effect::found());
    }
    let element = xml::bare_metadata_element(json);
    domain.set_metadata(kind, Some(&element), Some(METADATA_PREFIX), Some(METADATA_NAMESPACE), places)?;
    Ok(Effect::done())
}

/// Where a change goes: to what is kept, and to what runs while it does.
fn places(domain: &Domain) -> Result<u32, EngineError> {
    let config = if domain.is_persistent()? { sys::VIR_DOMAIN_AFFECT_CONFIG } else { 0 };
    let live = if domain.is_active()? { sys::VIR_DOMAIN_AFFECT_LIVE } else { 0 };
    Ok(config | live)
}

/// What a change that the running domain did not take came to.
fn at_next_start(why: &virt::error::Error) -> Effect {
    Effect::done().but(format!("it takes effect at the next start: {}", why.message()))
}

pub(super) fn set_vcpus(domain: &Domain, count: u32) -> Result<Effect, EngineError> {
    let (live, config) = (sys::VIR_DOMAIN_VCPU_LIVE, sys::VIR_DOMAIN_VCPU_CONFIG);
    let running = domain.is_active()?;
    let same = domain.vcpus_flags(config)? == count && (!running || domain.vcpus_flags(live)? == count);
    if same {
        return Ok(Effect::found());
    }
    if domain.vcpus_flags(config | sys::VIR_DOMAIN_VCPU_MAXIMUM)? < count {
        domain.set_vcpus_flags(count, config | sys::VIR_DOMAIN_VCPU_MAXIMUM)?;
    }
    domain.set_vcpus_flags(count, config)?;
    Ok(match running.then(|| domain.set_vcpus_flags(count, live)) {
        Some(Err(why)) => at_next_start(&why),
        Some(Ok(())) | None => Effect::done(),
    })
}

pub(super) fn set_memory(domain: &Domain, kib: u64) -> Result<Effect, EngineError> {
    let config = sys::VIR_DOMAIN_MEM_CONFIG;
    let definition = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
    let document = xml::parse(&definition)?;
    let kept = |name: &str| xml::at(&document, &[name]).and_then(|node| xml::bytes_of(node, 1024)).map(|bytes| bytes / 1024);
    let (most, present) = (kept("memory"), kept("currentMemory").or_else(|| kept("memory")));
    let running = domain.is_active()?;
    if (most, present) == (Some(kib), Some(kib)) && (!running || domain.info()?.memory == kib) {
        return Ok(Effect::found());
    }
    // The limit is kept equal to what it has: raised before, or lowered after.
    if most < Some(kib) {
        domain.set_memory_flags(kib, config | sys::VIR_DOMAIN_MEM_MAXIMUM)?;
    }
    domain.set_memory_flags(kib, config)?;
    if most > Some(kib) {
        domain.set_memory_flags(kib, config | sys::VIR_DOMAIN_MEM_MAXIMUM)?;
    }
    Ok(match running.then(|| domain.set_memory_flags(kib, sys::VIR_DOMAIN_MEM_LIVE)) {
        Some(Err(why)) => at_next_start(&why),
        Some(Ok(())) | None => Effect::done(),
    })
}

pub(super) fn set_shares(domain: &Domain, shares: u64) -> Result<Effect, EngineError> {
    let places = places(domain)?;
    let mut same = true;
    // Read from the definitions: asked for the scheduler of a container that is off, libvirt 9.0 crashes.
    let definitions = [(sys::VIR_DOMAIN_AFFECT_CONFIG, sys::VIR_DOMAIN_XML_INACTIVE), (sys::VIR_DOMAIN_AFFECT_LIVE, 0)];
    for (flags, definition) in definitions {
        if places & flags != 0 {
            let definition = domain.xml_desc(definition)?;
            same &= xml::text_at(&xml::parse(&definition)?, &["cputune", "shares"]) == Some(shares.to_string());
        }
    }
    if same {
        return Ok(Effect::found());
    }
    raw::set_shares(domain, shares, places)?;
    Ok(Effect::done())
}

pub(super) fn forget_saved(domain: &Domain) -> Result<Effect, EngineError> {
    if !domain.has_managed_save(0)? {
        return Ok(Effect::found());
    }
    Ok(domain.managed_save_remove(0).map(|()| Effect::done())?)
}
