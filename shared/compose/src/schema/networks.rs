//! Keys of networks, volumes, configs, secrets and models, and of a service's part in them.

use super::{Emit, Key, Object, Shape, idle, kept, needs, refused, works};

const NOT_SWARM: &str = "Only Swarm has them. Put the content into the bundle and use file, or use environment.";
const NOT_ON_ENGINE: &str = "Configs and secrets are mounted as files, and have no name or label on the engine.";

pub(super) static NETWORK: Object = Object { what: "a network", keys: NETWORK_KEYS, required: &[], extensible: true };

static NETWORK_KEYS: &[Key] = &[
    works("name", Shape::Text, "Name on the engine."),
    works("driver", Shape::Text, "The driver."),
    works("driver_opts", Shape::Settings, "Options of the driver."),
    works("ipam", Shape::Object(&IPAM), "Addresses.").emit(Emit::Always),
    works("external", Shape::External, "Made elsewhere, and only used here."),
    works("internal", Shape::Bool, "Without a way out."),
    needs("enable_ipv4", Shape::Bool, "Give IPv4 addresses.", "1.47").emit(Emit::Written),
    kept("enable_ipv6", Shape::Bool, "Give IPv6 addresses."),
    works("attachable", Shape::Bool, "Open for other containers."),
    works("labels", Shape::Pairs, "Labels."),
];

static IPAM: Object = Object { what: "an ipam section", keys: IPAM_KEYS, required: &[], extensible: true };

static IPAM_KEYS: &[Key] = &[
    works("driver", Shape::Text, "Driver of address management."),
    works("config", Shape::List(&Shape::Object(&POOL)), "Pools of addresses."),
    works("options", Shape::Settings, "Options of the driver.").emit(Emit::Never),
];

static POOL: Object = Object { what: "an address pool", keys: POOL_KEYS, required: &[], extensible: true };

static POOL_KEYS: &[Key] = &[
    works("subnet", Shape::Text, "The subnet, such as 172.28.0.0/16."),
    works("ip_range", Shape::Text, "Part of the subnet from which addresses are given."),
    works("gateway", Shape::Text, "The gateway."),
    works("aux_addresses", Shape::Settings, "Addresses that are used otherwise."),
];

pub(super) static ATTACHMENT: Object = Object { what: "a service's network", keys: ATTACHMENT_KEYS, required: &[], extensible: true };

static ATTACHMENT_KEYS: &[Key] = &[
    works("aliases", Shape::Texts, "Further names of the service on this network."),
    needs("interface_name", Shape::Text, "Name of the interface in the container.", "1.49"),
    works("ipv4_address", Shape::Text, "A fixed address."),
    works("ipv6_address", Shape::Text, "A fixed address."),
    works("link_local_ips", Shape::Texts, "Link-local addresses."),
    needs("mac_address", Shape::Text, "A fixed hardware address.", "1.44"),
    works("driver_opts", Shape::Settings, "Options of the driver for this connection."),
    works("priority", Shape::Bare, "Networks are connected from the highest down."),
    needs("gw_priority", Shape::Bare, "The highest gives the default gateway.", "1.48"),
];

pub(super) static VOLUME: Object = Object { what: "a volume", keys: VOLUME_KEYS, required: &[], extensible: true };

static VOLUME_KEYS: &[Key] = &[
    works("name", Shape::Text, "Name on the engine."),
    works("driver", Shape::Text, "The driver."),
    works("driver_opts", Shape::Settings, "Options of the driver."),
    works("external", Shape::External, "Made elsewhere, and only used here."),
    works("labels", Shape::Pairs, "Labels."),
];

pub(super) static SECRET: Object = Object { what: "a secret", keys: SECRET_KEYS, required: &[], extensible: true };

static SECRET_KEYS: &[Key] = &[
    works("name", Shape::Text, "With external, the name of the stack's secret, where it is another than the key."),
    works("environment", Shape::Text, "The variable that holds the content."),
    works("file", Shape::Path, "The file that holds the content."),
    works("external", Shape::External, "Kept by Orrery: the stack's secret of this name."),
    idle("labels", Shape::Pairs, "Labels.", NOT_ON_ENGINE),
    refused("driver", Shape::Text, "The driver.", NOT_SWARM),
    refused("driver_opts", Shape::Settings, "Options of the driver.", NOT_SWARM),
    refused("template_driver", Shape::Text, "The driver of templates.", NOT_SWARM),
];

pub(super) static CONFIG: Object = Object { what: "a config", keys: CONFIG_KEYS, required: &[], extensible: true };

static CONFIG_KEYS: &[Key] = &[
    idle("name", Shape::Text, "Name on the engine.", NOT_ON_ENGINE),
    works("content", Shape::Text, "The content."),
    works("environment", Shape::Text, "The variable that holds the content."),
    works("file", Shape::Path, "The file that holds the content."),
    refused("external", Shape::External, "A config of the engine.", NOT_SWARM),
    idle("labels", Shape::Pairs, "Labels.", NOT_ON_ENGINE),
    refused("template_driver", Shape::Text, "The driver of templates.", NOT_SWARM),
];

pub(super) static MODEL: Object = Object { what: "a model", keys: MODEL_KEYS, required: &["model"], extensible: true };

static MODEL_KEYS: &[Key] = &[
    works("name", Shape::Text, "Its name."),
    works("model", Shape::Text, "What to load."),
    works("context_size", Shape::Int, "Size of the context."),
    works("runtime_flags", Shape::Texts, "Flags of the runtime."),
];

pub(super) static SERVICE_MODEL: Object = Object { what: "a service's model", keys: SERVICE_MODEL_KEYS, required: &[], extensible: true };

static SERVICE_MODEL_KEYS: &[Key] =
    &[works("endpoint_var", Shape::Text, "Variable for the address."), works("model_var", Shape::Text, "Variable for the name.")];
