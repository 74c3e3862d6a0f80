//! The one table of all keys: what each must look like, which kind of machine has it, what a change of it means, and a line of
//! documentation. The checker, the JSON Schema, the page and the planner read this table.

mod applies;
mod cloud_init;
mod devices;
mod document;
mod form;
mod json;
mod top;

use crate::model::Kind;

pub use applies::{Applies, applies_to, keys_at};
pub use document::{WORKED, Worked, document};
pub use form::Form;
pub use json::json_schema;
pub use top::TOP;

pub(crate) use devices::{DEFAULT_DISK, DEFAULT_NETWORK};
pub(crate) use form::{DISK_NAME, VOLUME, parse_port};

/// Bytes of a KiB.
pub(crate) const KIB: u64 = 1 << 10;
/// Bytes of a MiB.
pub(crate) const MIB: u64 = 1 << 20;

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A text of a certain form, in one line.
    Text(&'static Form),
    /// A text of any length, also of several lines, also empty.
    Prose,
    /// A text with one of these values.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// `true`: that the key stands there says everything.
    True,
    /// A whole number within these bounds.
    Whole(i64, i64),
    /// A number within these bounds.
    Number(f64, f64),
    /// A size, with the least, the most, and what it must be a multiple of, in bytes.
    Bytes(u64, u64, u64),
    /// A time, with the least and the most, in seconds.
    Time(u64, u64),
    /// The path of a file of the bundle.
    File,
    /// A text, a number or a truth value, read as the text that stands there.
    Loose,
    /// A list with at most so many items.
    List(&'static Shape, usize),
    /// A list of texts, or one text for a list of one.
    Words(&'static Form),
    /// A line of a shell, or a list of texts.
    Command,
    /// A mapping with keys of the author's choice, of a certain form.
    Map(&'static Form, &'static Shape),
    /// A mapping with these keys.
    Object(&'static Object),
    /// A short form in one text, or the mapping.
    Short(&'static Form, &'static Object),
}

/// A mapping with known keys.
#[derive(Debug)]
pub struct Object {
    /// What it is, for a message: "a disk".
    pub what: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Keys that must be there.
    pub required: &'static [&'static str],
    /// Keys that exclude each other.
    pub choice: Option<Choice>,
}

impl Object {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// Keys that exclude each other.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The keys.
    pub of: &'static [&'static str],
    /// Whether one of them must be there.
    pub needed: bool,
}

/// Which kind of machine has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Both kinds.
    Both,
    /// This kind; in the other it is an error, with this advice.
    Kind(Kind, &'static str),
    /// This kind; in the other it has no effect, with this advice.
    Idle(Kind, &'static str),
}

impl Only {
    /// The kind that alone has the key.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::Both => None,
            Self::Kind(kind, _) | Self::Idle(kind, _) => Some(kind),
        }
    }
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value must look like.
    pub shape: Shape,
    /// Which kind of machine has it.
    pub only: Only,
    /// When a change of it applies.
    pub applies: Applies,
    /// What holds when it is missing, as it would be written.
    pub default: Option<&'static str>,
    /// One line for people.
    pub doc: &'static str,
}

impl Key {
    const fn new(name: &'static str, shape: Shape, applies: Applies, doc: &'static str) -> Self {
        Self { name, shape, only: Only::Both, applies, default: None, doc }
    }

    const fn default(mut self, written: &'static str) -> Self {
        self.default = Some(written);
        self
    }

    const fn vm(mut self, instead: &'static str) -> Self {
        self.only = Only::Kind(Kind::Vm, instead);
        self
    }

    const fn container(mut self, instead: &'static str) -> Self {
        self.only = Only::Kind(Kind::Container, instead);
        self
    }

    const fn idle_but_for(mut self, kind: Kind, instead: &'static str) -> Self {
        self.only = Only::Idle(kind, instead);
        self
    }
}

/// A key whose change applies at once.
const fn live(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key::new(name, shape, Applies::Live, doc)
}

/// A key whose change applies at the next boot.
const fn boot(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key::new(name, shape, Applies::NextBoot, doc)
}

/// A key whose change needs a new disk or root filesystem.
const fn disk(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key::new(name, shape, Applies::NewDisk, doc)
}

/// A key that never changes.
const fn never(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key::new(name, shape, Applies::Never, doc)
}

/// The mapping with known keys that a shape allows, if it does.
pub(crate) fn object_of(shape: Shape) -> Option<&'static Object> {
    if let Shape::Object(object) | Shape::Short(_, object) = shape { Some(object) } else { None }
}

/// What the items of a list look like, where a shape allows a list of values with a shape of their own.
pub(crate) fn item_of(shape: Shape) -> Option<Shape> {
    if let Shape::List(inner, _) = shape { Some(*inner) } else { None }
}
