//! One kind of time on every wire: RFC 3339 in UTC. It does not read a clock; whoever has one passes it in.

use std::fmt;

use ::time::format_description::well_known::Rfc3339;
use ::time::{OffsetDateTime, UtcOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC, written as RFC 3339 with microseconds at most (what PostgreSQL keeps).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(OffsetDateTime);

impl Time {
    /// The instant, moved to UTC and cut to microseconds, so that a value survives the database unchanged.
    #[must_use]
    pub fn new(at: OffsetDateTime) -> Self {
        let at = at.to_offset(UtcOffset::UTC);
        let cut = at.replace_nanosecond(at.microsecond() * 1000).unwrap_or(at);
        Self(cut)
    }

    /// Reads an RFC 3339 time in any offset.
    ///
    /// # Errors
    /// When the text is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, ::time::error::Parse> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self::new)
    }

    /// The instant as the `time` crate knows it.
    #[must_use]
    pub fn inner(self) -> OffsetDateTime {
        self.0
    }

    /// Seconds from `earlier` to this instant; negative when this one is the earlier.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0).as_seconds_f64()
    }
}

impl From<OffsetDateTime> for Time {
    fn from(at: OffsetDateTime) -> Self {
        Self::new(at)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.format(&Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339, UTC" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn a_time_is_written_in_utc_with_microseconds_at_most() {
        let time = Time::parse("2026-01-02T03:04:05.123456789+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-01-02T02:04:05.123456Z");
        assert_eq!(Time::parse(&time.to_string()).unwrap(), time);
    }
}
