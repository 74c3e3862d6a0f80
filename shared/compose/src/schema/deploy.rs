//! Keys of `deploy` and of device requests.

use super::{Emit, Key, Object, SWARM, Shape, idle, kept, works};

const ONE_BY_ONE: &str = "Orrery replaces a service's containers by the order alone, and brings the old ones back after a failure.";

pub(super) static DEPLOY: Object = Object { what: "a deploy section", keys: DEPLOY_KEYS, required: &[], extensible: true };

static DEPLOY_KEYS: &[Key] = &[
    works("mode", Shape::Text, "replicated; the others are Swarm's."),
    idle("endpoint_mode", Shape::Text, "How Swarm gives out addresses.", SWARM),
    kept("replicas", Shape::Int, "How many containers."),
    idle(
        "labels",
        Shape::Pairs,
        "Labels of the Swarm service.",
        "Only Swarm has labels of services; labels of containers stand in labels of the service.",
    ),
    idle("rollback_config", Shape::Object(&UPDATE), "How Swarm rolls back.", ONE_BY_ONE),
    works("update_config", Shape::Object(&UPDATE), "How containers are replaced."),
    works("resources", Shape::Object(&RESOURCES), "Limits and reservations.").emit(Emit::Always),
    works("restart_policy", Shape::Object(&RESTART_POLICY), "When containers are started again."),
    idle("placement", Shape::Object(&PLACEMENT), "On which nodes it runs.", "There is one host.").emit(Emit::Always),
];

static UPDATE: Object = Object { what: "an update or rollback section", keys: UPDATE_KEYS, required: &[], extensible: true };

static UPDATE_KEYS: &[Key] = &[
    kept("parallelism", Shape::Int, "How many at once; 0 is all."),
    works("delay", Shape::Duration, "Pause between two."),
    idle("failure_action", Shape::Text, "What to do when one fails.", ONE_BY_ONE),
    works("monitor", Shape::Duration, "How long a new one without a health check must stay up; half a second when nothing is written."),
    idle("max_failure_ratio", Shape::Single, "How many may fail.", ONE_BY_ONE),
    works("order", Shape::Choice(&["start-first", "stop-first"]), "Which comes first, the new one's start or the old one's stop."),
];

static RESOURCES: Object = Object { what: "a resources section", keys: RESOURCES_KEYS, required: &[], extensible: true };

static RESOURCES_KEYS: &[Key] = &[
    works("limits", Shape::Object(&LIMITS), "What it may use at most."),
    works("reservations", Shape::Object(&RESERVATIONS), "What is kept for it."),
];

static LIMITS: Object = Object { what: "a limits section", keys: LIMITS_KEYS, required: &[], extensible: true };

static LIMITS_KEYS: &[Key] = &[
    works("cpus", Shape::Single, "Processors, such as 0.5."),
    works("memory", Shape::Size, "Memory, such as 512M."),
    works("pids", Shape::Int, "How many processes."),
];

static RESERVATIONS: Object = Object { what: "a reservations section", keys: RESERVATIONS_KEYS, required: &[], extensible: true };

static RESERVATIONS_KEYS: &[Key] = &[
    idle("cpus", Shape::Single, "Processors that are kept for it.", SWARM),
    works("memory", Shape::Size, "Memory that is kept for it."),
    idle("generic_resources", Shape::List(&Shape::Object(&GENERIC)), "Resources of the author's own kinds.", SWARM),
    works("devices", Shape::List(&Shape::Object(&DEVICE_REQUEST)), "Devices such as GPUs."),
];

static GENERIC: Object = Object { what: "a generic resource", keys: GENERIC_KEYS, required: &[], extensible: true };

static GENERIC_KEYS: &[Key] = &[works("discrete_resource_spec", Shape::Object(&DISCRETE), "A countable resource.")];

static DISCRETE: Object = Object { what: "a countable resource", keys: DISCRETE_KEYS, required: &[], extensible: true };

static DISCRETE_KEYS: &[Key] = &[works("kind", Shape::Text, "Its kind."), works("value", Shape::Int, "How many.").emit(Emit::Always)];

pub(super) static DEVICE_REQUEST: Object =
    Object { what: "a device request", keys: DEVICE_REQUEST_KEYS, required: &["capabilities"], extensible: true };

pub(super) static GPU: Object = Object { what: "a GPU request", keys: DEVICE_REQUEST_KEYS, required: &[], extensible: true };

static DEVICE_REQUEST_KEYS: &[Key] = &[
    works("capabilities", Shape::Texts, "What the devices must be able to do, such as gpu."),
    works("count", Shape::Count, "How many, or all."),
    works("device_ids", Shape::Texts, "Which."),
    works("driver", Shape::Text, "The driver."),
    works("options", Shape::Pairs, "Options of the driver."),
];

static RESTART_POLICY: Object = Object { what: "a restart policy", keys: RESTART_POLICY_KEYS, required: &[], extensible: true };

static RESTART_POLICY_KEYS: &[Key] = &[
    works("condition", Shape::Text, "none, on-failure or any."),
    idle("delay", Shape::Duration, "Pause before a restart.", "The engine decides.").emit(Emit::Written),
    kept("max_attempts", Shape::Int, "How often at most."),
    idle("window", Shape::Duration, "How long it must run to count as started.", "The engine decides.").emit(Emit::Written),
];

static PLACEMENT: Object = Object { what: "a placement section", keys: PLACEMENT_KEYS, required: &[], extensible: true };

static PLACEMENT_KEYS: &[Key] = &[
    works("constraints", Shape::Texts, "What a node must have."),
    works("preferences", Shape::List(&Shape::Object(&PREFERENCE)), "What a node should have."),
    works("max_replicas_per_node", Shape::Int, "How many on one node."),
];

static PREFERENCE: Object = Object { what: "a placement preference", keys: PREFERENCE_KEYS, required: &[], extensible: true };

static PREFERENCE_KEYS: &[Key] = &[works("spread", Shape::Text, "Label over whose values to spread.")];
