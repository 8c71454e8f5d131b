//! How far it is.

/// Latitude and longitude, in degrees.
pub(super) type Coordinates = (f64, f64);

/// Something that grows with the distance of two points on the earth, for comparisons alone: the square of half the
/// chord (the haversine formula without its end).
fn far((lat, lon): Coordinates, (other_lat, other_lon): Coordinates) -> f64 {
    let half = |one: f64, other: f64| ((other - one).to_radians() / 2.0).sin().powi(2);
    let cosines = lat.to_radians().cos() * other_lat.to_radians().cos();
    half(lat, other_lat) + cosines * half(lon, other_lon)
}

/// The places of those that are somewhere, the nearest first; of equally near ones the first.
pub(super) fn nearest(here: Coordinates, others: &[Option<Coordinates>]) -> Vec<usize> {
    let scored = others.iter().enumerate();
    let scored = scored.filter_map(|(place, there)| Some((far(here, (*there)?), place)));
    let mut scored: Vec<(f64, usize)> = scored.collect();
    scored.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    scored.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_first_around_the_date_line_and_the_poles_too() {
        let (us, de, sg) = (Some((38.9, -77.0)), Some((50.1, 8.7)), Some((1.3, 103.9)));
        let all = [us, de, None, sg];
        for (name, here, expected) in [
            ("Paris", (48.9, 2.4), [1, 0, 3]),
            ("Lima", (-12.0, -77.0), [0, 1, 3]),
            ("Sydney", (-33.9, 151.2), [3, 0, 1]),
            ("Anchorage", (61.2, -149.9), [0, 1, 3]),
            // West of the date line, though its longitude is as far from Singapore's as can be.
            ("Samoa", (-13.8, -172.1), [3, 0, 1]),
            ("the north pole", (90.0, 0.0), [1, 0, 3]),
        ] {
            assert_eq!(nearest(here, &all), expected, "{name}");
        }
        assert_eq!(nearest((0.0, 0.0), &[sg, sg]), [0, 1]);
        assert_eq!(nearest((0.0, 0.0), &[None]), [0; 0]);
        assert_eq!(nearest((f64::NAN, 0.0), &[sg, de]).len(), 2);
    }
}
