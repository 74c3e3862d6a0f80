//! The name that somebody probably meant.

/// The candidate that is nearest to what was written, if one is near.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > 60 {
        return None;
    }
    let written = written.to_lowercase().replace('-', "_");
    let allowed = match written.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&written, &candidate.to_lowercase().replace('-', "_")), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, removed, changed or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_and_nothing_far_is() {
        let keys = ["ports", "image", "volumes", "networks", "depends_on", "environment"];
        assert_eq!(nearest("prots", keys), Some("ports"));
        assert_eq!(nearest("volume", keys), Some("volumes"));
        assert_eq!(nearest("depends-on", keys), Some("depends_on"));
        assert_eq!(nearest("enviroment", keys), Some("environment"));
        assert_eq!(nearest("Image", keys), Some("image"));
        assert_eq!(nearest("zebra", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
