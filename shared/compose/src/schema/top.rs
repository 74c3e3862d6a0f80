//! Keys of the definition itself.

use super::networks::{CONFIG, MODEL, NETWORK, SECRET, VOLUME};
use super::{Key, Object, Shape, idle, refused, works};

pub use super::service::SERVICE;

/// The definition.
pub static TOP: Object = Object { what: "a definition", keys: TOP_KEYS, required: &[], extensible: true };

static TOP_KEYS: &[Key] = &[
    idle("version", Shape::Text, "Obsolete.", "Compose has no versions of its format any more; remove it."),
    works("name", Shape::Text, "Name of the project."),
    works("include", Shape::OrNull(&Shape::List(&Shape::Short(&Shape::Object(&INCLUDE)))), "Other definitions of the bundle."),
    works("services", Shape::Map(&Shape::Object(&SERVICE)), "The services."),
    refused("models", Shape::Map(&Shape::Object(&MODEL)), "Language models.", "Run the model's server as a service."),
    works("networks", Shape::Map(&Shape::OrNull(&Shape::Object(&NETWORK))), "The networks."),
    works("volumes", Shape::Map(&Shape::OrNull(&Shape::Object(&VOLUME))), "The named volumes."),
    works("secrets", Shape::Map(&Shape::Object(&SECRET)), "The secrets."),
    works("configs", Shape::Map(&Shape::Object(&CONFIG)), "The configs."),
];

static INCLUDE: Object = Object { what: "an include", keys: INCLUDE_KEYS, required: &[], extensible: false };

static INCLUDE_KEYS: &[Key] = &[
    works("path", Shape::TextOrTexts, "The definition, and files that override it."),
    works("env_file", Shape::TextOrTexts, "Variables for its interpolation."),
    works("project_directory", Shape::Text, "The folder that its paths are relative to."),
];
