//! A seat in front of a guest's console or screen: how far its connection is, and what follows when one ends. The api says why in
//! the close of the WebSocket: 1000 when the guest has ended, 4000 and the status of a refusal, anything else when the way broke.

use std::time::Duration;

/// The first pause before a broken connection is made again; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(10);

/// How far a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// On its way.
    Connecting,
    /// What the guest says is seen.
    Open,
    /// It broke, and is made again by itself after this pause.
    Broken { why: String, pause: Duration },
    /// There is nothing to be seen until the guest runs.
    Off(String),
    /// It was refused, and will be until something is done about it.
    Refused(String),
}

impl Seat {
    /// What follows the end of a connection; `tries` were made in a row that never opened.
    pub(crate) fn after(code: u16, reason: &str, tries: u32) -> Self {
        let or = |words: &str| if reason.is_empty() { words.to_owned() } else { reason.to_owned() };
        match code {
            4409 => Self::Off(or("there is nothing to be seen")),
            ..4000 | 4500..=4599 | 5000.. => {
                let pause = PAUSE.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST);
                Self::Broken { why: or("the connection broke"), pause }
            }
            4000..=4999 => Self::Refused(or("it was refused")),
        }
    }

    /// In a word or two.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "connected",
            Self::Broken { .. } => "reconnecting",
            Self::Off(_) => "nothing to be seen",
            Self::Refused(_) => "refused",
        }
    }

    /// What stands over what was seen last, while there is nothing to be seen.
    pub(crate) fn notice(&self) -> Option<String> {
        match self {
            Self::Connecting | Self::Open => None,
            Self::Broken { why, .. } => Some(format!("{}. It is tried again by itself.", sentence(why))),
            Self::Off(why) => Some(format!("{}. It appears here as soon as there is something to be seen.", sentence(why))),
            Self::Refused(why) => Some(format!("{}.", sentence(why))),
        }
    }
}

/// With a capital, and without a full stop.
fn sentence(words: &str) -> String {
    let words = words.trim_end_matches('.');
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_followed_by_what_can_help() {
        let broken = |why: &str, seconds| Seat::Broken { why: why.into(), pause: Duration::from_secs(seconds) };
        assert_eq!(Seat::after(1000, "the guest has ended", 0), broken("the guest has ended", 1));
        assert_eq!(Seat::after(1006, "", 0), broken("the connection broke", 1));
        assert_eq!(Seat::after(1012, "the service ends; come back", 2), broken("the service ends; come back", 4));
        assert_eq!(Seat::after(4503, "the executor is away", 40), broken("the executor is away", 10));
        assert_eq!(Seat::after(4409, "web is off: start it first", 0), Seat::Off("web is off: start it first".into()));
        assert_eq!(Seat::after(4429, "too many are open", 0), Seat::Refused("too many are open".into()));
    }

    #[test]
    fn a_notice_is_a_sentence() {
        assert_eq!(Seat::Refused("too many are open.".into()).notice().as_deref(), Some("Too many are open."));
        assert_eq!(Seat::Open.notice(), None);
    }
}
