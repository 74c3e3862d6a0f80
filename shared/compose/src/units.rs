//! Numbers, sizes, times, permissions and command lines, as Compose reads and prints them.

use std::time::Duration;

use crate::yaml::Scalar;

/// A truth value in words.
pub fn bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number, also in quotes.
pub fn int(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Int(value) => Some(*value),
        #[allow(clippy::cast_possible_truncation)]
        Scalar::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Null | Scalar::Bool(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Date(_) => None,
    }
}

/// The whole part of a number, also in quotes.
pub fn whole(value: &Scalar) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)]
    let truncated = |value: f64| (value.abs() < 9e15).then_some(value as i64);
    int(value).or_else(|| number(value).filter(|_| !matches!(value, Scalar::Text(_))).and_then(truncated))
}

/// A number, also in quotes.
pub fn number(value: &Scalar) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss)]
        Scalar::Int(value) => Some(*value as f64),
        Scalar::Float(value) => Some(*value).filter(|value| value.is_finite()),
        Scalar::Text(text) => text.parse().ok().filter(|value: &f64| value.is_finite()),
        Scalar::Null | Scalar::Bool(_) | Scalar::Big(_) | Scalar::Date(_) => None,
    }
}

/// A size in bytes: a number, or a text such as `64m`, `1.5 GiB`, `100kb`.
pub fn bytes(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Int(value) => Some(*value),
        Scalar::Text(text) => bytes_of(text),
        Scalar::Null | Scalar::Bool(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Date(_) => None,
    }
}

fn bytes_of(text: &str) -> Option<i64> {
    let split = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))? + 1;
    let (number, unit) = text.split_at(split);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let value: f64 = number.parse().ok().filter(|_| plain)?;
    let unit = unit.to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let size = value * 1024_f64.powi(power);
    #[allow(clippy::cast_possible_truncation)]
    (size < 9.2e18).then_some(size as i64)
}

/// A time such as `1m30s`, `1.5h`, `500ms`, `2d`.
pub fn duration(text: &str) -> Option<Duration> {
    nanoseconds(text).map(Duration::from_nanos)
}

fn nanoseconds(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let length = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..length] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            "w" => 604_800e9,
            _ => return None,
        };
        total += value * unit;
        rest = &rest[length..];
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (!text.is_empty() && total < 9_223_372_036_854_775_807.0).then_some(total.round() as u64)
}

/// A time as Go prints it: `1m30s`, `500ms`, `0s`.
pub fn go_duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000_000_000 {
        let (unit, name) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{}{name}", decimal(nanos, unit));
    }
    let seconds = nanos / 1_000_000_000;
    let rest = nanos % 60_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let tail = format!("{}s", decimal(rest, 1_000_000_000));
    match (hours, minutes) {
        (0, 0) => tail,
        (0, minutes) => format!("{minutes}m{tail}"),
        (hours, minutes) => format!("{hours}h{minutes}m{tail}"),
    }
}

fn decimal(value: u128, unit: u128) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", value % unit);
    let fraction = if width == 0 { "" } else { fraction.trim_end_matches('0') };
    if fraction.is_empty() { format!("{}", value / unit) } else { format!("{}.{fraction}", value / unit) }
}

/// Permissions: a number as it is, a text in octal digits.
pub fn mode(value: &Scalar) -> Option<u32> {
    match value {
        Scalar::Int(value) => u32::try_from(*value).ok(),
        Scalar::Text(text) => u32::from_str_radix(text, 8).ok(),
        Scalar::Null | Scalar::Bool(_) | Scalar::Big(_) | Scalar::Float(_) | Scalar::Date(_) => None,
    }
}

/// The words of a command line, and where Compose stops reading it (at `;`, `&`, `|`, `<`, `>`).
/// `None` when a quote or parenthesis is not closed.
pub fn words(text: &str) -> Option<(Vec<String>, Option<usize>)> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut any = false;
    let (mut escaped, mut double, mut single, mut back, mut dollar) = (false, false, false, false, false);
    let mut stop = None;
    for (at, c) in text.char_indices() {
        if escaped {
            word.push(c);
            escaped = false;
            any = true;
            continue;
        }
        let quoted = double || single || back || dollar;
        match c {
            '\\' if single => word.push(c),
            '\\' => escaped = true,
            ' ' | '\t' | '\r' | '\n' => {
                if quoted {
                    word.push(c);
                } else if any {
                    words.push(std::mem::take(&mut word));
                    any = false;
                }
            }
            '"' if !single && !dollar => {
                any |= double;
                double = !double;
            }
            '\'' if !double && !dollar => {
                any |= single;
                single = !single;
            }
            '(' if !single && !double && !back => {
                if dollar || !word.ends_with('$') {
                    return None;
                }
                dollar = true;
                word.push(c);
            }
            ';' | '&' | '|' | '<' | '>' if !quoted => {
                if c == '>' && word.starts_with(|c: char| c.is_ascii_digit()) {
                    any = false;
                }
                stop = Some(at);
                break;
            }
            c => {
                match c {
                    '`' if !single && !double && !dollar => back = !back,
                    ')' if !single && !double && !back => dollar = !dollar,
                    _ => {}
                }
                any = true;
                word.push(c);
            }
        }
    }
    if any {
        words.push(word);
    }
    if escaped || double || single || back || dollar { None } else { Some((words, stop)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_engine_reads_them() {
        let table = [("64m", 67_108_864), ("1.5g", 1_610_612_736), ("100kb", 102_400), ("2GiB", 2_147_483_648), ("10 b", 10), ("7", 7)];
        for (text, bytes) in table {
            assert_eq!(bytes_of(text), Some(bytes), "{text}");
        }
        for text in ["", "m", "-5m", "5x", "1..2g", "99999999999p"] {
            assert_eq!(bytes_of(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_and_printed_as_go_does() {
        let table = [
            ("90s", "1m30s"),
            ("1.5h", "1h30m0s"),
            ("500ms", "500ms"),
            ("1m", "1m0s"),
            ("2d", "48h0m0s"),
            ("1s500ms", "1.5s"),
            ("10us", "10µs"),
            ("1500us", "1.5ms"),
            ("0", "0s"),
        ];
        for (text, printed) in table {
            assert_eq!(duration(text).map(go_duration).as_deref(), Some(printed), "{text}");
        }
        for text in ["", "5", "s", "1x", "-1s", "1 s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn command_lines_are_split_as_compose_splits_them() {
        let split = |text| words(text).map(|(words, stop)| (words.join("|"), stop));
        assert_eq!(split("a 'b c' \"d e\" f\\ g"), Some(("a|b c|d e|f g".to_owned(), None)));
        assert_eq!(split("echo ''"), Some(("echo|".to_owned(), None)));
        assert_eq!(split("run && stop"), Some(("run".to_owned(), Some(4))));
        assert_eq!(split("sh -c 'a && b'"), Some(("sh|-c|a && b".to_owned(), None)));
        assert_eq!(split("echo $(date) x"), Some(("echo|$(date)|x".to_owned(), None)));
        assert_eq!(split("open 'quote"), None);
        assert_eq!(split("f(x)"), None);
    }
}
