//! The shape of a stack as a picture: the service that most others lean on in the middle, the rest on rings around it, by
//! how many steps they are away. It gives places; colours and labels are put on elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A service and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) name: String,
    pub(crate) replicas: u32,
    pub(crate) depends_on: Vec<String>,
}

/// Where a service stands, within 300 by the picture's height.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) replicas: u32,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) radius: f64,
    /// The label's place and side.
    pub(crate) label: (f64, f64, &'static str),
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Picture {
    pub(crate) height: f64,
    pub(crate) middle: (f64, f64),
    pub(crate) rings: Vec<f64>,
    pub(crate) places: Vec<Place>,
    /// From whom to whom: who leans on whom.
    pub(crate) ties: Vec<((f64, f64), (f64, f64))>,
}

const WIDTH: f64 = 300.0;

/// Lays a stack out.
pub(crate) fn picture(bodies: &[Body]) -> Picture {
    let Some(sun) = sun(bodies) else { return Picture::default() };
    let rings = rings(bodies, &sun);
    let count = rings.keys().max().copied().unwrap_or(0);
    let radii: Vec<f64> = (1..=count).map(|ring| radius_of(ring, count)).collect();
    let outer = radii.last().copied().unwrap_or(0.0);
    let middle = (WIDTH / 2.0, outer * SQUEEZE + 24.0);
    let mut places = Vec::new();
    for (ring, names) in &rings {
        for (at, body) in names.iter().enumerate() {
            places.push(place(body, *ring, at, names.len(), &radii, middle));
        }
    }
    let ties = ties(bodies, &places);
    Picture { height: middle.1 + outer * SQUEEZE + 30.0, middle, rings: radii, places, ties }
}

/// Rings are seen from a little above.
pub(crate) const SQUEEZE: f64 = 0.8;

fn radius_of(ring: usize, count: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let (ring, count) = (ring as f64, count as f64);
    if count < 2.0 { 84.0 } else { 54.0 + (ring - 1.0) * (110.0 - 54.0) / (count - 1.0) }
}

/// The service that most others lean on, directly or through others; of equals the one with most direct ties, then the
/// first of the file.
fn sun(bodies: &[Body]) -> Option<String> {
    let weight = |body: &Body| {
        let leaning = bodies.iter().filter(|other| other.name != body.name && reaches(bodies, &other.name, &body.name)).count();
        let direct = bodies.iter().filter(|other| other.depends_on.contains(&body.name)).count() + body.depends_on.len();
        (leaning, direct)
    };
    let best = bodies.iter().map(weight).max()?;
    bodies.iter().find(|body| weight(body) == best).map(|body| body.name.clone())
}

fn reaches(bodies: &[Body], from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(bodies.iter().filter(|body| body.name == name).flat_map(|body| body.depends_on.iter().map(String::as_str)));
        }
    }
    false
}

/// Services by how many ties lie between them and the sun; those without a way to it on the outermost ring.
fn rings<'a>(bodies: &'a [Body], sun: &str) -> BTreeMap<usize, Vec<&'a Body>> {
    let mut away: BTreeMap<&str, usize> = BTreeMap::from([(sun, 0)]);
    for distance in 0..bodies.len() {
        for body in bodies {
            for other in body.depends_on.iter().filter_map(|name| bodies.iter().find(|other| other.name == *name)) {
                for (near, far) in [(body, other), (other, body)] {
                    if away.get(near.name.as_str()) == Some(&distance) && !away.contains_key(far.name.as_str()) {
                        away.insert(&far.name, distance + 1);
                    }
                }
            }
        }
    }
    let outermost = away.values().max().copied().unwrap_or(0) + 1;
    let mut rings: BTreeMap<usize, Vec<&Body>> = BTreeMap::new();
    for body in bodies {
        rings.entry(away.get(body.name.as_str()).copied().unwrap_or(outermost).min(4)).or_default().push(body);
    }
    rings
}

fn place(body: &Body, ring: usize, at: usize, of: usize, radii: &[f64], middle: (f64, f64)) -> Place {
    let name = body.name.clone();
    let replicas = body.replicas;
    let Some(distance) = ring.checked_sub(1).and_then(|ring| radii.get(ring)) else {
        return Place { name, replicas, x: middle.0, y: middle.1, radius: 14.0, label: (middle.0, middle.1 + 28.0, "middle") };
    };
    #[allow(clippy::cast_precision_loss)]
    let (at, of, turn) = (at as f64, of as f64, ring as f64 * 0.9);
    let angle = std::f64::consts::TAU * (at / of) - 1.5 + turn;
    let (x, y) = (middle.0 + distance * angle.cos(), middle.1 + distance * SQUEEZE * angle.sin());
    let radius = 8.0;
    let label = match angle.cos() {
        side if side > 0.75 => (x + 13.0, y + 4.0, "start"),
        side if side < -0.75 => (x - 13.0, y + 4.0, "end"),
        _ if angle.sin() > 0.0 => (x, y + 22.0, "middle"),
        _ => (x, y - 14.0, "middle"),
    };
    Place { name, replicas, x, y, radius, label }
}

fn ties(bodies: &[Body], places: &[Place]) -> Vec<((f64, f64), (f64, f64))> {
    let of = |name: &str| places.iter().find(|place| place.name == name).map(|place| (place.x, place.y));
    let pairs = bodies.iter().flat_map(|body| body.depends_on.iter().map(move |to| (body.name.as_str(), to.as_str())));
    pairs.filter_map(|(from, to)| of(from).zip(of(to))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(name: &str, depends_on: &[&str]) -> Body {
        Body { name: name.into(), replicas: 1, depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn the_one_that_everything_depends_on_is_in_the_middle() {
        let bodies = [body("web", &["db", "cache"]), body("worker", &["db"]), body("db", &[]), body("cache", &["db"]), body("cron", &[])];
        assert_eq!(sun(&bodies).as_deref(), Some("db"));
        let rings = rings(&bodies, "db");
        let names: Vec<Vec<&str>> = rings.values().map(|ring| ring.iter().map(|body| body.name.as_str()).collect()).collect();
        assert_eq!(names, [vec!["db"], vec!["web", "worker", "cache"], vec!["cron"]]);
    }

    #[test]
    fn everything_stands_inside_the_picture_and_nothing_on_one_place() {
        for count in 1..=20 {
            let bodies: Vec<Body> = (0..count).map(|n| body(&format!("s{n}"), if n == 0 { &[] } else { &["s0"] })).collect();
            let picture = picture(&bodies);
            assert_eq!(picture.places.len(), count);
            for (at, place) in picture.places.iter().enumerate() {
                assert!(place.x > 10.0 && place.x < WIDTH - 10.0 && place.y > 10.0 && place.y < picture.height - 10.0, "{place:?}");
                assert!(picture.places.iter().skip(at + 1).all(|other| (other.x, other.y) != (place.x, place.y)));
            }
        }
    }

    #[test]
    fn a_circle_of_dependencies_does_not_hang() {
        let bodies = [body("a", &["b"]), body("b", &["a"])];
        assert_eq!(picture(&bodies).places.len(), 2);
        assert_eq!(picture(&[]), Picture::default());
    }
}
