//! A walk over the official Compose schema: for each property a path, and a small definition that has it. Used by the
//! tests of whoever must do something about every property.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use orrery_compose::schema::{Object, Shape, TOP};
use orrery_compose::{Files, LoadOptions, Outcome, load};
use serde_json::{Map, Value, json};

pub fn official() -> Value {
    serde_json::from_str(include_str!("../schema/compose-spec.json")).unwrap()
}

/// A leaf of the schema: its path with `*` for names and `[]` for items, and its schema.
pub struct Leaf {
    pub path: Vec<String>,
    pub schema: Value,
}

struct Walker<'s> {
    root: &'s Value,
    leaves: Vec<Leaf>,
    missing: Vec<String>,
}

impl<'s> Walker<'s> {
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap();
                self.resolve(&self.root["definitions"][name])
            }
            None => schema,
        }
    }

    fn alternatives(&self, schema: &'s Value) -> Vec<&'s Value> {
        let schema = self.resolve(schema);
        match schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            Some(all) => all.iter().flat_map(|one| self.alternatives(one)).collect(),
            None => vec![schema],
        }
    }

    /// Visits a schema together with the shape that the table gives for it, if it gives one.
    fn walk(&mut self, schema: &'s Value, shape: Option<Shape>, path: &[String]) {
        let mut leaf = true;
        for schema in self.alternatives(schema) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                leaf = false;
                let object = shape.and_then(object_of);
                for (name, schema) in properties {
                    let path = join(path, name);
                    let key = object.and_then(|object| object.key(name));
                    if object.is_some() && key.is_none() {
                        self.missing.push(path.join("."));
                    }
                    self.walk(schema, key.map(|key| key.shape), &path);
                }
            }
            if let Some(items) = schema.get("items").filter(|items| self.has_properties(items)) {
                leaf = false;
                self.walk(items, shape.and_then(item_of), &join(path, "[]"));
            }
            for (pattern, schema) in schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
                if pattern != "^x-" && self.has_properties(schema) {
                    leaf = false;
                    self.walk(schema, shape.and_then(named_of), &join(path, "*"));
                }
            }
        }
        if leaf {
            self.leaves.push(Leaf { path: path.to_vec(), schema: self.alternatives(schema)[0].clone() });
        }
    }

    fn has_properties(&self, schema: &'s Value) -> bool {
        self.alternatives(schema).iter().any(|one| one.get("properties").is_some())
    }
}

fn join(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

pub fn object_of(shape: Shape) -> Option<&'static Object> {
    match shape {
        Shape::Object(object) => Some(object),
        Shape::Short(inner) | Shape::ShortOrNumber(inner) | Shape::OrNull(inner) => object_of(*inner),
        _ => None,
    }
}

pub fn item_of(shape: Shape) -> Option<Shape> {
    match shape {
        Shape::List(inner) | Shape::ShortOrList(inner) => Some(*inner),
        Shape::OrNull(inner) => item_of(*inner),
        _ => None,
    }
}

pub fn named_of(shape: Shape) -> Option<Shape> {
    match shape {
        Shape::Map(inner) | Shape::Named(inner) => Some(*inner),
        _ => None,
    }
}

pub fn walk(root: &Value) -> (Vec<Leaf>, Vec<String>) {
    let mut walker = Walker { root, leaves: Vec::new(), missing: Vec::new() };
    walker.walk(root, Some(Shape::Object(&TOP)), &[]);
    (walker.leaves, walker.missing)
}

/// The files that lie beside every definition.
pub fn files(definition: &Value) -> Files {
    [
        ("compose.yaml", definition.to_string()),
        ("f", "content".to_owned()),
        ("e.env", "E=1\n".to_owned()),
        ("raw.env", "E='1'\n".to_owned()),
        ("labels", "L=1\n".to_owned()),
        ("ctx/Dockerfile", "FROM scratch\n".to_owned()),
        ("ctx/Other", "FROM scratch\n".to_owned()),
        ("inc.yaml", "services: {included: {image: '${E:-none}', volumes: ['./d:/d']}}".to_owned()),
    ]
    .into_iter()
    .collect()
}

pub fn outcome(definition: &Value) -> Outcome {
    load(&files(definition), &LoadOptions::default())
}

/// Whether the reader says something about a property: about it alone, or about the whole section that it is in.
pub fn told(path: &str, with: &Outcome, without: &Outcome) -> bool {
    with.problems.iter().any(|problem| {
        let here = pattern_of(&problem.path);
        let above = path.starts_with(&format!("{here}.")) && !here.is_empty();
        // A whole section that is refused, or has no effect, speaks for all keys in it.
        let section = ["does not support", "has no effect", "needs an engine"].iter().any(|words| problem.message.contains(words));
        (path == here || above) && (!without.problems.contains(problem) || above && section)
    })
}

/// Whether the reader says that a property, or the whole section that it is in, does nothing here.
pub fn useless(path: &str, with: &Outcome) -> bool {
    with.problems.iter().any(|problem| {
        let here = pattern_of(&problem.path);
        let about = path == here || (path.starts_with(&format!("{here}.")) && !here.is_empty());
        about && (problem.blocks() || problem.message.contains("no effect"))
    })
}

/// `services.web.ports[0].target` as `services.*.ports.[].target`.
fn pattern_of(path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, items) = part.split_once('[').map_or((part, 0), |(name, rest)| (name, rest.matches(']').count()));
        parts.push(name.to_owned());
        parts.extend(std::iter::repeat_n("[]".to_owned(), items));
    }
    for (index, name) in NAMES {
        for at in 1..parts.len() {
            if parts[at] == *name && (parts[at - 1] == *index) {
                parts[at] = "*".to_owned();
            }
        }
    }
    parts.join(".")
}

/// What a name is that stands for `*` under a key.
const NAMES: [(&str, &str); 8] = [
    ("services", "web"),
    ("networks", "n"),
    ("volumes", "vol"),
    ("configs", "c"),
    ("secrets", "s"),
    ("models", "m"),
    ("depends_on", "db"),
    ("ulimits", "nofile"),
];

/// A definition with a value at a path; without a value, what is around it stays the same.
pub fn definition(path: &[String], value: Option<Value>) -> Value {
    let mut out = json!({
        "services": {
            "db": {"image": "y", "networks": ["n"], "volumes": ["vol:/v"], "configs": ["c"], "secrets": ["s"]},
            "web": {"image": "x"},
        },
        "networks": {"n": null},
        "volumes": {"vol": null},
        "configs": {"c": {"file": "f"}},
        "secrets": {"s": {"file": "f"}},
        "models": {"m": {"model": "x"}},
    });
    if !path.join(".").contains("models") {
        out.as_object_mut().unwrap().remove("models");
    }
    put(&mut out, path, &mut Vec::new(), value);
    out
}

fn put(node: &mut Value, path: &[String], above: &mut Vec<String>, value: Option<Value>) {
    let Some((step, rest)) = path.split_first() else {
        if let Some(value) = value {
            *node = value;
        }
        return;
    };
    let here = above.join(".");
    prepare(node, &here, step);
    above.push(step.clone());
    if rest.is_empty() && value.is_none() {
        if let Some(map) = node.as_object_mut().filter(|_| !(here.is_empty() || step == "*")) {
            map.remove(step);
        }
        return;
    }
    let next = match step.as_str() {
        "[]" => {
            if !node.is_array() {
                *node = json!([{}]);
            }
            &mut node[0]
        }
        "*" => {
            let key = above[..above.len() - 1].last().unwrap();
            let name = NAMES.iter().find(|(section, _)| section == key).unwrap().1;
            object(node).entry(name).or_insert(Value::Null)
        }
        key => object(node).entry(key).or_insert(Value::Null),
    };
    put(next, rest, above, value);
}

fn object(node: &mut Value) -> &mut Map<String, Value> {
    if !node.is_object() {
        *node = json!({});
    }
    node.as_object_mut().unwrap()
}

/// What must stand beside a property for it to mean something.
fn prepare(node: &mut Value, here: &str, step: &str) {
    let around = match (here, step) {
        ("services.*.volumes.[]", "bind") => json!({"type": "bind", "source": "./s", "target": "/t"}),
        ("services.*.volumes.[]", "tmpfs") => json!({"type": "tmpfs", "target": "/t"}),
        ("services.*.volumes.[]", "image") => json!({"type": "image", "source": "i", "target": "/t"}),
        ("services.*.volumes.[]", _) => json!({"type": "volume", "target": "/t"}),
        ("services.*.ports.[]", _) => json!({"target": 80}),
        ("services.*.depends_on.*", _) => json!({"condition": "service_started"}),
        ("services.*.develop.watch.[]", _) => json!({"path": "p", "action": "sync", "target": "/t"}),
        ("services.*.deploy.resources.reservations.devices.[]", "capabilities") => json!({"count": 1}),
        ("services.*.deploy.resources.reservations.devices.[]", _) => json!({"capabilities": ["x"]}),
        ("services.*.devices.[]", _) => json!({"source": "/dev/a"}),
        ("services.*.configs.[]", _) => json!({"source": "c"}),
        ("services.*.secrets.[]" | "services.*.build.secrets.[]", _) => json!({"source": "s"}),
        ("services.*.env_file.[]", "required") => json!({"path": "none.env"}),
        ("services.*.env_file.[]", _) => json!({"path": "raw.env"}),
        ("services.*.extends", "file") => json!({"service": "included"}),
        ("services.*.extends", _) => json!({"service": "db"}),
        ("services.*.provider", _) => json!({"type": "x"}),
        ("services.*.post_start.[]" | "services.*.pre_stop.[]" | "services.*.develop.watch.[].exec", _) => json!({"command": "x"}),
        ("services.*.blkio_config.weight_device.[]", _) => json!({"path": "/dev/a", "weight": 5}),
        ("services.*.build", "dockerfile_inline") => json!({"context": "ctx"}),
        ("services.*.build", _) => json!({"context": "ctx", "dockerfile": "Dockerfile"}),
        ("services.*.healthcheck", _) => json!({"test": "x"}),
        ("services.*.ulimits.*" | "services.*.build.ulimits.*", _) => json!({"soft": 1, "hard": 2}),
        ("services.*", "cpu_period") => json!({"cpu_quota": 5}),
        ("models.*", _) => json!({"model": "m"}),
        ("secrets.*" | "configs.*", "environment" | "content" | "file") => {
            *node = json!({});
            return;
        }
        ("include.[]", "path") => json!({}),
        ("include.[]", _) => json!({"path": "inc.yaml"}),
        (blkio, _) if blkio.starts_with("services.*.blkio_config.device") => json!({"path": "/dev/a", "rate": 5}),
        _ => return,
    };
    if let Value::Object(around) = around {
        let node = object(node);
        for (key, value) in around {
            node.entry(key).or_insert(value);
        }
    }
}

/// A value for a property that is not its default.
pub fn sample(path: &str, schema: &Value) -> Value {
    let name = path.rsplit('.').next().unwrap();
    let at = |end: &str| path.ends_with(end);
    match name {
        _ if at("include.[].path") => json!("inc.yaml"),
        _ if at("include.[].env_file") => json!("e.env"),
        _ if at("include.[].project_directory") => json!("other"),
        _ if at("extends.file") => json!("inc.yaml"),
        _ if at("extends.service") => json!("db"),
        _ if at("depends_on.*.condition") => json!("service_healthy"),
        _ if at("depends_on.*.required") => json!(false),
        _ if at("depends_on.*.restart") => json!(true),
        _ if at("volumes.[].type") => json!("tmpfs"),
        _ if at("volumes.[].source") => json!("vol"),
        _ if at("volumes.[].target") => json!("/other"),
        _ if at("configs.[].source") => json!("c"),
        _ if at("secrets.[].source") => json!("s"),
        _ if at("env_file.[].path") => json!("e.env"),
        _ if at("env_file.[].required") => json!(false),
        _ if at("env_file.[].format") => json!("raw"),
        _ if at("ports.[].protocol") => json!("udp"),
        _ if at("ports.[].target") => json!(81),
        _ if at("ports.[].mode") => json!("host"),
        _ if at("build.context") => json!("ctx"),
        _ if at("develop.watch.[].action") => json!("sync+restart"),
        _ if at("deploy.mode") => json!("global"),
        _ if at("configs.*.file") || at("secrets.*.file") => json!("e.env"),
        _ if at("ipam.config.[].gateway") => json!("10.0.0.1"),
        _ if at("blkio_config.weight") => json!(50),
        _ if at("external.name") => json!("elsewhere"),
        "build" | "dockerfile" => json!("Other"),
        "label_file" => json!("labels"),
        "cgroup" => json!("private"),
        "pull_policy" => json!("always"),
        "restart" => json!("always"),
        "network_mode" => json!("none"),
        "subnet" | "ip_range" => json!("10.0.0.0/24"),
        "ipv4_address" => json!("10.0.0.5"),
        "ipv6_address" => json!("fd00::5"),
        "link_local_ips" => json!(["169.254.1.1"]),
        "host_ip" => json!("127.0.0.1"),
        "published" => json!("8080"),
        "selinux" => json!("z"),
        "recursive" => json!("disabled"),
        "order" => json!("start-first"),
        "test" => json!(["CMD", "other"]),
        "condition" => json!("on-failure"),
        "volumes_from" => json!(["db"]),
        "links" => json!(["db:alias"]),
        "extra_hosts" => json!({"h": "10.0.0.1"}),
        "container_name" => json!("named"),
        "memory" | "mem_limit" | "mem_reservation" | "memswap_limit" | "shm_size" | "size" | "rate" => json!("64m"),
        "interval" | "timeout" | "start_period" | "start_interval" | "stop_grace_period" | "delay" | "monitor" | "window" => json!("5s"),
        "platforms" => json!(["linux/amd64"]),
        "expose" => json!(["8080"]),
        "mode" => json!("0440"),
        "ssh" => json!(["default"]),
        "profiles" => json!(["p"]),
        "models" => json!(["m"]),
        "additional_contexts" => json!({"a": "ctx"}),
        "environment" if schema.get("type") == Some(&json!("string")) => json!("E"),
        "count" => json!(3),
        "pid" | "ipc" | "uts" | "userns_mode" => json!("host"),
        _ => plain(schema),
    }
}

fn plain(schema: &Value) -> Value {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str().unwrap().to_owned(),
        kind => kind.as_str().unwrap_or("string").to_owned(),
    };
    match kind.as_str() {
        "boolean" => json!(true),
        "integer" | "number" => json!(7),
        "array" => json!(["sample"]),
        "object" => json!({"sample": "1"}),
        _ => match schema["enum"][0].as_str() {
            Some(choice) => json!(choice),
            None => json!("5"),
        },
    }
}
