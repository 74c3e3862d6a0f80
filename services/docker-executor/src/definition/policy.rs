//! What only an administrator may put in a definition: rights over the host, and anything of somebody else's. The one
//! place where this is decided; a refusal names the line and the rule.

use orrery_compose::model::{BindSource, FileSource, MountKind, NetworkMode, Spanned, VolumesSource};
use orrery_compose::{Place, Problem, Project, Service};
use orrery_contracts::Role;

/// Capabilities that everybody may add: the engine's own defaults, given back after a `cap_drop: [ALL]`.
const HARMLESS: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// What in this project somebody with this role may not ask for.
#[must_use]
pub fn refusals(project: &Project, role: Role) -> Vec<Problem> {
    match role {
        Role::Admin => Vec::new(),
        Role::User | Role::Viewer => {
            let mut found = Rules::default();
            for service in project.services.values() {
                found.rights(service);
                found.name_spaces(service);
                found.mounts(service);
            }
            found.resources(project);
            found.0
        }
    }
}

#[derive(Default)]
struct Rules(Vec<Problem>);

impl Rules {
    fn refuse(&mut self, place: &Place, what: &str) {
        let message = format!("{what} gives power over the host: only an administrator may use it");
        self.0.push(Problem::refused(place, message).hint("Leave it out, or ask an administrator to apply this stack."));
    }

    fn each(&mut self, values: &[Spanned<String>], what: &str) {
        for value in values {
            self.refuse(&value.place, &format!("{what} {}", value.value));
        }
    }

    fn rights(&mut self, service: &Service) {
        if let Some(privileged) = service.privileged.as_ref().filter(|yes| yes.value) {
            self.refuse(&privileged.place, "privileged");
        }
        for hook in service.post_start.iter().chain(&service.pre_stop).filter(|hook| hook.privileged) {
            self.refuse(&hook.place, "a privileged hook");
        }
        let harmless = |value: &&Spanned<String>| {
            let name = value.value.to_ascii_uppercase();
            HARMLESS.contains(&name.strip_prefix("CAP_").unwrap_or(&name))
        };
        for capability in service.cap_add.iter().filter(|value| !harmless(value)) {
            self.refuse(&capability.place, &format!("capability {}", capability.value));
        }
        let opens = |value: &&Spanned<String>| !value.value.starts_with("no-new-privileges");
        for option in service.security_opt.iter().filter(opens) {
            self.refuse(&option.place, &format!("security_opt {}", option.value));
        }
        for device in &service.devices {
            self.refuse(&device.place, &format!("device {}", device.source));
        }
        for request in &service.device_requests {
            self.refuse(&request.place, "a device request");
        }
        self.each(&service.device_cgroup_rules, "device_cgroup_rules");
        if let Some(runtime) = &service.runtime {
            self.refuse(&runtime.place, &format!("runtime {}", runtime.value));
        }
        if let Some(parent) = &service.cgroup_parent {
            self.refuse(&parent.place, "cgroup_parent");
        }
        if !service.sysctls.is_empty() && matches!(service.network_mode.as_deref(), Some(NetworkMode::Host)) {
            self.refuse(&service.place, "sysctls of the host's network");
        }
        let plain_log = |driver: &str| matches!(driver, "json-file" | "local" | "none");
        if let Some(logging) = service.logging.as_ref().filter(|logging| logging.driver.as_deref().is_some_and(|driver| !plain_log(driver)))
        {
            self.refuse(&logging.place, "this logging driver");
        }
    }

    fn name_spaces(&mut self, service: &Service) {
        for (mode, key) in [
            (&service.pid, "pid"),
            (&service.ipc, "ipc"),
            (&service.uts, "uts"),
            (&service.userns_mode, "userns_mode"),
            (&service.cgroup, "cgroup"),
        ] {
            if let Some(mode) = mode.as_ref().filter(|mode| mode.value == "host" || mode.value.starts_with("container:")) {
                self.refuse(&mode.place, &format!("{key}: {}", mode.value));
            }
        }
        let foreign = |mode: &NetworkMode| match mode {
            NetworkMode::Host | NetworkMode::Container(_) | NetworkMode::Other(_) => true,
            NetworkMode::None | NetworkMode::Bridge | NetworkMode::Service(_) => false,
        };
        if let Some(mode) = service.network_mode.as_ref().filter(|mode| foreign(&mode.value)) {
            self.refuse(&mode.place, "this network_mode");
        }
        if let Some(build) = service.build.as_ref().filter(|build| build.network.as_deref() == Some("host")) {
            self.refuse(&build.place, "a build on the host's network");
        }
    }

    fn mounts(&mut self, service: &Service) {
        for mount in &service.volumes {
            if let MountKind::Bind(bind) = &mount.kind
                && let BindSource::Host(path) = &bind.source
            {
                self.refuse(&mount.place, &format!("the host's path {path}"));
            }
        }
        for from in &service.volumes_from {
            if let VolumesSource::Container(name) = &from.value.source {
                self.refuse(&from.place, &format!("volumes_from container {name}"));
            }
        }
        for (container, _) in &service.external_links {
            self.refuse(&service.place, &format!("a link to container {container}"));
        }
    }

    fn resources(&mut self, project: &Project) {
        for network in project.networks.values().filter(|network| network.external) {
            self.refuse(&network.place, &format!("network {}, made elsewhere,", network.name.value));
        }
        let not_plain = |driver: &Option<String>, plain: &str| driver.as_deref().is_some_and(|driver| driver != plain);
        for network in project.networks.values().filter(|network| not_plain(&network.driver, "bridge")) {
            self.refuse(&network.place, "this network driver");
        }
        for volume in project.volumes.values() {
            if volume.external {
                self.refuse(&volume.place, &format!("volume {}, made elsewhere,", volume.name.value));
            } else if not_plain(&volume.driver, "local") || !volume.driver_opts.is_empty() {
                self.refuse(&volume.place, "a volume driver or its options");
            }
        }
        for object in project.configs.values().chain(project.secrets.values()) {
            if let FileSource::Host(path) = &object.source {
                self.refuse(&object.place, &format!("the host's path {path}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use orrery_compose::{Files, LoadOptions, load};

    use super::*;

    fn refused(yaml: &str, role: Role) -> Vec<String> {
        let outcome = load(&Files::of_compose(yaml), &LoadOptions::default());
        let project = outcome.project.unwrap_or_else(|| panic!("{:?}", outcome.problems));
        refusals(&project, role).into_iter().map(|problem| format!("{}: {}", problem.line, problem.message)).collect()
    }

    #[test]
    fn power_over_the_host_is_for_administrators() {
        let service = "services:\n  a:\n    image: x\n";
        for line in [
            "privileged: true",
            "post_start: [{command: id, privileged: true}]",
            "pid: host",
            "ipc: host",
            "network_mode: host",
            "cap_add: [SYS_ADMIN]",
            "devices: [/dev/kvm]",
            "volumes: ['/etc:/etc']",
            "volumes: ['/var/run/docker.sock:/var/run/docker.sock']",
            "security_opt: ['apparmor=unconfined']",
        ] {
            let yaml = format!("{service}    {line}\n");
            assert_eq!(refused(&yaml, Role::User).len(), 1, "{line}");
            assert!(refused(&yaml, Role::Admin).is_empty(), "{line}");
        }
    }

    #[test]
    fn what_stays_in_the_stack_is_for_everybody() {
        let yaml = "services:\n  a:\n    image: x\n    cap_drop: [ALL]\n    cap_add: [NET_BIND_SERVICE]\n    security_opt: ['no-new-privileges:true']\n    volumes: ['data:/data', './conf:/conf']\nvolumes:\n  data: {}\n";
        assert!(refused(yaml, Role::User).is_empty());
    }
}
