//! Variables in a definition: `$V`, `${V}`, `${V:-default}`, `${V-default}`, `${V:?error}`,
//! `${V?error}`, `${V:+other}`, `${V+other}`, nested, and `$$` for a dollar sign.
//!
//! The values are those of the bundle's `.env` and what the caller gives, never those of a process.

use std::collections::BTreeMap;

use crate::problem::Problem;
use crate::yaml::{Data, Node, Scalar, child, item};

/// The deepest nesting of defaults that is followed.
const MAX_DEPTH: usize = 32;
/// The longest text that one value may become.
const MAX_VALUE: usize = 1 << 20;
/// The longest text that all values of a definition may become.
const MAX_TOTAL: usize = 16 << 20;

/// Values for variables.
pub type Variables = BTreeMap<String, String>;

/// Why a text cannot be interpolated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `${` that begins no variable, or one that is not closed.
    #[error("{0} is no variable")]
    Syntax(String),
    /// `${V?error}` or `${V:?error}` of a variable without a value.
    #[error("the variable {variable} needs a value{}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    Required {
        /// The variable.
        variable: String,
        /// What the author says about it.
        reason: String,
    },
    /// The result, or the nesting, is too large.
    #[error("the text becomes too long or is nested too deep")]
    Budget,
}

/// The text with its variables replaced. Names of variables that have no value and no default
/// are added to `unset`.
pub fn substitute(text: &str, lookup: &dyn Fn(&str) -> Option<String>, unset: &mut Vec<String>) -> Result<String, Fault> {
    let mut budget = MAX_VALUE;
    expand(text, lookup, unset, 0, &mut budget)
}

fn expand(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut Vec<String>,
    depth: usize,
    budget: &mut usize,
) -> Result<String, Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::Budget);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = after.strip_prefix('{') {
            let (value, length) = braced(inside, lookup, unset, depth, budget)?;
            out.push_str(&value);
            rest = &inside[length..];
        } else {
            let name = name_of(after);
            if name.is_empty() {
                out.push('$');
            } else {
                out.push_str(&value_of(name, lookup, unset, budget)?);
            }
            rest = &after[name.len()..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What `${` begins, and how long it is up to and with the closing brace.
fn braced(
    inside: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut Vec<String>,
    depth: usize,
    budget: &mut usize,
) -> Result<(String, usize), Fault> {
    let syntax = || Fault::Syntax(format!("${{{}", excerpt(inside)));
    let name = name_of(inside);
    let after = &inside[name.len()..];
    if name.is_empty() {
        return Err(syntax());
    }
    if after.starts_with('}') {
        return Ok((value_of(name, lookup, unset, budget)?, name.len() + 1));
    }
    let (operator, start) = operator_of(after).ok_or_else(syntax)?;
    let body = &after[start..];
    let end = closing(body).ok_or_else(syntax)?;
    let argument = expand(&body[..end], lookup, unset, depth + 1, budget)?;
    let length = name.len() + start + end + 1;
    let value = lookup(name);
    let filled = value.as_ref().is_some_and(|value| !operator.colon || !value.is_empty());
    let result = match (operator.kind, filled) {
        ('-', true) | ('?', true) => value.unwrap_or_default(),
        ('-', false) | ('+', true) => argument,
        ('?', false) => return Err(Fault::Required { variable: name.to_owned(), reason: argument }),
        _ => value.unwrap_or_default(),
    };
    spend(budget, result.len())?;
    Ok((result, length))
}

struct Operator {
    colon: bool,
    kind: char,
}

fn operator_of(text: &str) -> Option<(Operator, usize)> {
    let colon = text.starts_with(':');
    let kind = text[usize::from(colon)..].chars().next().filter(|c| matches!(c, '-' | '?' | '+'))?;
    Some((Operator { colon, kind }, usize::from(colon) + 1))
}

/// Where the brace closes that is open at the beginning of the text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            b'\n' => return None,
            _ => {}
        }
    }
    None
}

fn value_of(name: &str, lookup: &dyn Fn(&str) -> Option<String>, unset: &mut Vec<String>, budget: &mut usize) -> Result<String, Fault> {
    match lookup(name) {
        Some(value) => {
            spend(budget, value.len())?;
            Ok(value)
        }
        None => {
            unset.push(name.to_owned());
            Ok(String::new())
        }
    }
}

fn spend(budget: &mut usize, length: usize) -> Result<(), Fault> {
    *budget = budget.checked_sub(length).ok_or(Fault::Budget)?;
    Ok(())
}

fn name_of(text: &str) -> &str {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    if starts { &text[..end] } else { "" }
}

fn excerpt(text: &str) -> String {
    let end = text.find(['}', '\n']).map_or(text.len(), |at| at + usize::from(text.as_bytes()[at] == b'}'));
    let short: String = text[..end].chars().take(40).collect();
    if short.len() < end { format!("{short}…") } else { short }
}

/// Replaces the variables in every text of a document. Keys stay as they are.
pub fn interpolate(node: &mut Node, variables: &Variables, problems: &mut Vec<Problem>) {
    let mut total = 0;
    walk(node, "", variables, problems, &mut total);
}

fn walk(node: &mut Node, path: &str, variables: &Variables, problems: &mut Vec<Problem>, total: &mut usize) {
    match &mut node.data {
        Data::Map(map) => {
            for (key, entry) in map {
                walk(&mut entry.node, &child(path, key), variables, problems, total);
            }
        }
        Data::List(items) => {
            for (index, node) in items.iter_mut().enumerate() {
                walk(node, &item(path, index), variables, problems, total);
            }
        }
        Data::Scalar(Scalar::Text(text)) if text.contains('$') => {
            if let Some(folder) = variables.get("PWD").filter(|_| text.contains("$PWD") || text.contains("${PWD")) {
                let problem = Problem::note(&node.span.at(path), format!("PWD is the folder of this version of the bundle: {folder}"));
                problems.push(problem.hint("Write ./ for a path that is relative to compose.yaml."));
            }
            let mut unset = Vec::new();
            let result = substitute(text, &|name| variables.get(name).cloned(), &mut unset);
            unset.sort();
            unset.dedup();
            for name in unset {
                let message = format!("the variable {name} has no value; an empty text takes its place");
                let hint = format!("Set {name} in the bundle's .env, or write ${{{name}:-default}}. For a dollar sign write $$.");
                problems.push(Problem::warning(&node.span.at(path), message).hint(hint));
            }
            match result {
                Ok(value) => {
                    *total += value.len();
                    if *total > MAX_TOTAL {
                        problems.push(fault(&Fault::Budget, node, path));
                        node.data = Data::Scalar(Scalar::Null);
                    } else {
                        node.data = Data::Scalar(Scalar::Text(value));
                    }
                }
                Err(error) => problems.push(fault(&error, node, path)),
            }
        }
        Data::Scalar(_) => {}
    }
}

fn fault(fault: &Fault, node: &Node, path: &str) -> Problem {
    let hint = match fault {
        Fault::Syntax(_) => "Write ${NAME} or ${NAME:-default}; for a dollar sign write $$.".to_owned(),
        Fault::Required { variable, .. } => format!("Set {variable} in the bundle's .env."),
        Fault::Budget => "Shorten the values of the variables.".to_owned(),
    };
    Problem::invalid(&node.span.at(path), fault.to_string()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_mean_what_they_mean_to_compose() {
        let variables: Variables = [("SET", "value"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let table = [
            ("$SET", "value"),
            ("a${SET}b", "avalueb"),
            ("$SET-x", "value-x"),
            ("${SET:-d}", "value"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${NONE-d}", "d"),
            ("${NONE:-${SET}/${NONE:-deep}}", "value/deep"),
            ("${SET:+r}", "r"),
            ("${EMPTY:+r}", ""),
            ("${EMPTY+r}", "r"),
            ("${NONE+r}", ""),
            ("${SET:?no}", "value"),
            ("${EMPTY?no}", ""),
            ("$$SET", "$SET"),
            ("$$$SET", "$value"),
            ("$5 and $", "$5 and $"),
            ("${NONE:-a:-b}", "a:-b"),
            ("${NONE:-{\"a\": 1}}!", "{\"a\": 1}!"),
            ("$NONE", ""),
        ];
        for (text, expected) in table {
            let result = substitute(text, &|name| variables.get(name).cloned(), &mut Vec::new());
            assert_eq!(result.as_deref(), Ok(expected), "{text}");
        }
        for text in ["${", "${}", "${SET", "${1}", "${SET!}", "${SET:x}", "${ SET}"] {
            let result = substitute(text, &|name| variables.get(name).cloned(), &mut Vec::new());
            assert!(matches!(result, Err(Fault::Syntax(_))), "{text}: {result:?}");
        }
        let missing = substitute("${NONE:?because ${SET}}", &|name| variables.get(name).cloned(), &mut Vec::new());
        assert_eq!(missing.unwrap_err().to_string(), "the variable NONE needs a value: because value");
    }

    #[test]
    fn growth_is_bounded() {
        let long = "x".repeat(100_000);
        let text = "$A".repeat(1000);
        assert_eq!(substitute(&text, &|_| Some(long.clone()), &mut Vec::new()), Err(Fault::Budget));
    }
}
