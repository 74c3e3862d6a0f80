//! The addresses of the page: one enum, read from a path and written back to one. An address can be kept, sent to a
//! friend and opened again; nothing but an address decides which page is shown.

/// A place in the page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Home,
    Stacks,
    NewStack,
    Stack(String, Tab),
    Machines,
    NewMachine,
    Machine(String, Tab),
    Boxes,
    Queue,
    Command(String),
    Help,
    Nowhere(String),
}

/// What has versions and a page with tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Stack,
    Machine,
}

impl Of {
    /// Its place in the page and in the api.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Stack => "stacks",
            Self::Machine => "machines",
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Machine => "machine",
        }
    }

    /// The address of a tab of one of them.
    pub(crate) fn route(self, id: impl Into<String>, tab: Tab) -> Route {
        match self {
            Self::Stack => Route::Stack(id.into(), tab),
            Self::Machine => Route::Machine(id.into(), tab),
        }
    }
}

/// A part of the page of one stack or machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tab {
    Overview,
    Definition,
    Plan(u32),
    Versions(Option<(u32, u32)>),
    /// Of a stack.
    Logs,
    /// Of a machine.
    Console,
    /// Of a machine.
    Screen,
    History,
}

impl Route {
    /// Reads a path as the browser has it.
    pub(crate) fn parse(path: &str) -> Self {
        let decoded: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match parts.as_slice() {
            [] => Self::Home,
            ["stacks"] => Self::Stacks,
            ["stacks", "new"] => Self::NewStack,
            ["stacks", id, rest @ ..] => match Tab::parse(rest) {
                Some(tab) if tab.is_of(Of::Stack) => Self::Stack((*id).to_owned(), tab),
                Some(_) | None => Self::Nowhere(path.to_owned()),
            },
            ["machines"] => Self::Machines,
            ["machines", "new"] => Self::NewMachine,
            ["machines", id, rest @ ..] => match Tab::parse(rest) {
                Some(tab) if tab.is_of(Of::Machine) => Self::Machine((*id).to_owned(), tab),
                Some(_) | None => Self::Nowhere(path.to_owned()),
            },
            ["boxes"] => Self::Boxes,
            ["queue"] => Self::Queue,
            ["queue", id] => Self::Command((*id).to_owned()),
            ["help"] => Self::Help,
            _ => Self::Nowhere(path.to_owned()),
        }
    }

    /// The path that leads here.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Home => "/".into(),
            Self::Stacks => "/stacks".into(),
            Self::NewStack => "/stacks/new".into(),
            Self::Stack(id, tab) => format!("/stacks/{}{}", encode(id), tab.path()),
            Self::Machines => "/machines".into(),
            Self::NewMachine => "/machines/new".into(),
            Self::Machine(id, tab) => format!("/machines/{}{}", encode(id), tab.path()),
            Self::Boxes => "/boxes".into(),
            Self::Queue => "/queue".into(),
            Self::Command(id) => format!("/queue/{}", encode(id)),
            Self::Help => "/help".into(),
            Self::Nowhere(path) => path.clone(),
        }
    }

    /// The entry of the menu that this place belongs to.
    pub(crate) const fn section(&self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::Stacks | Self::NewStack | Self::Stack(..) => "Stacks",
            Self::Machines | Self::NewMachine | Self::Machine(..) | Self::Boxes => "Machines",
            Self::Queue | Self::Command(_) => "Queue",
            Self::Help => "Help",
            Self::Nowhere(_) => "",
        }
    }

    /// One stack's overview.
    pub(crate) fn stack(id: impl Into<String>) -> Self {
        Self::Stack(id.into(), Tab::Overview)
    }

    /// One machine's overview.
    pub(crate) fn machine(id: impl Into<String>) -> Self {
        Self::Machine(id.into(), Tab::Overview)
    }

    /// The tab of one stack or machine, and whose it is.
    pub(crate) const fn part(&self) -> Option<(Of, &String, &Tab)> {
        match self {
            Self::Stack(id, tab) => Some((Of::Stack, id, tab)),
            Self::Machine(id, tab) => Some((Of::Machine, id, tab)),
            Self::Home
            | Self::Stacks
            | Self::NewStack
            | Self::Machines
            | Self::NewMachine
            | Self::Boxes
            | Self::Queue
            | Self::Command(_)
            | Self::Help
            | Self::Nowhere(_) => None,
        }
    }
}

impl Tab {
    fn parse(parts: &[&str]) -> Option<Self> {
        match parts {
            [] => Some(Self::Overview),
            ["definition"] => Some(Self::Definition),
            ["plan", version] => version.parse().ok().map(Self::Plan),
            ["versions"] => Some(Self::Versions(None)),
            ["versions", from, to] => Some(Self::Versions(Some((from.parse().ok()?, to.parse().ok()?)))),
            ["logs"] => Some(Self::Logs),
            ["console"] => Some(Self::Console),
            ["screen"] => Some(Self::Screen),
            ["history"] => Some(Self::History),
            _ => None,
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Overview => String::new(),
            Self::Definition => "/definition".into(),
            Self::Plan(version) => format!("/plan/{version}"),
            Self::Versions(None) => "/versions".into(),
            Self::Versions(Some((from, to))) => format!("/versions/{from}/{to}"),
            Self::Logs => "/logs".into(),
            Self::Console => "/console".into(),
            Self::Screen => "/screen".into(),
            Self::History => "/history".into(),
        }
    }

    /// Whether one of these has this tab.
    const fn is_of(&self, of: Of) -> bool {
        match self {
            Self::Logs => matches!(of, Of::Stack),
            Self::Console | Self::Screen => matches!(of, Of::Machine),
            Self::Overview | Self::Definition | Self::Plan(_) | Self::Versions(_) | Self::History => true,
        }
    }

    /// Whether two tabs are the same one, whatever they show.
    pub(crate) fn same_tab(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Percent-encodes one segment of a path.
pub(crate) fn encode(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    segment.bytes().fold(String::new(), |mut coded, byte| {
        if plain(byte) {
            coded.push(char::from(byte));
        } else {
            coded.push_str(&format!("%{byte:02X}"));
        }
        coded
    })
}

/// Undoes [`encode`]; what is not an escape stays as it is.
fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = (byte == b'%').then(|| segment.get(at + 1..at + 3)).flatten().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(escape.unwrap_or(byte));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_leads_back_to_itself() {
        let stack = |tab| Route::Stack("alice/shop".into(), tab);
        let all = [
            Route::Home,
            Route::Stacks,
            Route::NewStack,
            Route::Queue,
            Route::Command("1284".into()),
            Route::Help,
            stack(Tab::Overview),
            stack(Tab::Definition),
            stack(Tab::Plan(4)),
            stack(Tab::Versions(None)),
            stack(Tab::Versions(Some((3, 4)))),
            stack(Tab::Logs),
            stack(Tab::History),
            Route::Machines,
            Route::NewMachine,
            Route::Boxes,
            Route::machine("alice/vm"),
            Route::Machine("vm".into(), Tab::Plan(2)),
            Route::Machine("vm".into(), Tab::Console),
            Route::Machine("vm".into(), Tab::Screen),
            Route::Machine("vm".into(), Tab::Versions(Some((1, 2)))),
            Route::Nowhere("/volumes/1".into()),
        ];
        for route in all {
            assert_eq!(Route::parse(&route.path()), route, "{}", route.path());
        }
    }

    #[test]
    fn an_address_that_means_nothing_is_kept_for_the_message() {
        for path in
            ["/stacks/a/b", "/stacks/a/plan/x", "/nothing", "/queue/1/2", "/machines/a/logs", "/stacks/a/console", "/stacks/a/screen"]
        {
            assert_eq!(Route::parse(path), Route::Nowhere(path.into()));
        }
        assert_eq!(Route::parse("/stacks/%E2%98%83/"), Route::stack("☃"));
        assert_eq!(Route::parse("/stacks/100%"), Route::stack("100%"));
    }
}
