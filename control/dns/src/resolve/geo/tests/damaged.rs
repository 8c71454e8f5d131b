use super::mmdb::End;
use super::*;

fn told(bytes: Vec<u8>) -> String {
    let database = match Database::new(bytes) {
        Ok(database) => database,
        Err(error) => return error.to_string(),
    };
    Map::new(&by_distance(), Some(Arc::new(database))).unwrap_err().to_string()
}

#[test]
fn what_is_no_database_is_told() {
    let none = "it is no whole database in MaxMind's format (.mmdb): ";
    assert!(told(b"# not one".to_vec()).starts_with(none));
    let whole = cities(24).finish();
    assert!(told(whole[..whole.len() / 2].to_vec()).starts_with(none));
    assert!(told(whole[40..].to_vec()).contains(none));
    let missing = Database::load(std::path::Path::new("/nowhere/GeoLite2-City.mmdb")).unwrap_err();
    assert_eq!(missing.to_string(), "it cannot be read: No such file or directory (os error 2)");
    // A record of another making.
    let mut other = Writer::new(6, 24);
    other.add(&["192.0.2.0/24"], &Value::Map(vec![("country", Value::Text("FR"))]));
    assert!(told(other.finish()).starts_with("the database: it is no whole database"));
}

#[test]
fn a_tree_with_circles_ends() {
    let mut circle = cities(24);
    circle.nodes[0] = [End::Node(0); 2];
    assert!(told(circle.finish()).contains("cycle"));
    // 128 nodes that lead to the next in two ways each: 2^127 ends, with and without records.
    for end in [End::Nothing, End::Data(0)] {
        let mut wide = Writer::new(6, 24);
        wide.add(&["8000::/1"], &city("EU", "FR", &[], "", None));
        wide.nodes = (1..128).map(|next| [End::Node(next); 2]).chain([[end; 2]]).collect();
        if let End::Nothing = end {
            wide.nodes[0] = [End::Data(0), End::Node(1)];
        }
        assert_eq!(
            told(wide.finish()),
            "the database: it is no whole database in MaxMind's format (.mmdb): its search tree has more ends than nodes"
        );
    }
}

#[test]
fn damage_is_told_or_harmless_and_never_the_end() {
    let whole = cities(28).finish();
    let mut random = fastrand::Rng::with_seed(7);
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        bytes.truncate(random.usize(bytes.len() - 20..=bytes.len()));
        let map = Database::new(bytes).map_err(MapError::from);
        match map.and_then(|database| Map::new(&by_distance(), Some(Arc::new(database)))) {
            Ok(map) => {
                for address in ["192.0.2.77", "198.51.100.130", "2001:db8:8000::1", "2a00::"] {
                    let (list, _) = find(&map, address);
                    assert!(list.len() <= 4);
                }
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!((1000..20_000).contains(&refused), "{refused}");
}
