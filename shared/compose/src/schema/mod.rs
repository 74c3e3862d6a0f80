//! The one table of every key of Compose: its shape, what it does here, and a line of
//! documentation. Checking, completion and the canonical form all read this table.

mod build;
mod check;
mod deploy;
mod differences;
mod document;
mod keys;
mod nearest;
mod networks;
mod service;
mod top;
mod values;

pub use check::check;
pub(crate) use check::{check_repeats, check_value};
pub use differences::{DIFFERENCES, Difference};
pub use document::document;
pub use keys::{KeyDoc, keys_at};
pub use nearest::nearest;
pub use top::{SERVICE, TOP};

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A text; a number must be in quotes.
    Text,
    /// A text with one of these values.
    Choice(&'static [&'static str]),
    /// A path that is relative to the definition's folder.
    Path,
    /// A build context: a path or a remote address.
    Context,
    /// A truth value, also in words.
    Bool,
    /// A truth value or a text that stays a text.
    BoolText,
    /// A whole number, also in quotes.
    Int,
    /// A truth value, not in words.
    Flag,
    /// A number of which the whole part counts, also in quotes.
    Number,
    /// A number of which the whole part counts, not in quotes.
    Bare,
    /// A number in single precision, also in quotes.
    Single,
    /// A size such as `64m`, or a number of bytes.
    Bytes,
    /// A size in a text.
    Size,
    /// A time such as `1m30s`.
    Duration,
    /// Permissions: octal digits.
    Mode,
    /// A count or `all`.
    Count,
    /// A text or a number, read as text.
    Loose,
    /// A text or a whole number, read as text.
    HostPort,
    /// A list of texts.
    Texts,
    /// A list of texts and numbers, read as texts.
    Looses,
    /// A text or a list of texts.
    TextOrTexts,
    /// Nothing, a text split like a shell does, or a list of texts.
    Command,
    /// A text for a shell, or a list that begins with CMD, CMD-SHELL or NONE.
    HealthTest,
    /// A mapping, or a list of `KEY=VALUE`; an empty value means something of its own.
    Environment,
    /// A mapping, or a list of `KEY=VALUE`; an empty value is an empty text.
    Pairs,
    /// As `Pairs`, with paths or addresses as values.
    Contexts,
    /// A mapping of texts and numbers, some of them empty.
    Options,
    /// A mapping of texts and numbers.
    Settings,
    /// A mapping of values and lists of values.
    Repeated,
    /// Host names and addresses.
    Hosts,
    /// SSH keys.
    Ssh,
    /// A list.
    List(&'static Shape),
    /// A mapping with keys of the author's choice.
    Map(&'static Shape),
    /// A list of names, or a mapping with the names as keys.
    Named(&'static Shape),
    /// A short form in one text, or the long form.
    Short(&'static Shape),
    /// A short form in one text or number, or the long form.
    ShortOrNumber(&'static Shape),
    /// One short form, or a list of short and long forms.
    ShortOrList(&'static Shape),
    /// As the inner shape, or nothing.
    OrNull(&'static Shape),
    /// A mapping with these keys.
    Object(&'static Object),
    /// A limit or a pair of limits.
    Ulimit,
    /// `true`, or the older mapping with a name.
    External,
    /// Anything.
    Any,
}

/// A mapping with known keys.
#[derive(Debug)]
pub struct Object {
    /// What it is, for a message: "a service".
    pub what: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Keys that must be there.
    pub required: &'static [&'static str],
    /// Whether keys that begin with `x-` are allowed.
    pub extensible: bool,
}

impl Object {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It works.
    Works,
    /// It is read and changes nothing: why.
    NoEffect(&'static str),
    /// It is refused: what to do instead.
    Refused(&'static str),
    /// It works with engines from this API version on.
    NeedsEngine(&'static str),
}

/// How a key appears in the canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Unless it is empty, zero or false.
    Filled,
    /// Whenever it is written.
    Written,
    /// Always, empty when it is not written.
    Always,
    /// Never.
    Never,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value must look like.
    pub shape: Shape,
    /// What it does here.
    pub class: Class,
    /// How it appears in the canonical form.
    pub emit: Emit,
    /// One line for people.
    pub doc: &'static str,
}

impl Key {
    const fn new(name: &'static str, shape: Shape, class: Class, doc: &'static str) -> Self {
        Self { name, shape, class, emit: Emit::Filled, doc }
    }

    const fn emit(mut self, emit: Emit) -> Self {
        self.emit = emit;
        self
    }
}

/// A key that works.
const fn works(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key::new(name, shape, Class::Works, doc)
}

/// A key that works, and appears in the canonical form even when it is zero or false.
const fn kept(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key::new(name, shape, Class::Works, doc).emit(Emit::Written)
}

/// A key without effect.
const fn idle(name: &'static str, shape: Shape, doc: &'static str, why: &'static str) -> Key {
    Key::new(name, shape, Class::NoEffect(why), doc)
}

/// A key that is refused.
const fn refused(name: &'static str, shape: Shape, doc: &'static str, instead: &'static str) -> Key {
    Key::new(name, shape, Class::Refused(instead), doc)
}

/// A key that needs a newer engine.
const fn needs(name: &'static str, shape: Shape, doc: &'static str, api: &'static str) -> Key {
    Key::new(name, shape, Class::NeedsEngine(api), doc)
}

const SWARM: &str = "Only Swarm looks at it; Orrery runs on one engine.";
const WINDOWS: &str = "Only engines on Windows look at it.";
