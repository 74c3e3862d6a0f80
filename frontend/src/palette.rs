//! Search from anywhere: which of the things that can be opened or done fit what was typed, the best first, and which
//! letters made it so. It knows no page and does nothing.

/// Something that can be opened or done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry<A> {
    pub(crate) title: String,
    /// What it is, in small letters beside it.
    pub(crate) kind: &'static str,
    pub(crate) action: A,
}

/// An entry that fits, with the places of the letters that were typed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit<A> {
    pub(crate) entry: Entry<A>,
    pub(crate) marked: Vec<usize>,
    score: i32,
}

/// The best entries for a query, at most `most`; for an empty one the first entries as they are.
pub(crate) fn search<A: Clone>(entries: &[Entry<A>], query: &str, most: usize) -> Vec<Hit<A>> {
    let wanted: Vec<char> = query.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    let mut hits: Vec<Hit<A>> = entries.iter().filter_map(|entry| hit(entry, &wanted)).collect();
    hits.sort_by_key(|hit| std::cmp::Reverse(hit.score));
    hits.truncate(most);
    hits
}

fn hit<A: Clone>(entry: &Entry<A>, wanted: &[char]) -> Option<Hit<A>> {
    let title: Vec<char> = entry.title.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect();
    let (score, marked) = fit(&title, wanted)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    let length = title.len().min(200) as i32;
    Some(Hit { entry: entry.clone(), marked, score: if wanted.is_empty() { 0 } else { score * 8 - length } })
}

/// Tries each place where the first letter occurs and keeps the best: letters in a row and at the beginning of a word
/// weigh most.
fn fit(title: &[char], wanted: &[char]) -> Option<(i32, Vec<usize>)> {
    let Some(first) = wanted.first() else { return Some((0, vec![])) };
    let starts = title.iter().enumerate().filter(|(_, c)| *c == first).map(|(at, _)| at);
    starts.filter_map(|start| from(title, wanted, start)).max_by_key(|(score, _)| *score)
}

fn from(title: &[char], wanted: &[char], start: usize) -> Option<(i32, Vec<usize>)> {
    let mut score = 0;
    let mut marked: Vec<usize> = Vec::with_capacity(wanted.len());
    let mut at = start;
    for letter in wanted {
        let ahead = title.iter().enumerate().skip(at).filter(|(_, c)| *c == letter).map(|(place, _)| place);
        let follows = marked.last().map(|last| last + 1);
        let best = ahead.max_by_key(|place| (weight(title, *place, follows), std::cmp::Reverse(*place)));
        let place = best
            .filter(|place| marked.is_empty() || weight(title, *place, follows) > 0)
            .or_else(|| (at..title.len()).find(|place| title.get(*place) == Some(letter)))?;
        let place = if marked.is_empty() { start } else { place };
        score += 1 + weight(title, place, follows);
        marked.push(place);
        at = place + 1;
    }
    Some((score, marked))
}

fn weight(title: &[char], place: usize, follows: Option<usize>) -> i32 {
    let word = place == 0 || title.get(place - 1).is_some_and(|before| !before.is_alphanumeric());
    match (follows == Some(place), word) {
        (true, _) => 4,
        (false, true) => 3,
        (false, false) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(titles: &[&str]) -> Vec<Entry<()>> {
        titles.iter().map(|title| Entry { title: (*title).to_owned(), kind: "", action: () }).collect()
    }

    fn found(titles: &[&str], query: &str) -> Vec<String> {
        search(&entries(titles), query, 10).into_iter().map(|hit| hit.entry.title).collect()
    }

    #[test]
    fn beginnings_of_words_come_before_letters_in_between() {
        assert_eq!(found(&["workshop", "Restart shop", "shop"], "shop"), ["shop", "Restart shop", "workshop"]);
        assert_eq!(found(&["Logs of forum", "Roll back shop"], "lof"), ["Logs of forum"]);
        assert_eq!(found(&["Apply shop v3", "Stop shop"], "as3"), ["Apply shop v3"]);
    }

    #[test]
    fn nothing_typed_shows_the_first_ones_as_they_are() {
        assert_eq!(found(&["b", "a"], " "), ["b", "a"]);
        assert!(found(&["a"], "zz").is_empty());
    }

    #[test]
    fn the_letters_that_fit_are_marked() {
        let hits = search(&entries(&["Restart shop"]), "rsh", 1);
        assert_eq!(hits[0].marked, [0, 8, 9]);
    }
}
