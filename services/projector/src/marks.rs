//! Whether the broker still holds what was read from it. Asked before anything goes on, at every connection.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::errors::{ProjectError, Regression};
use crate::ingest::Position;
use crate::message::Stream;
use crate::queries::meta;
use crate::queries::raw::{self, Mark};
use crate::source::{Ends, Source};

/// Compares the end of each kept stream with the raw copies, and says where the position goes on.
///
/// # Errors
/// [`Regression`] when a number has changed its meaning.
pub async fn check(db: &mut PgConnection, source: &Source, at: &mut Position) -> Result<(), ProjectError> {
    for stream in Stream::KEPT {
        let ends = source.ends(stream).await?;
        let mark = raw::mark(db, stream).await?;
        if let Some(mark) = &mark
            && goes_on(stream, mark, ends)? == Continues::SameStream
        {
            let there = source.message(stream, mark.seq).await?;
            match there {
                None => return Err(Regression::Gap { stream: stream.name(), missing: mark.seq }.into()),
                Some(there) if there.sha256().as_str() != mark.sha256 => {
                    return Err(Regression::AnotherMessage { stream: stream.name(), seq: mark.seq }.into());
                }
                Some(_) => {}
            }
        }
        at.begins_at(stream, ends.first);
    }
    Ok(())
}

/// Whether the broker belongs to the installation that the database belongs to; an empty database takes its.
///
/// # Errors
/// When they differ, or the broker has not been provisioned.
pub async fn same_installation(db: &mut PgConnection, source: &Source, known: Option<Uuid>) -> Result<Uuid, ProjectError> {
    let there = match (source.installation().await?, known) {
        (Some(there), _) => there,
        (None, Some(database)) => return Err(Regression::NoInstallation { database }.into()),
        (None, None) => return Err(ProjectError::Broker("it has not been provisioned: HEADS has no `installation`".into())),
    };
    match known {
        Some(database) if database != there.id => Err(Regression::AnotherInstallation { broker: there.id, database }.into()),
        Some(_) | None => {
            meta::keep_installation(db, &there).await?;
            Ok(there.id)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Continues {
    /// The mark must be in it.
    SameStream,
    /// It begins above every number that was ever seen.
    Above,
}

fn goes_on(stream: Stream, mark: &Mark, ends: Ends) -> Result<Continues, Regression> {
    if ends.first > mark.seq {
        Ok(Continues::Above)
    } else if ends.last < mark.seq {
        Err(Regression::Shorter { stream: stream.name(), last: ends.last, seen: mark.seq })
    } else {
        Ok(Continues::SameStream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::CHAIN_START;

    fn at(first: u64, last: u64) -> Result<Continues, Regression> {
        let mark = Mark { seq: 10, sha256: String::new(), chain: CHAIN_START };
        goes_on(Stream::Commands, &mark, Ends { first, last })
    }

    #[test]
    fn a_stream_goes_on_where_it_was_or_above_everything_ever_seen() {
        assert_eq!(at(1, 10), Ok(Continues::SameStream));
        assert_eq!(at(1, 99), Ok(Continues::SameStream));
        assert_eq!(at(11, 10), Ok(Continues::Above));
        assert_eq!(at(1000, 1005), Ok(Continues::Above));
    }

    #[test]
    fn a_stream_that_ends_before_the_mark_has_regressed() {
        for (first, last) in [(1, 9), (0, 0), (1, 0), (10, 9)] {
            assert!(matches!(at(first, last), Err(Regression::Shorter { seen: 10, .. })), "{first} to {last}");
        }
    }
}
