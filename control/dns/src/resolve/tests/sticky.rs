use super::*;

const ADDRESSES: u8 = 8;

/// One of eight, each with a check of its number.
fn sticky(most: Option<usize>) -> Resolvers {
    let checks: Vec<[usize; 1]> = (0..ADDRESSES.into()).map(|check| [check]).collect();
    let checks: Vec<&[usize]> = checks.iter().map(|check| &check[..]).collect();
    let most = most.and_then(NonZeroUsize::new);
    let v4 = Multi { members: members(&checks), most, sticky: true, ..none() };
    resolvers([Resolver::Multi(v4, none())])
}

fn up(but: &[u8]) -> Health {
    Health((1..=ADDRESSES).map(|last| Standing { is_up: !but.contains(&last), ttl: 9 }).collect())
}

fn asked(resolvers: &Resolvers, question: &Question) -> (Vec<u8>, u8) {
    let mut into = Resolved::default();
    resolvers.resolve(resolvers.all.len() - 1, question, &mut into);
    (into.v4.iter().map(|address| address.octets()[3]).collect(), into.scope)
}

/// Questions of so many networks.
fn clients() -> impl Iterator<Item = Question> {
    (0..8000_u32).map(|number| Question {
        asker: Ipv4Addr::from_bits(0x0a00_0000 + number * 256 + 7).into(),
        told: None,
        turn: number,
    })
}

#[test]
fn a_network_gets_the_same_each_time() {
    let resolvers = sticky(Some(2)).with_health(up(&[]));
    let mut counts = [0_u32; ADDRESSES as usize];
    for client in clients() {
        let (given, scope) = asked(&resolvers, &client);
        assert_eq!((given.len(), scope), (2, 0));
        counts[usize::from(given[0]) - 1] += 1;
        let IpAddr::V4(asker) = client.asker else { unreachable!("all of them are") };
        let neighbor = Ipv4Addr::from_bits(asker.to_bits() ^ 0xff).into();
        let again = Question { asker: neighbor, turn: 77, ..client };
        assert_eq!(asked(&resolvers, &again).0, given);
    }
    // An eighth each.
    assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
}

#[test]
fn when_one_goes_only_its_networks_move_and_when_it_is_back_they_are_too() {
    let before = sticky(Some(2)).with_health(up(&[]));
    let after = before.with_health(up(&[3]));
    let back = after.with_health(up(&[]));
    let mut takers = [0_u32; ADDRESSES as usize];
    for client in clients() {
        let (was, is) = (asked(&before, &client).0, asked(&after, &client).0);
        let stayed: Vec<u8> = was.iter().copied().filter(|&one| one != 3).collect();
        assert!(is.starts_with(&stayed) && is.len() == 2, "{was:?} {is:?}");
        if stayed.len() == 1 {
            takers[usize::from(is[1]) - 1] += 1;
        }
        assert_eq!(asked(&back, &client).0, was);
    }
    // The others share them.
    takers[2] = 2000 / 7;
    assert!(takers.iter().all(|count| (220..350).contains(count)), "{takers:?}");
}

#[test]
fn what_is_told_of_a_client_counts_and_is_said_to() {
    let resolvers = sticky(Some(1)).with_health(up(&[]));
    for (number, client) in clients().enumerate() {
        let direct = asked(&resolvers, &client).0;
        let length = [24, 28, 32][number % 3];
        let told = Subnet { address: client.asker, length };
        let by_another = Question { asker: [192, 0, 2, 1].into(), told: Some(told), turn: 5 };
        assert_eq!(asked(&resolvers, &by_another), (direct, 24));
    }
    let told = Subnet { address: "2001:db8::".parse().unwrap(), length: 48 };
    assert_eq!(asked(&resolvers, &Question { told: Some(told), ..question() }).1, 48);
}

#[test]
fn another_secret_is_another_choice_and_the_same_is_the_same() {
    let choose = |secret: Secret| -> Vec<_> {
        let all = sticky(Some(1)).all;
        let resolvers = Resolvers::new(all.iter().cloned(), secret, up(&[])).unwrap();
        clients().map(|client| asked(&resolvers, &client).0).collect()
    };
    let [one, same, other] = [1, 1, 2].map(|byte| choose(Secret::new([byte; 16])));
    assert!(one == same);
    let equal = one.iter().zip(&other).filter(|(one, other)| one == other).count();
    assert!((850..1150).contains(&equal), "an eighth is by chance: {equal}");
}

#[test]
fn a_weight_of_one_networks_choice_is_kept_through_sites() {
    let groups = members(&[&[0], &[1]]).into_iter().zip([1, 3]).map(|it| vec![it]).collect();
    let v4 = Weighted { groups, sticky: true, ..weighted() };
    let v6 = weighted();
    let sites = Sites { order: vec![0, 0], skip_first: false };
    let all = [Resolver::Weighted(v4, v6), Resolver::Sites(sites)];
    let resolvers = resolvers(all).with_health(up(&[]));
    let mut second = 0;
    for client in clients() {
        let told = Some(Subnet { address: client.asker, length: 24 });
        let client = Question { told, ..client };
        let (given, scope) = asked(&resolvers, &client);
        assert_eq!((given.len(), scope), (1, 24));
        assert_eq!(asked(&resolvers, &Question { turn: 3, ..client }).0, given);
        second += u32::from(given[0] == 2);
    }
    assert!((5850..6150).contains(&second), "three quarters: {second}");
    // What the first site goes by counts, though the second is given.
    let other = Resolver::Fixed(vec![[192, 0, 2, 1].into()]);
    let first = resolvers.all[0].clone();
    let all = [first, other, Resolver::Sites(Sites { order: vec![0, 1], skip_first: false })];
    let down = Health(vec![Standing { is_up: false, ttl: 9 }; 2]);
    let resolvers = Resolvers::new(all, Secret::default(), down).unwrap();
    let told = Some(Subnet { address: [192, 0, 2, 0].into(), length: 24 });
    assert_eq!(asked(&resolvers, &Question { told, ..question() }), (vec![1], 24));
}
