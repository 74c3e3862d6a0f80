//! A report of several chores' sections: what is not run again keeps what it says.

/// What a report says under a heading.
pub(crate) fn section_of(report: &str, name: &str) -> Option<String> {
    let heading = format!("\n## {name}\n");
    let begin = report.find(&heading)?;
    let rest = report.get(begin..)?;
    let end = rest.get(1..)?.find("\n## ").map_or(rest.len(), |end| end + 1);
    rest.get(..end).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::section_of;

    #[test]
    fn what_is_not_run_keeps_what_the_report_says() {
        let report = "# The long sweeps\n\n## one\n\nfirst\n\n## two\n\nsecond\n";
        assert_eq!(section_of(report, "one").unwrap(), "\n## one\n\nfirst\n");
        assert_eq!(section_of(report, "two").unwrap(), "\n## two\n\nsecond\n");
        assert_eq!(section_of(report, "three"), None);
    }
}
