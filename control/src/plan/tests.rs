use std::sync::Arc;

use admin::{Effective, Entry};
use config::{HostSecrets, ServiceCheck, Times};
use health::{Check, Kind, Timing};
use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1_000_000);
const HOLD: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(60);
const UP: Option<health::State> = Some(health::State::Up);
const DOWN: Option<health::State> = Some(health::State::Down);

/// A site of one L4 node, some L7 nodes and a service `web` on a VIP of each family, with one check.
struct World {
    config: Arc<Config>,
    aim: Aim,
    verdicts: Vec<Verdict>,
    states: States,
    now: Duration,
}

impl World {
    fn new(nodes: u16) -> Self {
        let mut text = String::from(
            r#"
[site]
name = "test"
hash_key = "07070707070707070707070707070707"
[[l4]]
name = "l4-1"
addresses = ["192.0.2.132", "2001:db8::c000:284"]
[[service]]
name = "web"
vips = ["198.51.100.1", "2001:db8:1::1"]
protocol = "tcp"
ports = 80
down_hold = "10s"
drain_timeout = "60s"
check.http = { path = "/healthcheck" }
"#,
        );
        for index in 1..=nodes {
            let (v4, v6) = (format!("192.0.2.{}", 139 + index), format!("2001:db8::{index}"));
            text += &format!(
                "[[l7]]\nname = \"l7-{index}\"\nindex = {index}\naddresses = [\"{v4}\", \"{v6}\"]\n"
            );
        }
        let config = Config::parse(&text, &HostSecrets::new(0o600, None)).unwrap();
        let mut world = Self {
            config: Arc::new(config),
            aim: Aim::default(),
            verdicts: vec![],
            states: States::new(),
            now: NOW,
        };
        world.edit(|_| ());
        world.all(UP);
        world
    }

    /// Changes the configuration. What checks say is forgotten if other probes follow.
    fn edit(&mut self, change: impl FnOnce(&mut Config)) {
        change(Arc::make_mut(&mut self.config));
        let aim = Aim::of(&self.config, &self.config.l4[0]);
        if aim.probes != self.aim.probes {
            self.verdicts = vec![Verdict::NONE; aim.probes.len()];
        }
        self.aim = aim;
    }

    fn service(&mut self, change: impl FnOnce(&mut Service)) {
        self.edit(|config| change(&mut config.services[0]));
    }

    fn all(&mut self, state: Option<health::State>) {
        self.verdicts.iter_mut().for_each(|verdict| verdict.state = state);
    }

    /// What the check of a member says at a VIP: 0 is IPv4, 1 is IPv6.
    fn verdict(&mut self, vip: usize, member: usize) -> &mut Verdict {
        let place = self.aim.at(0, vip, member)[0];
        &mut self.verdicts[place as usize]
    }

    fn says(&mut self, member: usize, state: Option<health::State>) {
        (0..2).for_each(|vip| self.verdict(vip, member).state = state);
    }

    fn operator(&mut self, node: &str, state: Admin) {
        let entry =
            Entry { version: 1, at_ms: 0, state, by: "test".into(), weight: None, said: None };
        self.states.insert(node.into(), entry);
    }

    fn plan(&self, before: &Before<'_>) -> Plan {
        let known = Known {
            config: &self.config,
            own: &self.config.l4[0],
            aim: &self.aim,
            verdicts: &self.verdicts,
            states: &self.states,
            now: self.now,
        };
        Plan::of(&known, before)
    }

    fn after(&self, config: &Config, plan: &Plan) -> Plan {
        self.plan(&Before::planned(config, plan))
    }
}

/// Node, weight, state: of the Snapshot's n-th entry.
fn members(plan: &Plan, entry: usize) -> Vec<(u16, u16, State)> {
    plan.snapshot.services[entry].nodes.iter().map(|m| (m.node, m.weight, m.state)).collect()
}

fn release(plan: &Plan, node: u16) -> Release {
    plan.snapshot.services[0].nodes.iter().find(|m| m.node == node).unwrap().release
}

fn at(instant: Duration) -> Release {
    Release::At(crate::clock::millis(instant))
}

#[test]
fn nodes_that_are_up_share_the_rows_and_the_vips_share_an_entry() {
    let plan = World::new(3).plan(&Before::nothing());
    assert_eq!(plan.snapshot.services.len(), 1);
    assert_eq!(plan.snapshot.services[0].vips.len(), 2);
    assert_eq!(members(&plan, 0), [(1, 1, State::Up), (2, 1, State::Up), (3, 1, State::Up)]);
    assert!(plan.services[0].iter().all(|vip| vip.announce && vip.quorum));
    assert_eq!(plan.snapshot.nodes[2].probe_ports, Some(probe_ports(3)));
    assert_eq!(plan.wake, None);
}

#[test]
fn a_node_whose_ipv6_is_dead_leaves_the_ipv6_vips_alone() {
    let mut world = World::new(2);
    world.verdict(1, 0).state = DOWN;
    let plan = world.plan(&Before::nothing());
    assert_eq!(members(&plan, 0), [(1, 1, State::Up), (2, 1, State::Up)]);
    assert_eq!(members(&plan, 1), [(1, 0, State::Down), (2, 1, State::Up)]);
    assert_eq!(plan.snapshot.services[1].vips, [world.config.services[0].vips[1]]);

    world.verdict(1, 1).state = DOWN;
    let plan = world.plan(&Before::nothing());
    assert!(plan.services[0][0].announce && !plan.services[0][1].announce);
}

#[test]
fn the_worst_that_is_said_of_a_node_holds_and_each_goes_with_who_said_it() {
    const CHECKS: [(health::State, Effective); 3] = [
        (health::State::Up, Effective::Up),
        (health::State::Drain, Effective::Drain),
        (health::State::Down, Effective::Down),
    ];
    const ADMINS: [(Admin, Effective); 3] = [
        (Admin::Ready, Effective::Up),
        (Admin::Drain, Effective::Drain),
        (Admin::Maintenance, Effective::Maintenance),
    ];
    for (check, by_check) in CHECKS {
        for (agent, by_agent) in ADMINS {
            for (operator, by_operator) in ADMINS {
                let mut world = World::new(2);
                let said = Verdict { state: Some(check), admin: agent, weight: 100 };
                (0..2).for_each(|vip| *world.verdict(vip, 0) = said);
                world.operator("l7-1", operator);
                let plan = world.plan(&Before::nothing());
                let seat = &plan.services[0][0].seats[0];
                let worst = by_check.max(by_agent).max(by_operator);
                assert_eq!(seat.state, worst, "{check:?} {agent:?} {operator:?}");
                assert_eq!(seat.cause == Cause::Well, worst == Effective::Up);
            }
        }
    }
}

#[test]
fn weights_are_the_files_times_the_agents_percent_and_0_drains() {
    let mut world = World::new(3);
    world.edit(|config| config.services[0].nodes[2].weight = 4);
    (0..2).for_each(|vip| world.verdict(vip, 0).weight = 50);
    let plan = world.plan(&Before::nothing());
    assert_eq!(members(&plan, 0), [(1, 1, State::Up), (2, 2, State::Up), (3, 8, State::Up)]);
    assert_eq!(plan.services[0][0].weight, 550);

    (0..2).for_each(|vip| world.verdict(vip, 0).weight = 0);
    let plan = world.plan(&Before::nothing());
    assert_eq!(members(&plan, 0), [(1, 0, State::Drain), (2, 1, State::Up), (3, 4, State::Up)]);
    assert_eq!(plan.services[0][0].seats[0].cause, Cause::Weight);
}

#[test]
fn the_flows_of_a_node_that_went_down_go_after_down_hold_which_nothing_starts_anew() {
    let mut world = World::new(2);
    let first = world.plan(&Before::nothing());
    world.says(0, DOWN);
    let down = world.after(&world.config, &first);
    assert_eq!(members(&down, 0)[0], (1, 0, State::Down));
    assert_eq!(release(&down, 1), at(NOW + HOLD));

    world.now += Duration::from_secs(4);
    let later = world.after(&world.config, &down);
    assert_eq!(later.snapshot.services, down.snapshot.services, "nothing has changed");
    let restarted = world.plan(&Before::found(&down.snapshot));
    assert_eq!(restarted.snapshot.services, down.snapshot.services, "nor does a restart");

    world.operator("l7-1", Admin::Maintenance);
    world.says(0, UP);
    let maintained = world.after(&world.config, &later);
    assert_eq!(members(&maintained, 0)[0], (1, 0, State::Maintenance));
    assert_eq!(release(&maintained, 1), at(NOW + HOLD), "the earlier instant stays");

    world.operator("l7-1", Admin::Ready);
    let up = world.after(&world.config, &maintained);
    assert_eq!(members(&up, 0)[0], (1, 1, State::Up));
    assert_eq!(release(&up, 1), Release::Never, "a short flap breaks nothing");
}

#[test]
fn what_a_dataplane_is_found_with_may_be_in_any_order() {
    let mut world = World::new(3);
    world.says(0, DOWN);
    let before = world.plan(&Before::nothing());
    world.now += Duration::from_secs(4);
    let mut found = before.snapshot.clone();
    found.services[0].nodes.reverse();
    let restarted = world.plan(&Before::found(&found));
    assert_eq!(restarted.snapshot.services, before.snapshot.services);
}

#[test]
fn each_member_is_told_of_by_its_own_probes() {
    let mut world = World::new(3);
    world.service(|service| {
        let tcp = Check { kind: Kind::Tcp(health::Tcp::default()), timing: Timing::default() };
        service.checks.push(ServiceCheck { check: tcp, port: 81, direct: true });
    });
    let mut again = world.config.services[0].clone();
    (again.name, again.checks) = ("again".into(), again.checks.split_off(1));
    world.edit(|config| config.services.push(again));
    let kinds = |service: usize, vip, member| -> Vec<_> {
        let probes = world.aim.at(service, vip, member).iter();
        let probes = probes.map(|&place| &world.aim.probes[place as usize]);
        probes.map(|probe| (&*probe.target.node, probe.check.kind.name())).collect()
    };
    for (member, name) in ["l7-1", "l7-2", "l7-3"].into_iter().enumerate() {
        for vip in 0..2 {
            assert_eq!(kinds(0, vip, member), [(name, "http"), (name, "tcp")]);
            assert_eq!(kinds(1, vip, member), [(name, "tcp")]);
            assert_eq!(world.aim.at(0, vip, member)[1], world.aim.at(1, vip, member)[0]);
        }
    }
}

#[test]
fn down_hold_never_keeps_the_flows_and_maintenance_lets_them_go() {
    let mut world = World::new(2);
    world.service(|service| service.down_hold = None);
    world.all(UP);
    world.says(0, DOWN);
    let down = world.plan(&Before::nothing());
    assert_eq!(release(&down, 1), Release::Never);

    world.says(0, UP);
    world.operator("l7-1", Admin::Maintenance);
    let maintained = world.after(&world.config, &down);
    assert_eq!(release(&maintained, 1), at(NOW + DRAIN));
}

#[test]
fn before_the_first_verdict_a_node_is_down_or_what_it_was() {
    let mut world = World::new(2);
    world.all(None);
    let first = world.plan(&Before::nothing());
    assert_eq!(members(&first, 0), [(1, 0, State::Down), (2, 0, State::Down)]);
    assert_eq!(release(&first, 1), Release::Never, "it never had a flow");
    assert_eq!(first.services[0][0].seats[0].cause, Cause::Unchecked);
    assert!(!first.services[0][0].announce, "alpha");

    world.all(UP);
    world.says(1, DOWN);
    let known = world.after(&world.config, &first);
    world.all(None);
    for before in [Before::planned(&world.config, &known), Before::found(&known.snapshot)] {
        let plan = world.plan(&before);
        assert_eq!(plan.snapshot.services, known.snapshot.services);
    }

    world.service(|service| service.alpha = false);
    world.all(None);
    let struck_out = world.plan(&Before::nothing());
    assert_eq!(members(&struck_out, 0), [(1, 1, State::Up), (2, 1, State::Up)]);
    assert!(struck_out.services[0][0].announce);
}

#[test]
fn without_alpha_nothing_is_lost_before_it_was_seen() {
    for (loss, announced) in [(QuorumLoss::Keep, true), (QuorumLoss::Withdraw, false)] {
        let mut world = World::new(2);
        world.service(|service| service.on_quorum_loss = loss);
        world.all(None);
        let first = world.plan(&Before::nothing());
        assert!(!first.services[0][0].announce, "nobody was seen yet");
        let again = world.after(&world.config, &first);
        assert_eq!(again.services[0][0].seats[0].cause, Cause::Unchecked);
        assert!(!again.services[0][0].announce, "nor is anybody by the mere passing of time");
        world.all(DOWN);
        let lost = world.after(&world.config, &again);
        assert_eq!(lost.services[0][0].announce, announced);
    }
}

#[test]
fn a_node_that_is_new_to_a_service_joins_first_unless_nobody_else_is_up() {
    let mut world = World::new(2);
    let old = world.config.clone();
    let two = world.plan(&Before::nothing());

    let mut three = World::new(3);
    let joining = three.after(&old, &two);
    assert_eq!(members(&joining, 0)[2], (3, 0, State::Joining));
    let until = NOW + Times::default().join_time;
    assert_eq!(joining.wake, Some(until));
    let restarted = three.plan(&Before::found(&joining.snapshot));
    assert_eq!(members(&restarted, 0)[2], (3, 0, State::Joining));

    three.now = until;
    let joined = three.after(&three.config, &joining);
    assert_eq!(members(&joined, 0)[2], (3, 1, State::Up));
    assert_eq!(joined.wake, None);

    three.now = NOW;
    three.says(0, DOWN);
    three.says(1, DOWN);
    let alone = three.after(&three.config, &joining);
    assert_eq!(members(&alone, 0)[2], (3, 1, State::Up), "somebody has to");

    world.service(|service| service.name = "new".into());
    let new = world.after(&old, &two);
    assert_eq!(members(&new, 0), [(1, 1, State::Up), (2, 1, State::Up)], "of a new service none");
}

#[test]
fn a_node_that_left_is_kept_for_its_flows_and_then_forgotten() {
    let removal = Times::default().removal_time;
    let three = World::new(3);
    let before = three.plan(&Before::nothing());
    for from_file in [true, false] {
        let mut two = World::new(if from_file { 2 } else { 3 });
        two.service(|service| service.nodes.truncate(2));
        two.all(UP);
        let kept = two.after(&three.config, &before);
        assert_eq!(members(&kept, 0)[2], (3, 0, State::Maintenance));
        assert_eq!(release(&kept, 3), at(NOW + removal));
        assert_eq!(kept.snapshot.nodes.len(), 3);
        assert_eq!(kept.wake, Some(NOW + removal));

        two.now += Duration::from_secs(60);
        let later = two.after(&two.config, &kept);
        assert_eq!(later.snapshot.services, kept.snapshot.services, "the instant stays");

        two.now = NOW + removal;
        let forgotten = two.plan(&Before::found(&later.snapshot));
        assert_eq!(members(&forgotten, 0).len(), 2);
        assert_eq!(forgotten.snapshot.nodes.len(), if from_file { 2 } else { 3 });
    }
}

#[test]
fn an_index_that_names_another_node_keeps_nothing_of_the_first() {
    let three = World::new(3);
    let before = three.plan(&Before::nothing());
    let mut other = World::new(3);
    other.edit(|config| {
        config.l7[2].name = "l7-new".into();
        config.services[0].nodes.truncate(2);
    });
    other.all(UP);
    let plan = other.after(&three.config, &before);
    assert_eq!(members(&plan, 0).len(), 2);
}

#[test]
fn quorum_has_hysteresis_and_its_loss_withdraws() {
    let mut world = World::new(5);
    world.service(|service| {
        service.quorum = 3;
        service.hysteresis = 1;
    });
    world.all(UP);
    let mut plan = world.plan(&Before::nothing());
    // Nodes down, and whether it is announced then: up at 4, down below 2.
    for (down, announced) in [(1, true), (2, true), (3, true), (4, false), (2, false), (1, true)] {
        world.all(UP);
        (0..down).for_each(|member| world.says(member, DOWN));
        plan = world.after(&world.config, &plan);
        assert_eq!(plan.services[0][0].announce, announced, "{down} down");
    }
    let restarted = |down: usize, world: &mut World| {
        world.all(UP);
        (0..down).for_each(|member| world.says(member, DOWN));
        world.plan(&Before::found(&plan.snapshot)).services[0][0].announce
    };
    assert!(restarted(2, &mut world), "a restart is no reason to withdraw");
    assert!(!restarted(4, &mut world));
}

#[test]
fn sorry_nodes_take_new_flows_while_the_quorum_is_lost() {
    let mut world = World::new(3);
    world.service(|service| {
        service.nodes.truncate(2);
        service.quorum = 2;
        service.on_quorum_loss = QuorumLoss::Sorry(vec![config::Member { l7: 2, weight: 1 }]);
    });
    world.all(UP);
    let well = world.plan(&Before::nothing());
    assert_eq!(members(&well, 0), [(1, 1, State::Up), (2, 1, State::Up), (3, 0, State::Up)]);
    world.says(0, DOWN);
    let sorry = world.after(&world.config, &well);
    assert_eq!(members(&sorry, 0), [(1, 0, State::Down), (2, 0, State::Up), (3, 1, State::Up)]);
    assert!(sorry.services[0][0].announce);
    world.says(0, UP);
    let again = world.after(&world.config, &sorry);
    assert_eq!(again.snapshot.services, well.snapshot.services);
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let state = prop_oneof![Just(None), Just(UP), Just(DOWN), Just(Some(health::State::Drain))];
    let admin = prop_oneof![Just(Admin::Ready), Just(Admin::Drain), Just(Admin::Maintenance)];
    (state, admin, 0..=100_u16).prop_map(|(state, admin, weight)| Verdict { state, admin, weight })
}

proptest! {
    /// Planning again changes nothing, and neither does a restart of control; whatever is planned
    /// lists every member once.
    #[test]
    fn a_plan_is_a_fixed_point(
        first in prop::collection::vec(verdicts(), 8),
        second in prop::collection::vec(verdicts(), 8),
    ) {
        let mut world = World::new(4);
        world.verdicts = first;
        let before = world.plan(&Before::nothing());
        world.verdicts = second;
        world.now += Duration::from_secs(1);
        let plan = world.after(&world.config, &before);
        let again = world.after(&world.config, &plan);
        prop_assert_eq!(&again.snapshot, &plan.snapshot);
        let restarted = world.plan(&Before::found(&plan.snapshot));
        prop_assert_eq!(&restarted.snapshot, &plan.snapshot);
        for entry in &plan.snapshot.services {
            let nodes: Vec<_> = entry.nodes.iter().map(|member| member.node).collect();
            prop_assert_eq!(nodes, [1, 2, 3, 4]);
        }
    }
}

/// The dataplane refuses two nodes of one name or address, and all that comes after them.
#[test]
fn a_node_whose_name_or_address_another_has_now_is_not_kept() {
    let world = World::new(2);
    let before = world.plan(&Before::nothing());
    let old = world.config.clone();
    let nodes = |plan: &Plan| -> Vec<(String, u16)> {
        plan.snapshot.nodes.iter().map(|node| (node.name.clone(), node.index)).collect()
    };
    let changed = |change: fn(&mut Config)| {
        let mut world = World::new(2);
        world.edit(change);
        world.after(&old, &before)
    };
    let named = |name: &str, index: u16| (name.to_owned(), index);

    let renamed = changed(|config| {
        let node = &mut config.l7[1];
        (node.name, node.index) = ("new".into(), 5);
    });
    assert_eq!(nodes(&renamed), [named("l7-1", 1), named("new", 5)]);
    let numbered = changed(|config| config.l7[1].index = 5);
    assert_eq!(nodes(&numbered), [named("l7-1", 1), named("l7-2", 5)]);
    for plan in [renamed, numbered] {
        assert!(members(&plan, 0).iter().all(|(node, _, _)| *node != 2));
    }
    let moved = changed(|config| {
        let node = &mut config.l7[1];
        (node.name, node.index) = ("new".into(), 5);
        node.addresses = vec!["192.0.2.199".parse().unwrap()];
    });
    assert_eq!(nodes(&moved), [named("l7-1", 1), named("new", 5), named("l7-2", 2)]);
}

/// A forwarder that was killed remembers flows to nodes of which a new control has not heard yet.
#[test]
fn a_node_that_turns_out_to_be_down_is_given_its_instant() {
    let mut world = World::new(2);
    world.all(None);
    let first = world.plan(&Before::nothing());
    world.says(0, DOWN);
    let known = world.after(&world.config, &first);
    assert_eq!(release(&known, 1), at(NOW + HOLD));
    world.now += Duration::from_secs(4);
    let later = world.after(&world.config, &known);
    assert_eq!(release(&later, 1), at(NOW + HOLD));
}

#[test]
fn no_weight_is_too_large_for_a_quorum() {
    let mut world = World::new(20);
    world.service(|service| service.nodes.iter_mut().for_each(|node| node.weight = 10_000));
    world.all(UP);
    world.verdicts.iter_mut().for_each(|verdict| verdict.weight = 25_600);
    let plan = world.plan(&Before::nothing());
    assert!(plan.services[0][0].quorum);
    assert_eq!(members(&plan, 0)[0], (1, 1, State::Up));
}
