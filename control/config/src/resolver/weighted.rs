//! `plugin = "weighted"`

use super::{Manner, given};
use crate::check::{self, DefaultPort};
use crate::settings::{Weighted, WeightedMember, WeightedTarget};
use crate::table::Table;
use crate::value::Value;
use crate::zone;

/// Highest weight: as with gdnsd.
const MAX_WEIGHT: u32 = (1 << 20) - 1;
/// Most members.
const MOST: usize = 256;

/// `members`, `multi`, and how they are chosen among.
pub(super) fn read(table: &mut Table<'_>) -> Option<Weighted> {
    let members = table.required("members", members);
    let multi = table.or("multi", false, Value::boolean);
    let checks = table.take("check").map(|value| check::of_addresses(&value, DefaultPort::Unsaid));
    let manner = Manner::read(table, Manner::default());
    Some(Weighted {
        members: members?,
        multi,
        up_thresh: manner.up_thresh,
        too_few: manner.too_few,
        checks: checks.unwrap_or_default(),
        answers: manner.answers,
        sticky: manner.sticky,
    })
}

fn members(value: &Value<'_>) -> Option<Vec<WeightedMember>> {
    if value.is_empty_list() {
        value.problem("the list is empty: it needs at least one");
        return None;
    }
    let members = value.list(member)?;
    if members.len() > MOST {
        value.problem(format!("more than {MOST} members"));
    }
    let is_name = |member: &WeightedMember| matches!(member.target, WeightedTarget::Name(_));
    let names = members.iter().filter(|member| is_name(&member.value)).count();
    if names != 0 && names != members.len() {
        value.problem("some have an `address` and some a `name`: an answer is either");
    }
    let mut seen: Vec<WeightedTarget> = Vec::new();
    for member in &members {
        if seen.contains(&member.value.target) {
            value.problem_at(&member.place, "it stands there twice");
        }
        seen.push(member.value.target.clone());
    }
    Some(members.into_iter().map(|member| member.value).collect())
}

/// `{ address = "192.0.2.1", weight = 50, group = "a" }`, `{ name = "cdn.example.net", weight = 3 }`
fn member(value: &Value<'_>) -> Option<WeightedMember> {
    let mut table = value.table()?;
    let address = table.optional("address", given).map(WeightedTarget::Address);
    let name = table.optional("name", |value| {
        const EXPECTED: &str = "the name of a host";
        zone::domain(value.text(EXPECTED)?).or_else(|| value.is_not(EXPECTED))
    });
    let both = ["address", "name"].map(|key| table.peek(key).is_some());
    if both[0] == both[1] {
        table.problem("a member has an `address` or a `name`");
    }
    let weight = table.or("weight", 1, |value| value.number(1..=MAX_WEIGHT));
    let group = table.optional("group", crate::name::read);
    table.finish();
    let target = address.or_else(|| name.map(WeightedTarget::Name))?;
    Some(WeightedMember { target, weight, group })
}
