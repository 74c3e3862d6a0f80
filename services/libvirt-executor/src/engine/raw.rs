//! The few calls of libvirt that the crate `virt` does not wrap, or wraps with a leak: the only unsafe code of this crate.
//!
//! **Invariant.** What libvirt calls back here runs on its event loop, where nothing of libvirt may be called that asks
//! the daemon. So callbacks copy what they were given, tell it to a channel that never waits, and return.
#![allow(unsafe_code)] // A C library's interface.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Once;

use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use super::events::{Change, DomainEvent, EventHub};
use super::observed::State;
use super::{DomainRef, Kind};

/// Registers the default event loop and runs it, once for the process. Connections made before it tell no events.
pub(super) fn run_event_loop() {
    static RUNS: Once = Once::new();
    RUNS.call_once(|| {
        // Errors come back to the caller; they are not printed as well.
        virt::error::clear_error_callback();
        if let Err(error) = virt::event::event_register_default_impl() {
            tracing::error!("libvirt's event loop cannot be registered: {error}");
            return;
        }
        let runs = || {
            loop {
                if let Err(error) = virt::event::event_run_default_impl() {
                    tracing::warn!("libvirt's event loop: {error}");
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("libvirt-loop".to_owned()).spawn(runs) {
            tracing::error!("libvirt's event loop has no thread: {error}");
        }
    });
}

type OnClose = Box<dyn Fn() + Send + Sync>;

unsafe extern "C" fn closed(_: sys::virConnectPtr, _: c_int, opaque: *mut c_void) {
    // SAFETY: the pointer is the box that was registered with this callback, freed by `free::<OnClose>` alone.
    let call = unsafe { &*opaque.cast::<OnClose>() };
    call();
}

unsafe extern "C" fn free<T>(opaque: *mut c_void) {
    // SAFETY: made by `Box::into_raw` at the registration, and libvirt calls this once, when nobody uses it any more.
    drop(unsafe { Box::from_raw(opaque.cast::<T>()) });
}

/// Has this called when the connection breaks. A driver without a daemon has nothing to break, and refuses.
pub(super) fn on_close(connection: &Connect, call: OnClose) -> Result<(), Error> {
    let opaque = Box::into_raw(Box::new(call)).cast::<c_void>();
    // SAFETY: callback and opaque value fit each other, and are freed together.
    let answer = unsafe { sys::virConnectRegisterCloseCallback(connection.as_ptr(), Some(closed), opaque, Some(free::<OnClose>)) };
    if answer < 0 {
        let error = Error::last_error();
        // SAFETY: libvirt has not taken what it did not register.
        unsafe { free::<OnClose>(opaque) };
        return Err(error);
    }
    Ok(())
}

/// Takes the callback back, which otherwise keeps the connection alive.
pub(super) fn forget_close(connection: &Connect) {
    // SAFETY: the same function pointer as at the registration. That it was never registered is no harm.
    unsafe { sys::virConnectUnregisterCloseCallback(connection.as_ptr(), Some(closed)) };
}

/// Whom a callback tells.
struct Told {
    kind: Kind,
    hub: EventHub,
}

/// What is registered for a connection's events.
#[derive(Default)]
pub(super) struct Registered(Vec<c_int>);

/// Tells a hub what happens to the domains of a connection. An event that a driver does not know is left out.
pub(super) fn listen(connection: &Connect, kind: Kind, hub: &EventHub) -> Registered {
    type Plain = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void);
    // SAFETY: libvirt calls each with the arguments that belong to the event's number, which are those of its function.
    let callbacks: [(sys::virDomainEventID, Plain); 8] = unsafe {
        [
            (sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, std::mem::transmute::<*const (), Plain>(lifecycle as *const ())),
            (sys::VIR_DOMAIN_EVENT_ID_REBOOT, rebooted),
            (sys::VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, std::mem::transmute::<*const (), Plain>(agent as *const ())),
            (sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, std::mem::transmute::<*const (), Plain>(device_added as *const ())),
            (sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, std::mem::transmute::<*const (), Plain>(device_removed as *const ())),
            (sys::VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, std::mem::transmute::<*const (), Plain>(block_job as *const ())),
            (sys::VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, std::mem::transmute::<*const (), Plain>(block_threshold as *const ())),
            (sys::VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, std::mem::transmute::<*const (), Plain>(metadata as *const ())),
        ]
    };
    let mut registered = Registered::default();
    for (event, callback) in callbacks {
        let opaque = Box::into_raw(Box::new(Told { kind, hub: hub.clone() })).cast::<c_void>();
        // SAFETY: callback and opaque value fit each other, and are freed together.
        let id = unsafe {
            let event = c_int::try_from(event).unwrap_or_default();
            sys::virConnectDomainEventRegisterAny(connection.as_ptr(), ptr::null_mut(), event, Some(callback), opaque, Some(free::<Told>))
        };
        if id < 0 {
            tracing::debug!(event, "not told by this driver: {}", Error::last_error());
            // SAFETY: libvirt has not taken what it did not register.
            unsafe { free::<Told>(opaque) };
        } else {
            registered.0.push(id);
        }
    }
    registered
}

/// Takes the registrations back, which otherwise keep the connection alive.
pub(super) fn forget(connection: &Connect, registered: Registered) {
    for id in registered.0 {
        // SAFETY: a number that libvirt gave for this connection. On a broken one it fails, which is no harm.
        unsafe { sys::virConnectDomainEventDeregisterAny(connection.as_ptr(), id) };
    }
}

/// Tells what happened to a domain.
///
/// # Safety
/// The pointers are those that libvirt calls back with.
unsafe fn tell(domain: sys::virDomainPtr, opaque: *mut c_void, change: Change) {
    // SAFETY: the box that was registered with the callback.
    let told = unsafe { &*opaque.cast::<Told>() };
    let mut text: [c_char; 37] = [0; 37];
    // SAFETY: VIR_UUID_STRING_BUFLEN is 37; the UUID is in the domain's own record, nobody is asked.
    if unsafe { sys::virDomainGetUUIDString(domain, text.as_mut_ptr()) } < 0 {
        return;
    }
    // SAFETY: ends with a zero.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    if let Some(uuid) = text.to_str().ok().and_then(|text| Uuid::parse_str(text).ok()) {
        told.hub.tell(DomainEvent::Happened { domain: DomainRef { kind: told.kind, uuid }, change });
    }
}

/// A text of libvirt's; empty where there is none.
///
/// # Safety
/// The pointer is null or a C string.
unsafe fn text(from: *const c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: not null, so a C string.
    unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn lifecycle(_: sys::virConnectPtr, domain: sys::virDomainPtr, event: c_int, detail: c_int, to: *mut c_void) -> c_int {
    // SAFETY: libvirt's own pointers.
    unsafe { tell(domain, to, Change::lifecycle(event, detail)) };
    0
}

unsafe extern "C" fn rebooted(_: sys::virConnectPtr, domain: sys::virDomainPtr, to: *mut c_void) {
    // SAFETY: libvirt's own pointers.
    unsafe { tell(domain, to, Change::Rebooted) };
}

unsafe extern "C" fn agent(_: sys::virConnectPtr, domain: sys::virDomainPtr, state: c_int, _reason: c_int, to: *mut c_void) {
    // SAFETY: libvirt's own pointers. The agent is there in state 1.
    unsafe { tell(domain, to, Change::Agent { connected: state == 1 }) };
}

unsafe extern "C" fn device_added(_: sys::virConnectPtr, domain: sys::virDomainPtr, alias: *const c_char, to: *mut c_void) {
    // SAFETY: libvirt's own pointers.
    unsafe { tell(domain, to, Change::Device { alias: text(alias), added: true }) };
}

unsafe extern "C" fn device_removed(_: sys::virConnectPtr, domain: sys::virDomainPtr, alias: *const c_char, to: *mut c_void) {
    // SAFETY: libvirt's own pointers.
    unsafe { tell(domain, to, Change::Device { alias: text(alias), added: false }) };
}

unsafe extern "C" fn block_job(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    disk: *const c_char,
    _kind: c_int,
    status: c_int,
    to: *mut c_void,
) {
    // SAFETY: libvirt's own pointers.
    unsafe { tell(domain, to, Change::BlockJob { disk: text(disk), status }) };
}

unsafe extern "C" fn block_threshold(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    device: *const c_char,
    _path: *const c_char,
    _threshold: c_ulonglong,
    excess: c_ulonglong,
    to: *mut c_void,
) {
    // SAFETY: libvirt's own pointers.
    unsafe { tell(domain, to, Change::BlockThreshold { disk: text(device), excess }) };
}

unsafe extern "C" fn metadata(_: sys::virConnectPtr, domain: sys::virDomainPtr, _kind: c_int, _uri: *const c_char, to: *mut c_void) {
    // SAFETY: libvirt's own pointers.
    unsafe { tell(domain, to, Change::Metadata) };
}

/// What a domain does, and why.
pub(super) fn state(domain: &Domain) -> Result<(State, &'static str), Error> {
    let (mut state, mut reason): (c_int, c_int) = (0, 0);
    // SAFETY: two places to write to.
    if unsafe { sys::virDomainGetState(domain.as_ptr(), &raw mut state, &raw mut reason, 0) } < 0 {
        return Err(Error::last_error());
    }
    Ok(super::libvirt::state_words(state, reason))
}

/// One interface's hardware address and its addresses.
pub(super) fn addresses(domain: &Domain, source: sys::virDomainInterfaceAddressesSource) -> Result<Vec<(String, Vec<String>)>, Error> {
    let mut list: *mut sys::virDomainInterfacePtr = ptr::null_mut();
    // SAFETY: a place to write the list to, which is freed below with all that is in it.
    let count = unsafe { sys::virDomainInterfaceAddresses(domain.as_ptr(), &raw mut list, source, 0) };
    let Ok(count) = usize::try_from(count) else { return Err(Error::last_error()) };
    let mut found = Vec::with_capacity(count);
    for at in 0..count {
        // SAFETY: the list has so many entries, each with so many addresses.
        unsafe {
            let interface = *list.add(at);
            let known = usize::try_from((*interface).naddrs).unwrap_or_default();
            let addresses = (0..known).map(|at| text((*(*interface).addrs.add(at)).addr)).collect();
            found.push((text((*interface).hwaddr).to_ascii_lowercase(), addresses));
            sys::virDomainInterfaceFree(interface);
        }
    }
    // SAFETY: an array that libvirt allocated.
    unsafe { libc::free(list.cast::<c_void>()) };
    Ok(found)
}

/// The figures of one domain: names such as `cpu.time`, and counts.
pub(super) type Counts = BTreeMap<String, u64>;

/// What libvirt counted of one domain.
pub(super) struct Stats {
    pub(super) uuid: Uuid,
    /// The number that it has since its last start.
    pub(super) id: u32,
    pub(super) counts: Counts,
}

/// What domains of one connection use. One that is busy is not waited for: what only its process knows is missing then.
pub(super) fn stats(domains: &[Domain]) -> Result<Vec<Stats>, Error> {
    if domains.is_empty() {
        return Ok(Vec::new());
    }
    let what = sys::VIR_DOMAIN_STATS_CPU_TOTAL
        | sys::VIR_DOMAIN_STATS_BALLOON
        | sys::VIR_DOMAIN_STATS_VCPU
        | sys::VIR_DOMAIN_STATS_INTERFACE
        | sys::VIR_DOMAIN_STATS_BLOCK;
    // SAFETY: the domains outlive the call.
    let mut pointers: Vec<_> = domains.iter().map(|domain| unsafe { domain.as_ptr() }).collect();
    pointers.push(ptr::null_mut());
    let mut records: *mut sys::virDomainStatsRecordPtr = ptr::null_mut();
    // SAFETY: a list that ends with null, and a place to write the answer to.
    let count =
        unsafe { sys::virDomainListGetStats(pointers.as_mut_ptr(), what, &raw mut records, sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT) };
    let Ok(count) = usize::try_from(count) else { return Err(Error::last_error()) };
    let mut found = Vec::with_capacity(count);
    for at in 0..count {
        // SAFETY: the list has so many records, and lives until it is freed below.
        unsafe {
            let record = *records.add(at);
            let mut buffer: [u8; 16] = [0; 16];
            if sys::virDomainGetUUID((*record).dom, buffer.as_mut_ptr()) == 0 {
                let parameters = usize::try_from((*record).nparams).unwrap_or_default();
                let counts = (0..parameters).filter_map(|at| count_of(&*(*record).params.add(at))).collect();
                found.push(Stats { uuid: Uuid::from_bytes(buffer), id: sys::virDomainGetID((*record).dom), counts });
            }
        }
    }
    // SAFETY: what libvirt allocated.
    unsafe { sys::virDomainStatsRecordListFree(records) };
    Ok(found)
}

/// A parameter that is a count.
fn count_of(parameter: &sys::virTypedParameter) -> Option<(String, u64)> {
    // SAFETY: the name ends with a zero within its field, and the type says which member of the union is set.
    unsafe {
        let name = text(parameter.field.as_ptr());
        let value = match c_uint::try_from(parameter.type_).ok()? {
            sys::VIR_TYPED_PARAM_INT => u64::try_from(parameter.value.i).ok()?,
            sys::VIR_TYPED_PARAM_UINT => u64::from(parameter.value.ui),
            sys::VIR_TYPED_PARAM_LLONG => u64::try_from(parameter.value.l).ok()?,
            sys::VIR_TYPED_PARAM_ULLONG => parameter.value.ul,
            _ => return None,
        };
        Some((name, value))
    }
}

/// Sets the weight of a domain (`cpu_shares`).
pub(super) fn set_shares(domain: &Domain, shares: u64, flags: c_uint) -> Result<(), Error> {
    let (mut parameters, mut count, mut room): (sys::virTypedParameterPtr, c_int, c_int) = (ptr::null_mut(), 0, 0);
    // SAFETY: libvirt makes the list, and frees it.
    let answer = unsafe {
        sys::virTypedParamsAddULLong(&raw mut parameters, &raw mut count, &raw mut room, c"cpu_shares".as_ptr(), shares);
        let answer = sys::virDomainSetSchedulerParametersFlags(domain.as_ptr(), parameters, count, flags);
        sys::virTypedParamsFree(parameters, count);
        answer
    };
    if answer < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// Has a domain end when its guest switches itself off, this time.
pub(super) fn end_at_power_off(domain: &Domain) -> Result<(), Error> {
    let (turn, action) = (sys::VIR_DOMAIN_LIFECYCLE_POWEROFF, sys::VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY);
    // SAFETY: numbers alone.
    let answer = unsafe { sys::virDomainSetLifecycleAction(domain.as_ptr(), turn, action, sys::VIR_DOMAIN_AFFECT_LIVE) };
    if answer < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// What systemd takes as the first process of a container, as real-time signals: `SIGRTMIN+3` and `SIGRTMIN+5`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Systemd {
    PowerOff,
    Reboot,
}

/// Sends a signal of systemd's to the first process of a container. Any other ignores it: the first process of a name space
/// gets no signal that it has not asked for.
pub(super) fn signal(domain: &Domain, which: Systemd) -> Result<(), Error> {
    let number = match which {
        Systemd::PowerOff => sys::VIR_DOMAIN_PROCESS_SIGNAL_RT3,
        Systemd::Reboot => sys::VIR_DOMAIN_PROCESS_SIGNAL_RT5,
    };
    // SAFETY: numbers alone; 1 is the first process.
    let answer = unsafe { sys::virDomainSendProcessSignal(domain.as_ptr(), 1, number, 0) };
    if answer < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// A socket on which a domain's screen speaks.
pub(super) fn graphics(domain: &Domain) -> Result<OwnedFd, Error> {
    let number = domain.open_graphics_fd(0, sys::VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)?;
    // SAFETY: a descriptor that libvirt has just made for the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(number).unwrap_or(-1)) })
}
