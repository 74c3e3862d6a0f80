//! The real engine, over the crate `virt`: each act is one or a few calls, made so that repeating it is harmless.
//!
//! **Invariant.** Nothing of libvirt is called on the runtime: every call is a closure that [`Owner`] carries to a thread,
//! or belongs to the thread of one stream.

mod acts;
mod capabilities;
mod console;
mod domains;
mod figures;
mod leftovers;
mod listing;
mod neighbours;
mod networks;
mod plugs;
mod power;
mod screen;
mod snapshots;
mod storage;
mod upload;
mod words;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use virt::connect::Connect;
use virt::domain::Domain;

use super::error::EngineError;
use super::events::{DomainEvent, EventHub};
use super::gate::{Glimpse, Outcome, Until, Verdict, judge};
use super::observed::{Capabilities, Figures, Observed, Scope};
use super::threads::Owner;
use super::{Act, Console, DomainRef, Effect, Hypervisor, Kind, Picture, Say};

pub(super) use words::state_words;

/// How long a call may take that has no reason to take long.
const CALL: Duration = Duration::from_secs(30);
/// How long a start, a snapshot or a volume may take.
const LONG: Duration = Duration::from_secs(300);
/// A look at a domain that is waited for, in case an event was lost.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Where libvirt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uris {
    /// Virtual machines, volumes and networks: `qemu:///system`.
    pub vm: String,
    /// Containers: `lxc:///system`; none when this installation has none.
    pub container: Option<String>,
}

impl Uris {
    /// What `ORRERY_LIBVIRT_URI` and `ORRERY_LIBVIRT_LXC_URI` name, else the usual. The second may be set to nothing:
    /// then there are no containers.
    #[must_use]
    pub fn from_env() -> Self {
        Self::named(std::env::var("ORRERY_LIBVIRT_URI").ok(), std::env::var("ORRERY_LIBVIRT_LXC_URI").ok())
    }

    fn named(vm: Option<String>, container: Option<String>) -> Self {
        let vm = vm.filter(|uri| !uri.is_empty()).unwrap_or_else(|| "qemu:///system".to_owned());
        let container = container.unwrap_or_else(|| "lxc:///system".to_owned());
        Self { vm, container: Some(container).filter(|uri| !uri.is_empty()) }
    }
}

/// The connections of one driver.
#[derive(Clone, Debug)]
struct Lines {
    /// Short questions and acts.
    control: Owner,
    /// Uploads, and the streams of consoles and screens.
    long: Owner,
    /// Figures, which are asked for all the time and must not wait behind an act.
    figures: Owner,
    /// What happens. It is asked nothing.
    _events: Owner,
}

impl Lines {
    fn start(uri: &str, kind: Kind, hub: &EventHub) -> Self {
        let names = match kind {
            Kind::Vm => ["vm-control", "vm-long", "vm-figures", "vm-events"],
            Kind::Container => ["lxc-control", "lxc-long", "lxc-figures", "lxc-events"],
        };
        let [control, long, figures, events] = names;
        Self {
            control: Owner::start(uri, control, None),
            long: Owner::start(uri, long, None),
            figures: Owner::start(uri, figures, None),
            _events: Owner::start(uri, events, Some((kind, hub.clone()))),
        }
    }
}

/// libvirt. Clones share its connections.
#[derive(Clone, Debug)]
pub struct LibvirtEngine {
    vm: Lines,
    container: Option<Lines>,
    hub: EventHub,
    pools: Arc<storage::PoolLocks>,
    found: Arc<capabilities::Found>,
}

impl LibvirtEngine {
    /// The engine at these addresses; begins to connect and to follow its events.
    #[must_use]
    pub fn start(uris: &Uris) -> Self {
        let hub = EventHub::default();
        Self {
            vm: Lines::start(&uris.vm, Kind::Vm, &hub),
            container: uris.container.as_deref().map(|uri| Lines::start(uri, Kind::Container, &hub)),
            hub,
            pools: Arc::default(),
            found: Arc::default(),
        }
    }

    fn lines(&self, kind: Kind) -> Result<&Lines, EngineError> {
        let none = || {
            let why = "this installation has no libvirt for containers: set ORRERY_LIBVIRT_LXC_URI (lxc:///system) and start again";
            EngineError::refuse("no_containers", why)
        };
        match kind {
            Kind::Vm => Ok(&self.vm),
            Kind::Container => self.container.as_ref().ok_or_else(none),
        }
    }

    /// Asks the driver that has this kind of domain.
    async fn ask<T, F>(&self, kind: Kind, within: Duration, question: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&Connect) -> Result<T, EngineError> + Send + 'static,
    {
        let lines = self.lines(kind)?;
        match lines.control.ask(within, question).await {
            // A daemon that is there and lacks the driver is no daemon to wait for.
            Err(error) if lacks_driver(&error.message, kind == Kind::Container && self.vm.control.away().is_none()) => {
                let what = kind.word();
                let why = format!("libvirt at {} has no driver for a {what}: install it and start the daemon again", lines.control.uri());
                Err(EngineError::refuse("no_driver", why))
            }
            said => said,
        }
    }

    /// Asks about one domain.
    async fn with<T, F>(&self, domain: DomainRef, within: Duration, question: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&Domain) -> Result<T, EngineError> + Send + 'static,
    {
        self.ask(domain.kind, within, move |connection| question(&connection.lookup_domain_by_uuid(domain.uuid)?)).await
    }

    async fn glimpse(&self, domain: DomainRef, until: Until) -> Result<Glimpse, EngineError> {
        self.with(domain, CALL, move |domain| {
            let (state, reason) = super::raw::state(domain)?;
            let addressed = until == Until::Addressed && !listing::addresses(domain).0.is_empty();
            let answers = until == Until::Answering && listing::answers(domain);
            Ok(Glimpse { state, reason, addressed, answers })
        })
        .await
    }
}

impl Hypervisor for LibvirtEngine {
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        listing::observe(self, scope).await
    }

    async fn act(&self, act: &Act, say: Say<'_>) -> Result<Effect, EngineError> {
        acts::carry_out(self, act, say).await
    }

    async fn wait(&self, domain: DomainRef, until: Until, deadline: Duration) -> Result<Outcome, EngineError> {
        let mut events = self.hub.listen();
        let waited = async {
            loop {
                if let Verdict::Over(outcome) = judge(until, &self.glimpse(domain, until).await?) {
                    return Ok(outcome);
                }
                let _ = tokio::time::timeout(LOOK_AGAIN, heard(&mut events, domain)).await;
            }
        };
        tokio::time::timeout(deadline, waited).await.unwrap_or(Ok(Outcome::Late))
    }

    async fn figures(&self, domains: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
        figures::figures(self, domains).await
    }

    async fn console(&self, domain: DomainRef) -> Result<Console, EngineError> {
        console::open(self, domain).await
    }

    async fn screenshot(&self, domain: DomainRef) -> Result<Picture, EngineError> {
        screen::screenshot(self, domain).await
    }

    async fn graphics(&self, domain: DomainRef) -> Result<OwnedFd, EngineError> {
        screen::graphics(self, domain).await
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        capabilities::capabilities(self).await
    }

    fn events(&self) -> broadcast::Receiver<DomainEvent> {
        self.hub.listen()
    }

    fn away(&self) -> Option<String> {
        self.vm.control.away()
    }
}

/// Whether an error says that there is no such driver: with one daemon for all, in its own words; with a daemon of its own for each, by
/// a socket that does not exist while that of `another` is answered.
fn lacks_driver(message: &str, another: bool) -> bool {
    message.contains("no connection driver available")
        || (another && message.contains("Failed to connect socket") && message.contains("No such file or directory"))
}

/// Returns when something happened to this domain, or may have.
async fn heard(events: &mut broadcast::Receiver<DomainEvent>, whose: DomainRef) {
    loop {
        match events.recv().await {
            Ok(DomainEvent::Happened { domain, .. }) if domain != whose => {}
            Ok(DomainEvent::Lost(_)) => {}
            Ok(DomainEvent::Happened { .. } | DomainEvent::Connected(_)) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Uris, lacks_driver};

    #[test]
    fn a_driver_that_is_not_installed_is_not_waited_for() {
        let no_socket = "Failed to connect socket to '/var/run/libvirt/virtlxcd-sock': No such file or directory";
        assert!(lacks_driver("no connection driver available for lxc:///system", false));
        assert!(lacks_driver(no_socket, true));
        assert!(!lacks_driver(no_socket, false), "the one daemon of all has not started yet");
        assert!(!lacks_driver("Failed to connect socket to '/run/libvirt/virtlxcd-sock': Connection refused", true));
    }

    #[test]
    fn the_usual_addresses_and_none_for_containers() {
        let named = |vm: Option<&str>, container: Option<&str>| Uris::named(vm.map(str::to_owned), container.map(str::to_owned));
        let usual = named(None, None);
        assert_eq!((usual.vm.as_str(), usual.container.as_deref()), ("qemu:///system", Some("lxc:///system")));
        assert_eq!(named(Some(""), Some("")), Uris { container: None, ..usual });
        assert_eq!(named(Some("test:///default"), None).vm, "test:///default");
    }
}
