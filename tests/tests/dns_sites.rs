//! A site that fails is left: answers name the other one, and clients reach it once what they keep has run out.

use std::net::IpAddr;
use std::time::Instant;

use lab::message::A;
use lab::{LIVES, SEEN, Sites, vips_of};
use system_tests::SOON;

const NAME: &str = "www.example.org";

#[test]
fn clients_follow_when_a_site_fails_and_when_it_comes_back() {
    let sites = Sites::start(2);
    let mut resolver = sites.resolver();
    let reach = |resolver: &mut lab::Resolver| -> Option<usize> {
        let address = *resolver.resolve(NAME, A).first()?;
        let response = sites.client().get(&format!("http://{address}/")).ok()?;
        (response.status == 200).then(|| sites.of(address)).flatten()
    };
    let v4 = |number: usize| -> IpAddr { vips_of(number)[0] };
    for number in [1, 2] {
        let node = sites.dns(number).at();
        let addresses = resolver.ask(node, NAME, A).expect("it answers").addresses();
        assert_eq!(addresses, [v4(1).to_string()], "dns-{number}: the first that is up");
    }
    assert_eq!(reach(&mut resolver), Some(1));

    let cut = Instant::now();
    sites.cut(1);
    // A request to nobody takes long: only the resolver is asked until it says something else.
    lab::wait_until("answers name the other site", SOON, || {
        resolver.resolve(NAME, A).first() == Some(&v4(2))
    });
    let followed = cut.elapsed();
    assert_eq!(reach(&mut resolver), Some(2));
    println!("clients followed {followed:?} after the cut; {:?} is what it may take", SEEN + LIVES);

    sites.mend(1);
    lab::wait_until("answers name the first site again", SOON, || {
        resolver.resolve(NAME, A).first() == Some(&v4(1))
    });
    assert_eq!(reach(&mut resolver), Some(1));
}
