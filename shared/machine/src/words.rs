//! Words for messages: what a value must be, and how sizes are written.

use crate::schema::Shape;

/// What a shape asks for.
pub(crate) fn expected(shape: Shape) -> String {
    match shape {
        Shape::Text(form) => form.what.to_owned(),
        Shape::Prose => "a text".to_owned(),
        Shape::Choice(choices) => format!("one of {}", choices.join(", ")),
        Shape::Bool => "true or false".to_owned(),
        Shape::True => "true".to_owned(),
        Shape::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Shape::Number(least, most) => format!("a number from {least} to {most}"),
        Shape::Bytes(..) => "a size".to_owned(),
        Shape::Time(..) => "a time".to_owned(),
        Shape::File => "a file of the bundle".to_owned(),
        Shape::Loose => "a text or a number".to_owned(),
        Shape::List(..) => "a list".to_owned(),
        Shape::Words(form) => format!("{}, or a list", form.what),
        Shape::Command => "a line for the shell, or a list".to_owned(),
        Shape::Map(..) => "a mapping".to_owned(),
        Shape::Object(object) => format!("a mapping ({})", object.what),
        Shape::Short(form, _) => format!("{}, or a mapping", form.what),
    }
}

/// A size as one would write it: with the largest unit that leaves it whole.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut shown = (bytes, "");
    for unit in units {
        if shown.0 == 0 || !shown.0.is_multiple_of(1024) {
            break;
        }
        shown = (shown.0 / 1024, unit);
    }
    let (number, unit) = shown;
    if unit.is_empty() { format!("{number} bytes") } else { format!("{number}{unit}") }
}

/// Whether XML 1.0 cannot hold a character as it is (section 2.2), or a text of one line must not.
pub(crate) fn forbidden(c: char, lines: bool) -> bool {
    match c {
        '\n' => !lines,
        '\t' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for (bytes, shown) in
            [(512, "512 bytes"), (1 << 10, "1KiB"), (512 << 20, "512MiB"), (1 << 30, "1GiB"), (1 << 50, "1PiB"), (0, "0 bytes")]
        {
            assert_eq!(size(bytes), shown);
        }
    }
}
