//! The shortest way from one sequence to another (Myers, 1986): what stays, what goes, what comes. Two sequences that have
//! hardly anything in common are told as one replaced by the other, so that the page never hangs over them.

/// One step of the way, by places in the old and the new sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Equal(usize, usize),
    Delete(usize),
    Insert(usize),
}

/// More differences than this are not looked for one by one.
const MOST: usize = 1500;

/// The way from `a` to `b`.
pub(crate) fn edits(a: &[&str], b: &[&str]) -> Vec<Edit> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let rest = a.len().min(b.len()) - head;
    let tail = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(x, y)| x == y).count();
    let inner_a = a.get(head..a.len() - tail).unwrap_or_default();
    let inner_b = b.get(head..b.len() - tail).unwrap_or_default();
    let mut all: Vec<Edit> = (0..head).map(|at| Edit::Equal(at, at)).collect();
    all.extend(between(inner_a, inner_b).into_iter().map(|edit| match edit {
        Edit::Equal(i, j) => Edit::Equal(i + head, j + head),
        Edit::Delete(i) => Edit::Delete(i + head),
        Edit::Insert(j) => Edit::Insert(j + head),
    }));
    all.extend((0..tail).map(|at| Edit::Equal(a.len() - tail + at, b.len() - tail + at)));
    all
}

fn between(a: &[&str], b: &[&str]) -> Vec<Edit> {
    let Some(trace) = trace(a, b) else {
        return (0..a.len()).map(Edit::Delete).chain((0..b.len()).map(Edit::Insert)).collect();
    };
    let mut way = Vec::new();
    let (mut x, mut y) = (a.len(), b.len());
    for d in (1..trace.len()).rev() {
        let reached = |k: isize| trace.get(d - 1).and_then(|row| row.get(slot(k, d - 1)?)).copied();
        let k = diagonal(x, y);
        let down = came_down(k, d, &reached);
        let from = if down { k + 1 } else { k - 1 };
        let start_x = reached(from).unwrap_or(0);
        let start_y = start_x.saturating_add_signed(-from);
        while x > start_x && y > start_y {
            (x, y) = (x - 1, y - 1);
            way.push(Edit::Equal(x, y));
        }
        if down {
            y = start_y;
            way.push(Edit::Insert(y));
        } else {
            x = start_x;
            way.push(Edit::Delete(x));
        }
    }
    while x > 0 && y > 0 {
        (x, y) = (x - 1, y - 1);
        way.push(Edit::Equal(x, y));
    }
    way.reverse();
    way
}

fn diagonal(x: usize, y: usize) -> isize {
    isize::try_from(x).unwrap_or(isize::MAX) - isize::try_from(y).unwrap_or(isize::MAX)
}

/// Where diagonal `k` is kept among those that `d` differences reach; none when they do not reach it.
fn slot(k: isize, d: usize) -> Option<usize> {
    let d = isize::try_from(d).ok()?;
    (-d..=d).contains(&k).then(|| usize::try_from(k + d).ok()).flatten()
}

/// Whether the farthest point of diagonal `k` with `d` differences is reached by an insertion.
fn came_down(k: isize, d: usize, reached: &impl Fn(isize) -> Option<usize>) -> bool {
    let d = isize::try_from(d).unwrap_or(isize::MAX);
    k == -d || (k != d && reached(k - 1) < reached(k + 1))
}

/// The farthest point of every diagonal, for each number of differences, up to the one that suffices.
fn trace(a: &[&str], b: &[&str]) -> Option<Vec<Vec<usize>>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for d in 0..=(a.len() + b.len()).min(MOST) {
        let mut row = vec![0_usize; 2 * d + 1];
        let end = isize::try_from(d).ok()?;
        let mut k = -end;
        while k <= end {
            let reached = |k: isize| d.checked_sub(1).and_then(|before| rows.get(before)?.get(slot(k, before)?).copied());
            let mut x = match (d, came_down(k, d, &reached)) {
                (0, _) => 0,
                (_, true) => reached(k + 1).unwrap_or(0),
                (_, false) => reached(k - 1).unwrap_or(0) + 1,
            };
            let mut y = x.saturating_add_signed(-k);
            while a.get(x).is_some_and(|line| b.get(y) == Some(line)) {
                (x, y) = (x + 1, y + 1);
            }
            if let Some(place) = slot(k, d).and_then(|at| row.get_mut(at)) {
                *place = x;
            }
            if x >= a.len() && y >= b.len() {
                rows.push(row);
                return Some(rows);
            }
            k += 2;
        }
        rows.push(row);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies a way to `a`; it must lead to `b`, with as many differences as the way says.
    fn walk(a: &[&str], b: &[&str]) -> usize {
        let (mut i, mut j, mut differences) = (0, 0, 0);
        for edit in edits(a, b) {
            match edit {
                Edit::Equal(x, y) => {
                    assert_eq!((x, y), (i, j));
                    assert_eq!(a[x], b[y]);
                    (i, j) = (i + 1, j + 1);
                }
                Edit::Delete(x) => {
                    assert_eq!(x, i);
                    (i, differences) = (i + 1, differences + 1);
                }
                Edit::Insert(y) => {
                    assert_eq!(y, j);
                    (j, differences) = (j + 1, differences + 1);
                }
            }
        }
        assert_eq!((i, j), (a.len(), b.len()));
        differences
    }

    fn letters(text: &str) -> Vec<&str> {
        text.split("").filter(|letter| !letter.is_empty()).collect()
    }

    #[test]
    fn the_way_leads_from_one_to_the_other_and_is_the_shortest() {
        for (a, b, differences) in
            [("abcabba", "cbabac", 5), ("", "ab", 2), ("ab", "", 2), ("same", "same", 0), ("xaxbxcx", "abc", 4), ("kitten", "sitting", 5)]
        {
            assert_eq!(walk(&letters(a), &letters(b)), differences, "{a} {b}");
        }
    }

    #[test]
    fn every_pair_of_short_texts_is_walked() {
        let all: Vec<String> = (0..81_u32).map(|n| (0..4).map(|at| ['a', 'b', 'c'][(n / 3_u32.pow(at) % 3) as usize]).collect()).collect();
        for a in &all {
            for b in &all {
                walk(&letters(a), &letters(b));
            }
        }
    }

    #[test]
    fn texts_with_nothing_in_common_are_replaced_and_do_not_hang() {
        let a: Vec<String> = (0..4000).map(|n| format!("a{n}")).collect();
        let b: Vec<String> = (0..4000).map(|n| format!("b{n}")).collect();
        let (a, b): (Vec<&str>, Vec<&str>) = (a.iter().map(String::as_str).collect(), b.iter().map(String::as_str).collect());
        assert_eq!(walk(&a, &b), 8000);
    }
}
