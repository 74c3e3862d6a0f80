//! One service.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::cursor::Cursor;
use super::{Context, Location, deploy, inside, mounts, networks, ports};
use crate::model::{Build, Condition, Dependency, Healthcheck, Hook, Logging, PullPolicy, Restart, SECRET_REFERENCE, Service, Spanned};
use crate::paths;
use crate::problem::{Place, Problem};
use crate::units;

pub(super) fn service(name: &str, cursor: &Cursor<'_>, place: Place, context: &Context<'_>, problems: &mut Vec<Problem>) -> Service {
    let deploy = deploy::deploy(cursor, problems);
    let volumes = mounts::volumes(cursor, context, problems);
    let nonzero = |key: &str| cursor.int(key).filter(|value| *value != 0);
    let size = |key: &str| cursor.bytes(key).filter(|value| *value != 0);
    let mut device_requests = deploy::device_requests(cursor, "gpus", problems);
    for gpu in device_requests.iter_mut().filter(|request| request.capabilities.is_empty()) {
        gpu.capabilities.push("gpu".to_owned());
    }
    device_requests.extend(deploy.reserved_devices.clone());
    if cursor.text("image").is_none() && cursor.get("build").is_none() && cursor.get("provider").is_none() {
        problems.push(Problem::invalid(&place, format!("the service {name} has no image and no build")).hint("Add image: or build:."));
    }
    empty_command(cursor, problems);
    Service {
        name: name.to_owned(),
        place,
        image: cursor.spanned("image"),
        build: cursor.get("build").map(|build| self::build(&build, context, problems)),
        pull_policy: pull_policy(cursor, problems),
        platform: cursor.text("platform"),
        command: cursor.command("command"),
        entrypoint: cursor.command("entrypoint"),
        environment: environment(cursor, problems),
        env_files: env_files(cursor),
        labels: cursor.strings("labels"),
        annotations: cursor.strings("annotations"),
        container_name: container_name(cursor, problems),
        replicas: replicas(cursor, problems),
        profiles: cursor.texts("profiles"),
        depends_on: depends_on(cursor),
        healthcheck: cursor.get("healthcheck").map(|healthcheck| self::healthcheck(&healthcheck, problems)),
        post_start: hooks(cursor, "post_start", problems),
        pre_stop: hooks(cursor, "pre_stop", problems),
        restart: restart(cursor, &deploy, problems),
        ports: ports::ports(cursor, problems),
        expose: ports::expose(cursor, problems),
        networks: networks::attachments(cursor, problems),
        network_mode: networks::network_mode(cursor),
        links: links(cursor, "links"),
        external_links: links(cursor, "external_links"),
        hostname: cursor.text("hostname"),
        domainname: cursor.text("domainname"),
        mac_address: cursor.text("mac_address"),
        dns: cursor.texts("dns"),
        dns_opt: cursor.texts("dns_opt"),
        dns_search: cursor.texts("dns_search"),
        extra_hosts: cursor.hosts("extra_hosts"),
        volumes_from: mounts::volumes_from(cursor),
        tmpfs: mounts::tmpfs_paths(cursor, &volumes, problems),
        volumes,
        configs: mounts::file_mounts(cursor, "configs", problems),
        secrets: mounts::file_mounts(cursor, "secrets", problems),
        read_only: cursor.flag("read_only"),
        shm_size: size("shm_size"),
        storage_opt: cursor.strings("storage_opt"),
        user: cursor.text("user"),
        group_add: cursor.texts("group_add"),
        working_dir: cursor.text("working_dir"),
        stop_signal: cursor.text("stop_signal"),
        stop_grace_period: cursor.duration("stop_grace_period"),
        init: cursor.maybe("init"),
        stdin_open: cursor.flag("stdin_open"),
        tty: cursor.flag("tty"),
        attach: cursor.maybe("attach"),
        logging: cursor.get("logging").map(|logging| Logging {
            place: logging.place(),
            driver: logging.text("driver"),
            options: logging.strings("options"),
        }),
        runtime: cursor.spanned("runtime"),
        cap_add: cursor.spanned_texts("cap_add"),
        cap_drop: cursor.spanned_texts("cap_drop"),
        privileged: cursor.get("privileged").map(|at| Spanned::new(cursor.flag("privileged"), at.place())),
        security_opt: cursor.spanned_texts("security_opt"),
        userns_mode: cursor.spanned("userns_mode"),
        ipc: cursor.spanned("ipc"),
        pid: cursor.spanned("pid"),
        uts: cursor.spanned("uts"),
        cgroup: cursor.spanned("cgroup"),
        cgroup_parent: cursor.spanned("cgroup_parent"),
        devices: deploy::devices(cursor),
        device_cgroup_rules: cursor.spanned_texts("device_cgroup_rules"),
        device_requests,
        sysctls: cursor.strings("sysctls"),
        ulimits: deploy::ulimits(cursor),
        nano_cpus: deploy::nano_cpus(cursor, "cpus").or(deploy.limit_nano_cpus),
        cpu_count: nonzero("cpu_count"),
        cpu_percent: cursor.number("cpu_percent").filter(|percent| *percent != 0.0),
        cpu_shares: nonzero("cpu_shares"),
        cpu_period: nonzero("cpu_period"),
        cpu_quota: nonzero("cpu_quota"),
        cpu_rt_period: nonzero("cpu_rt_period"),
        cpu_rt_runtime: nonzero("cpu_rt_runtime"),
        cpuset: cursor.text("cpuset"),
        mem_limit: size("mem_limit").or(deploy.limit_memory),
        mem_reservation: size("mem_reservation").or(deploy.reserved_memory),
        memswap_limit: size("memswap_limit"),
        mem_swappiness: cursor.bytes("mem_swappiness"),
        oom_kill_disable: cursor.flag("oom_kill_disable"),
        oom_score_adj: oom_score_adj(cursor, problems),
        pids_limit: nonzero("pids_limit").or(deploy.limit_pids),
        blkio_config: deploy::blkio(cursor),
        isolation: cursor.text("isolation"),
        deploy,
    }
}

fn hooks(service: &Cursor<'_>, key: &str, problems: &mut Vec<Problem>) -> Vec<Hook> {
    let hooks = service.get(key).map(|hooks| hooks.items()).unwrap_or_default();
    let mut hook = |hook: &Cursor<'_>| {
        let command = hook.command("command").unwrap_or_default();
        if command.is_empty() {
            problems.push(
                Problem::refused(&hook.place(), "this hook has no command to run").hint("Write command: with a program and its words."),
            );
        }
        Hook {
            place: hook.place(),
            command,
            user: hook.text("user"),
            privileged: hook.flag("privileged"),
            working_dir: hook.text("working_dir"),
            environment: hook.optional_strings("environment"),
        }
    };
    hooks.iter().map(&mut hook).collect()
}

/// The engine tells an empty command from none only together with an entrypoint.
fn empty_command(service: &Cursor<'_>, problems: &mut Vec<Problem>) {
    if service.get("entrypoint").is_none() && service.command("command").is_some_and(|words| words.is_empty()) {
        let message = "the engine takes an empty command for none, and runs the image's";
        problems.push(Problem::warning(&service.key_place("command"), message).hint("Leave it out, or write the entrypoint too."));
    }
}

fn build(build: &Cursor<'_>, context: &Context<'_>, problems: &mut Vec<Problem>) -> Build {
    let written = build.spanned("context").unwrap_or_default();
    let folder = folder_of(&written, context, problems);
    if build.get("dockerfile").is_some() && build.get("dockerfile_inline").is_some() {
        let problem = Problem::invalid(&build.key_place("dockerfile_inline"), "dockerfile and dockerfile_inline exclude each other");
        problems.push(problem.hint("Keep one of the two."));
    }
    let dockerfile = build.spanned("dockerfile").and_then(|file| dockerfile(&file, folder.as_deref()?, context, problems));
    let shm_size = build.bytes("shm_size").filter(|size| *size != 0);
    if shm_size.is_some_and(|size| i32::try_from(size).is_err()) {
        let problem = Problem::refused(&build.key_place("shm_size"), "a build's /dev/shm is smaller than 2 GiB");
        problems.push(problem.hint("Write a smaller size, such as 1g."));
    }
    let platforms = build.texts("platforms");
    if platforms.len() > 1 {
        let place = build.key_place("platforms");
        problems.push(Problem::refused(&place, "the engine builds for one platform at a time").hint("Keep one platform."));
    }
    Build {
        place: build.place(),
        context: Spanned::new(folder.unwrap_or_default(), written.place),
        dockerfile,
        dockerfile_inline: build.spanned("dockerfile_inline"),
        args: build.optional_strings("args"),
        target: build.text("target"),
        labels: build.strings("labels"),
        tags: build.texts("tags"),
        cache_from: build.texts("cache_from"),
        no_cache: build.flag("no_cache"),
        pull: build.flag("pull"),
        network: build.text("network"),
        extra_hosts: build.hosts("extra_hosts"),
        shm_size,
        ulimits: deploy::ulimits(build),
        isolation: build.text("isolation"),
        platforms,
    }
}

/// The folder of the bundle that a context is; anything else is refused.
fn folder_of(written: &Spanned<String>, context: &Context<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    if paths::is_remote(&written.value) {
        let problem = Problem::refused(&written.place, format!("the build context {} is not in the bundle", written.value));
        problems.push(problem.hint("Put the sources into the bundle; nothing is fetched from elsewhere."));
        return None;
    }
    match inside(&written.value, &written.place, context, problems)? {
        Location::Host(path) => {
            let problem = Problem::refused(&written.place, format!("the build context {path} is a folder of the host"));
            problems.push(problem.hint("Put the sources into the bundle, and write a path relative to compose.yaml."));
            None
        }
        Location::Bundle(path) if context.files.has_folder(&path) => Some(path),
        Location::Bundle(path) => {
            let problem = Problem::refused(&written.place, format!("the bundle has no folder {path} to build from"));
            problems.push(problem.hint("Add the folder with its Dockerfile to the bundle."));
            None
        }
    }
}

fn dockerfile(file: &Spanned<String>, folder: &str, context: &Context<'_>, problems: &mut Vec<Problem>) -> Option<Spanned<String>> {
    match crate::files::resolve(folder, &file.value) {
        Ok(path) if context.files.has_file(&path) => Some(Spanned::new(path, file.place.clone())),
        Ok(path) => {
            let problem = crate::envfiles::missing(context.files, &file.place, &path, "Dockerfile");
            problems.push(Problem { kind: crate::problem::Kind::Refused, ..problem });
            None
        }
        Err(outside) => {
            let problem = Problem::refused(&file.place, format!("the Dockerfile {} {outside}", file.value));
            problems.push(problem.hint("Put it into the bundle."));
            None
        }
    }
}

fn container_name(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Spanned<String>> {
    let written = service.get("container_name")?;
    let name = written.show()?;
    let first = |c: char| c.is_ascii_alphanumeric();
    let other = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let pair = name.chars().zip(name.chars().skip(1)).any(|(a, b)| first(a) && other(b));
    if !pair || !name.starts_with(first) || !name.chars().all(other) {
        let message = format!("{name:?} cannot be the name of a container");
        let problem = if pair { Problem::refused(&written.place(), message) } else { Problem::invalid(&written.place(), message) };
        problems.push(problem.hint("Begin with a letter or digit; use letters, digits, dots, dashes and underscores, two at least."));
    }
    Some(Spanned::new(name, written.place()))
}

fn oom_score_adj(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<i64> {
    let value = service.int("oom_score_adj")?;
    if !(-1000..=1000).contains(&value) {
        let problem = Problem::invalid(&service.key_place("oom_score_adj"), format!("{value} is not within -1000 and 1000"));
        problems.push(problem);
    }
    Some(value).filter(|value| *value != 0)
}

fn pull_policy(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<PullPolicy> {
    if let Some(empty) = service.get("pull_policy").filter(|policy| policy.node.as_text() == Some("")) {
        let problem = Problem::invalid(&empty.place(), "pull_policy is empty");
        problems.push(problem.hint("Write always, never, missing, build, daily, weekly or every_12h, or remove it."));
    }
    let written = service.spanned("pull_policy")?;
    let every = |text: &str| units::duration(text).map(PullPolicy::Every);
    let policy = match written.value.as_str() {
        "always" | "refresh" => Some(PullPolicy::Always),
        "never" => Some(PullPolicy::Never),
        "missing" => Some(PullPolicy::Missing),
        "build" => Some(PullPolicy::Build),
        "daily" => Some(PullPolicy::Every(Duration::from_secs(86_400))),
        "weekly" => Some(PullPolicy::Every(Duration::from_secs(604_800))),
        other => other.strip_prefix("every_").and_then(every),
    };
    if policy.is_none() {
        let words = ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];
        let message = format!("{:?} is no pull policy", written.value);
        // Compose looks for one of these words anywhere in the text.
        let every = written.value.split("every_").nth(1).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let known = every || words.iter().any(|word| written.value.contains(word));
        let problem = if known { Problem::refused(&written.place, message) } else { Problem::invalid(&written.place, message) };
        problems.push(problem.hint("Write always, never, missing, build, daily, weekly or every_12h."));
    }
    policy
}

fn environment(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> BTreeMap<String, Spanned<Option<String>>> {
    let Some(environment) = service.get("environment") else { return BTreeMap::new() };
    let mut variables = BTreeMap::new();
    for (name, value) in environment.entries() {
        let text = value.show();
        if is_secret(name) && text.as_ref().is_some_and(|text| !text.is_empty() && !text.starts_with(SECRET_REFERENCE)) {
            let message = format!("the value of {name} is kept in clear in this version, for ever");
            let hint = format!(
                "Set it as a secret of the stack, and write {SECRET_REFERENCE}{} here, or let the program read it from a file.",
                name.to_lowercase()
            );
            problems.push(Problem::warning(&value.place(), message).hint(hint));
        }
        variables.insert(name.to_owned(), Spanned::new(text, value.place()));
    }
    variables
}

/// Whether a variable's name says that its value is nobody's business.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY"];
    words.iter().any(|word| name.ends_with(word))
}

fn env_files(service: &Cursor<'_>) -> Vec<Spanned<String>> {
    let files = service.get("env_file").map(|files| files.items()).unwrap_or_default();
    let path = |file: &Cursor<'_>| {
        let path = file.spanned("path")?;
        Some(Spanned::new(crate::files::resolve("", &path.value).ok()?, path.place))
    };
    files.iter().filter_map(path).collect()
}

fn replicas(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> u32 {
    let scale = service.int("scale");
    let replicas = service.get("deploy").and_then(|deploy| deploy.int("replicas"));
    if let (Some(scale), Some(replicas)) = (scale, replicas)
        && scale != replicas
    {
        let problem = Problem::invalid(&service.key_place("scale"), format!("scale is {scale} and deploy.replicas is {replicas}"));
        problems.push(problem.hint("Keep one of the two."));
    }
    let many = scale.or(replicas).unwrap_or(1);
    u32::try_from(many).ok().filter(|many| *many <= 1000).unwrap_or_else(|| {
        let key = if scale.is_some() { "scale" } else { "deploy" };
        let place = service.key_place(key);
        let problem = if many < 0 {
            Problem::invalid(&place, format!("{many} containers are fewer than none"))
        } else {
            Problem::refused(&place, format!("{many} containers of one service are more than 1000"))
        };
        problems.push(problem);
        1
    })
}

fn depends_on(service: &Cursor<'_>) -> IndexMap<String, Dependency> {
    let Some(depends_on) = service.get("depends_on") else { return IndexMap::new() };
    let dependency = |(name, cursor): (&str, Cursor<'_>)| {
        let condition = match cursor.text("condition").as_deref() {
            Some("service_healthy") => Condition::ServiceHealthy,
            Some("service_completed_successfully") => Condition::ServiceCompletedSuccessfully,
            Some(_) | None => Condition::ServiceStarted,
        };
        let required = cursor.maybe("required").unwrap_or(true);
        (name.to_owned(), Dependency { place: depends_on.key_place(name), condition, restart: cursor.flag("restart"), required })
    };
    depends_on.entries().into_iter().map(dependency).collect()
}

fn healthcheck(healthcheck: &Cursor<'_>, problems: &mut Vec<Problem>) -> Healthcheck {
    let test = healthcheck.get("test").map(|test| match test.node.as_text() {
        Some(text) => vec!["CMD-SHELL".to_owned(), text.to_owned()],
        None => test.items().iter().filter_map(Cursor::show).collect::<Vec<_>>(),
    });
    let first = test.as_ref().and_then(|test| test.first());
    if let Some(first) = first.filter(|first| !matches!(first.as_str(), "CMD" | "CMD-SHELL" | "NONE")) {
        let problem =
            Problem::invalid(&healthcheck.key_place("test"), format!("a probe begins with CMD, CMD-SHELL or NONE, not with {first:?}"));
        problems.push(problem.hint(format!("Write [\"CMD\", {first:?}, …], or the whole command as one text.")));
    }
    let none = first.is_some_and(|first| first == "NONE");
    let retries = healthcheck.int("retries");
    if retries.is_some_and(|retries| retries < 0) {
        problems.push(Problem::invalid(&healthcheck.key_place("retries"), "retries must not be negative"));
    }
    Healthcheck {
        place: healthcheck.place(),
        disable: healthcheck.flag("disable") || none,
        test: test.filter(|test| !test.is_empty()),
        interval: healthcheck.duration("interval"),
        timeout: healthcheck.duration("timeout"),
        start_period: healthcheck.duration("start_period"),
        start_interval: healthcheck.duration("start_interval"),
        retries: retries.and_then(|retries| u32::try_from(retries).ok()),
    }
}

/// `restart`, else what `deploy.restart_policy` says.
fn restart(service: &Cursor<'_>, deploy: &crate::model::Deploy, problems: &mut Vec<Problem>) -> Option<Restart> {
    if let Some(policy) = &deploy.restart_policy {
        let max_retries = policy.max_attempts.and_then(|times| u32::try_from(times).ok());
        let place = service.get("deploy").map_or_else(|| service.place(), |deploy| deploy.key_place("restart_policy"));
        return match policy.condition.as_deref() {
            Some("none") => Some(Restart::No),
            Some("on-failure") => Some(Restart::OnFailure { max_retries }),
            Some("any") | None if max_retries.is_some() => {
                let message = "the engine counts restarts only after a failure: with max_attempts, an end with exit code 0 is final";
                problems.push(Problem::warning(&place, message).hint("Write condition: on-failure, or leave max_attempts out."));
                Some(Restart::OnFailure { max_retries })
            }
            Some("any") | None => Some(Restart::Always),
            Some(other) => {
                let problem = Problem::refused(&place, format!("{other:?} is no condition of a restart policy"));
                problems.push(problem.hint("Write none, on-failure or any."));
                None
            }
        };
    }
    let written = service.spanned("restart")?;
    let (word, times) = match written.value.split_once(':') {
        Some((word, times)) => (word, Some(times)),
        None => (written.value.as_str(), None),
    };
    let max_retries = times.and_then(|times| times.parse().ok());
    match (word, times) {
        ("no", None) => Some(Restart::No),
        ("always", None) => Some(Restart::Always),
        ("unless-stopped", None) => Some(Restart::UnlessStopped),
        ("on-failure", _) if times.is_none() || max_retries.is_some() => Some(Restart::OnFailure { max_retries }),
        _ => {
            let problem = Problem::refused(&written.place, format!("{:?} is no restart policy", written.value));
            problems.push(problem.hint("Write \"no\", always, unless-stopped, on-failure or on-failure:5."));
            None
        }
    }
}

fn links(service: &Cursor<'_>, key: &str) -> Vec<(String, String)> {
    let split = |link: String| match link.split_once(':') {
        Some((name, alias)) => (name.to_owned(), alias.to_owned()),
        None => (link.clone(), link),
    };
    service.texts(key).into_iter().map(split).collect()
}
