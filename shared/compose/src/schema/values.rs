//! Single values against the table, and what is said about a value of the wrong kind.

use super::check::Checker;
use super::{Shape, nearest};
use crate::problem::Problem;
use crate::units;
use crate::yaml::{Node, Scalar};

impl Checker<'_> {
    pub(super) fn scalar(&mut self, node: &Node, path: &str, shape: Shape) {
        let Some(value) = node.as_scalar() else { return self.wrong(node, path, shape) };
        let text = node.as_text();
        let right = match shape {
            Shape::Text | Shape::Path | Shape::Context | Shape::Choice(_) => text.is_some(),
            Shape::Bool => matches!(value, Scalar::Bool(_)) || text.is_some_and(|text| units::bool(text).is_some()),
            Shape::BoolText => matches!(value, Scalar::Bool(_)) || text.is_some(),
            Shape::Int | Shape::Count => {
                units::int(value).is_some() || matches!(shape, Shape::Count) && text.is_some_and(|text| text.eq_ignore_ascii_case("all"))
            }
            Shape::Flag => matches!(value, Scalar::Bool(_)),
            Shape::Single => units::number(value).is_some(),
            Shape::Number => units::whole(value).is_some(),
            Shape::Bare => text.is_none() && units::whole(value).is_some(),
            Shape::Bytes => units::bytes(value).is_some() || matches!(value, Scalar::Float(_)),
            Shape::Size => text.is_some() && units::bytes(value).is_some(),
            Shape::Duration => text.is_some_and(|text| units::duration(text.strip_prefix('-').unwrap_or(text)).is_some()),
            Shape::Mode => units::mode(value).is_some(),
            Shape::Loose => matches!(value, Scalar::Text(_) | Scalar::Int(_) | Scalar::Big(_) | Scalar::Float(_)),
            Shape::HostPort => matches!(value, Scalar::Text(_) | Scalar::Int(_)),
            Shape::Texts
            | Shape::Looses
            | Shape::TextOrTexts
            | Shape::Command
            | Shape::HealthTest
            | Shape::Environment
            | Shape::Pairs
            | Shape::Contexts
            | Shape::Options
            | Shape::Settings
            | Shape::Repeated
            | Shape::Hosts
            | Shape::Ssh
            | Shape::List(_)
            | Shape::Map(_)
            | Shape::Named(_)
            | Shape::Short(_)
            | Shape::ShortOrNumber(_)
            | Shape::ShortOrList(_)
            | Shape::OrNull(_)
            | Shape::Object(_)
            | Shape::Ulimit
            | Shape::External
            | Shape::Any => true,
        };
        if !right {
            return self.wrong(node, path, shape);
        }
        if let (Shape::Choice(choices), Some(text)) = (shape, text)
            && !choices.contains(&text)
        {
            let message = format!("{text:?} is none of {}", choices.join(", "));
            let problem = Problem::invalid(&node.span.at(path), message);
            self.problems.push(match nearest(text, choices.iter().copied()) {
                Some(near) => problem.hint(format!("Did you mean {near}?")),
                None => problem,
            });
        }
        if matches!(shape, Shape::Loose | Shape::HostPort) {
            self.surprise(node, path);
        }
        self.unfit(node, path, shape);
    }

    /// What Compose takes and cuts to something else.
    fn unfit(&mut self, node: &Node, path: &str, shape: Shape) {
        let cut = |value: f64| value.fract() != 0.0 || matches!(shape, Shape::Bytes);
        let fraction = matches!(node.as_scalar(), Some(Scalar::Float(value)) if cut(*value));
        let name = path.rsplit('.').next().unwrap_or(path);
        if fraction && matches!(shape, Shape::Number | Shape::Bare | Shape::Bytes) {
            let problem = Problem::refused(&node.span.at(path), format!("{name} must be a whole number; Compose would cut it"));
            self.problems.push(problem.hint("Write a whole number, or a size with a unit in quotes."));
        }
        if matches!(shape, Shape::Duration) && node.as_text().is_some_and(|text| text.starts_with('-')) {
            self.problems.push(Problem::refused(&node.span.at(path), format!("{name} must not be negative")));
        }
    }

    /// Warns where a plain value means something else than it looks like.
    pub(super) fn surprise(&mut self, node: &Node, path: &str) {
        if let (Some(source), Some(meaning)) = (&node.source, node.display()) {
            let message = format!("{source} without quotes means {meaning} here, as it does to Compose");
            self.problems.push(Problem::warning(&node.span.at(path), message).hint(format!("Write \"{source}\" if you mean the text.")));
        }
    }

    pub(super) fn wrong(&mut self, node: &Node, path: &str, shape: Shape) {
        let name = path.rsplit('.').next().unwrap_or(path);
        let subject = if path.is_empty() { "the definition" } else { name };
        let expected = expected(shape);
        let shown = node.as_text().filter(|text| text.len() < 40).map(|text| format!(" {text:?}")).unwrap_or_default();
        let message = format!("{subject} must be {expected}, and this is {}{shown}", node.kind());
        let place = node.span.at(path);
        let problem = if node.is_null() {
            Problem::invalid(&place, format!("{subject} must be {expected}, and nothing is there"))
                .hint("Write a value, or remove the key.")
        } else {
            Problem::invalid(&place, message)
        };
        let source = node.source.as_deref().map(str::to_owned).or_else(|| node.display());
        let quoted = source.filter(|_| node.as_text().is_none() && !node.is_null());
        self.problems.push(match (shape, quoted) {
            (Shape::Text | Shape::Path | Shape::Context | Shape::Choice(_), Some(text)) => {
                problem.hint(format!("Put it in quotes: \"{text}\"."))
            }
            (Shape::Bool | Shape::Flag | Shape::External, _) if !node.is_null() => problem.hint("Write true or false."),
            (Shape::Duration, Some(text)) => problem.hint(format!("Give a unit: {text}s.")),
            (Shape::Duration, None) => problem.hint("Write a number with a unit: 500ms, 30s, 1m30s, 2h."),
            (Shape::Bytes | Shape::Size, _) if !node.is_null() => problem.hint("Write a number with a unit: 512k, 64m, 2g."),
            (Shape::List(_) | Shape::Texts | Shape::Looses, _) if node.as_text().is_some() => {
                problem.hint(format!("Write a list: [{:?}].", node.as_text().unwrap_or_default()))
            }
            (Shape::Named(_) | Shape::Map(_) | Shape::Object(_), _) if node.as_list().is_some() => {
                problem.hint("Write names with colons instead of items with dashes.")
            }
            _ => problem,
        });
    }
}

pub(super) fn expected(shape: Shape) -> String {
    match shape {
        Shape::Text | Shape::BoolText => "a text".to_owned(),
        Shape::Choice(choices) => format!("one of {}", choices.join(", ")),
        Shape::Path => "a path".to_owned(),
        Shape::Context => "a path or an address".to_owned(),
        Shape::Bool | Shape::Flag => "true or false".to_owned(),
        Shape::Int => "a whole number".to_owned(),
        Shape::Number | Shape::Single => "a number".to_owned(),
        Shape::Bare => "a number without quotes".to_owned(),
        Shape::Bytes => "a size".to_owned(),
        Shape::Size => "a size in a text".to_owned(),
        Shape::Duration => "a time".to_owned(),
        Shape::Mode => "permissions in octal digits".to_owned(),
        Shape::Count => "a whole number or all".to_owned(),
        Shape::Loose | Shape::HostPort | Shape::ShortOrNumber(_) => "a text or a number".to_owned(),
        Shape::Texts | Shape::Looses | Shape::List(_) => "a list".to_owned(),
        Shape::TextOrTexts | Shape::Command | Shape::HealthTest | Shape::ShortOrList(_) => "a text or a list".to_owned(),
        Shape::Environment | Shape::Pairs | Shape::Contexts | Shape::Hosts | Shape::Ssh | Shape::Named(_) => {
            "a mapping or a list".to_owned()
        }
        Shape::Options | Shape::Settings | Shape::Repeated | Shape::Map(_) => "a mapping".to_owned(),
        Shape::Short(inner) | Shape::OrNull(inner) => expected(*inner),
        Shape::Object(object) => format!("a mapping ({})", object.what),
        Shape::Ulimit => "a whole number or a mapping".to_owned(),
        Shape::External => "true or false".to_owned(),
        Shape::Any => "a value".to_owned(),
    }
}
