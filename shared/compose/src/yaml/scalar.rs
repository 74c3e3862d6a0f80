//! What a plain scalar means to Compose, which reads YAML with Go's yaml.v3: `yes` is a text,
//! `0755` is 493, `1e3` is 1000, and a date is a date.

/// A single value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that needs the 64th bit.
    Big(u64),
    /// A number.
    Float(f64),
    /// A date or a time, which Compose has no use for.
    Date(String),
    /// A text.
    Text(String),
}

impl Scalar {
    /// The meaning of a plain scalar.
    pub fn resolve(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        let first = text.as_bytes().first().copied().unwrap_or_default();
        let number = match first {
            b'.' => float(text),
            b'0'..=b'9' | b'+' | b'-' => {
                if is_date(text) {
                    return Self::Date(text.to_owned());
                }
                let plain = text.replace('_', "");
                integer(&plain).or_else(|| float(&plain))
            }
            _ => None,
        };
        number.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// The value as Compose prints it into a text; `None` for null.
    pub fn display(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Big(value) => Some(value.to_string()),
            Self::Float(value) => Some(go_float(*value)),
            Self::Date(text) | Self::Text(text) => Some(text.clone()),
        }
    }

    /// What it is, for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Big(_) | Self::Float(_) => "a number",
            Self::Date(_) => "a date",
            Self::Text(_) => "a text",
        }
    }
}

/// Go's `ParseInt(text, 0, 64)`, then `ParseUint`: prefixes `0x`, `0o`, `0b`, and a plain `0` for octal.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = if let Some(body) = lower.strip_prefix("0x") {
        (16, body)
    } else if let Some(body) = lower.strip_prefix("0o") {
        (8, body)
    } else if let Some(body) = lower.strip_prefix("0b") {
        (2, body)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = u64::from_str_radix(body, radix).ok()?;
    match (i64::try_from(value), negative) {
        (Ok(value), false) => Some(Scalar::Int(value)),
        (Ok(value), true) => Some(Scalar::Int(-value)),
        (Err(_), true) => (value == i64::MIN.unsigned_abs()).then_some(Scalar::Int(i64::MIN)),
        (Err(_), false) => Some(Scalar::Big(value)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_point = mantissa.contains('.');
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && (!has_point || fraction.is_empty())) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if exponent.is_empty() || !digits(exponent) {
            return None;
        }
    }
    let value: f64 = text.strip_prefix('+').unwrap_or(text).parse().ok()?;
    value.is_finite().then_some(Scalar::Float(value))
}

/// `2001-12-14`, alone or with a time behind it.
fn is_date(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let within = |text: &str, longest: usize, least: u32, most: u32| {
        (1..=longest).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|n| (least..=most).contains(&n))
    };
    let is_time = |time: &str| {
        let mut parts = time.splitn(3, ':');
        let mut next = |most| parts.next().is_some_and(|part| within(part, 2, 0, most));
        next(23) && next(59) && parts.next().is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let longest = match (month.parse::<u32>(), year.parse::<u32>()) {
        (Ok(2), Ok(year)) if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        (Ok(2), _) => 28,
        (Ok(4 | 6 | 9 | 11), _) => 30,
        _ => 31,
    };
    year.len() == 4 && within(year, 4, 0, 9999) && within(month, 2, 1, 12) && within(day, 2, 1, longest) && time.is_none_or(is_time)
}

/// A number as Go's `g` prints it: as short as possible, with an exponent from a million on.
pub fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        format!("{value}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_they_mean_to_compose() {
        let table = [
            ("0755", "493"),
            ("1e3", "1000"),
            ("yes", "yes"),
            ("1.10", "1.1"),
            ("08", "8"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            (".5", "0.5"),
            ("1e21", "1e+21"),
            ("1234567.5", "1.2345675e+06"),
            ("1e6", "1e+06"),
            ("123456.5", "123456.5"),
            ("0.00001", "1e-05"),
            (".inf", "+Inf"),
            ("-0", "0"),
            ("18446744073709551615", "18446744073709551615"),
            ("+5", "5"),
            ("0o17", "15"),
            ("0b11", "3"),
            ("12:30", "12:30"),
            ("99999999999999999999999", "1e+23"),
            ("1.0", "1"),
            ("1e-7", "1e-07"),
            ("1.2.3", "1.2.3"),
            ("-", "-"),
            ("0x", "0x"),
        ];
        for (text, meaning) in table {
            assert_eq!(Scalar::resolve(text).display().unwrap(), meaning, "{text}");
        }
        assert_eq!(Scalar::resolve("~"), Scalar::Null);
        assert!(matches!(Scalar::resolve("2024-01-15"), Scalar::Date(_)));
        assert!(matches!(Scalar::resolve("2024-02-29"), Scalar::Date(_)));
        for text in ["2024-13-15", "2024-02-30", "2023-02-29", "2024-04-31"] {
            assert!(matches!(Scalar::resolve(text), Scalar::Text(_)), "{text}");
        }
    }
}
