//! Places of the earth, and whatever is said of them.

use thiserror::Error;

/// MaxMind's continents.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// A place, and those within it: what is said of it holds for all of these of which nothing else is said.
#[derive(Clone, Debug)]
pub(super) struct Places<T> {
    said: Option<T>,
    within: Vec<(String, Self)>,
}

/// Why a place is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// There are seven.
    #[error(
        "`{0}` begins with no continent: AF, AN, AS, EU, NA, OC or SA, and behind it COUNTRY, SUBDIVISION and CITY"
    )]
    Continent(String),
    /// Two letters.
    #[error("`{0}` has no country behind its continent: two letters, as in ISO 3166-1")]
    Country(String),
    /// Nothing between two slashes, or at an end.
    #[error("`{0}` has an empty part")]
    Empty(String),
    /// It is there.
    #[error("`{0}` is there twice")]
    Twice(String),
}

impl<T: Copy> Places<T> {
    /// Everywhere, of which nothing is said.
    pub(super) fn new() -> Self {
        Self { said: None, within: Vec::new() }
    }

    /// Says something of `EU`, `EU/FR`, `NA/US/NY` or `NA/US/NY/Buffalo`: subdivisions as in ISO 3166-2, English
    /// names of cities, capitals or not. Subdivisions that do not matter may be left out.
    pub(super) fn add(&mut self, path: &str, said: T) -> Result<(), PlaceError> {
        let of_path = |error: fn(String) -> PlaceError| Err(error(path.to_owned()));
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return of_path(PlaceError::Empty);
        }
        if !CONTINENTS.iter().any(|continent| continent.eq_ignore_ascii_case(parts[0])) {
            return of_path(PlaceError::Continent);
        }
        let is_country =
            |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic());
        if parts.get(1).is_some_and(|part| !is_country(part)) {
            return of_path(PlaceError::Country);
        }
        let mut here = self;
        for part in parts {
            let known = here.position(part).unwrap_or_else(|| {
                here.within.push((part.to_owned(), Self::new()));
                here.within.len() - 1
            });
            here = &mut here.within[known].1;
        }
        if here.said.replace(said).is_some() { of_path(PlaceError::Twice) } else { Ok(()) }
    }

    /// What is said of where these lead: continent, country, and then subdivisions, from the largest on, and city.
    pub(super) fn find<'l>(
        &self,
        continent: Option<&str>,
        country: Option<&str>,
        parts: impl IntoIterator<Item = &'l str>,
    ) -> Option<T> {
        let mut here = self;
        let mut said = here.said;
        for name in [continent, country] {
            let Some(next) = name.and_then(|name| here.position(name)) else { return said };
            here = &here.within[next].1;
            said = here.said.or(said);
        }
        for name in parts {
            // One of which nothing is said may have smaller ones in it.
            if let Some(next) = here.position(name) {
                here = &here.within[next].1;
                said = here.said.or(said);
            }
        }
        said
    }

    /// Whether nothing is said of anything.
    pub(super) fn is_empty(&self) -> bool {
        self.within.is_empty()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.within.iter().position(|(one, _)| one.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: &[&str]) -> Places<usize> {
        let mut places = Places::new();
        for (number, path) in all.iter().enumerate() {
            places.add(path, number).unwrap();
        }
        places
    }

    #[test]
    fn the_smallest_place_of_which_something_is_said_counts() {
        let places = places(&[
            "EU",
            "EU/FR",
            "na/us/ny/Buffalo",
            "NA/US",
            "OC/NZ/OTA",
            "EU/FR/Paris",
            "EU/IT/62/Roma",
        ]);
        for (path, expected) in [
            ("EU/DE/BE/Berlin", Some(0)),
            ("EU/", Some(0)),
            ("EU/IT/25/Milano", Some(0)),
            ("EU/FR", Some(1)),
            ("EU/FR/OCC/34/Montpellier", Some(1)),
            // The manual of gdnsd: subdivisions between may be left out.
            ("EU/FR/IDF/75/paris", Some(5)),
            ("OC/NZ/S/OTA/Dunedin", Some(4)),
            ("OC/NZ/N/WGN/Wellington", None),
            ("NA/US/NY/Buffalo", Some(2)),
            ("NA/US/NY/Albany", Some(3)),
            // Of New York nothing is said, of Buffalo elsewhere neither.
            ("NA/US/MN/Buffalo", Some(3)),
            ("NA/CA/ON", None),
            ("AS/JP", None),
            ("/FR", None),
            ("/", None),
        ] {
            let mut parts = path.split('/').map(|part| Some(part).filter(|part| !part.is_empty()));
            let (continent, country) = (parts.next().flatten(), parts.next().flatten());
            assert_eq!(places.find(continent, country, parts.flatten()), expected, "{path}");
        }
        assert!(!places.is_empty() && Places::<usize>::new().is_empty());
    }

    #[test]
    fn what_is_no_place_is_told() {
        let mut places = places(&["EU/FR"]);
        let mut told = |path: &str| places.add(path, 1).unwrap_err().to_string();
        assert!(told("FR").starts_with("`FR` begins with no continent: AF, "));
        assert_eq!(
            told("EU/FRA"),
            "`EU/FRA` has no country behind its continent: two letters, as in ISO 3166-1"
        );
        assert!(told("EU/75").starts_with("`EU/75` has no country"));
        assert_eq!(told("eu/fr"), "`eu/fr` is there twice");
        for empty in ["", "EU/", "/FR", "EU//Paris"] {
            assert_eq!(told(empty), format!("`{empty}` has an empty part"));
        }
        // What is on the way to another is not there yet.
        assert_eq!(places.add("EU", 7), Ok(()));
    }
}
