//! The families of limits: a machine runs out of something.
//!
//! A limit is drawn above what the node holds when it begins: as little as it holds at full intensity, and up to 16 more
//! descriptors, connections or sockets' worth of memory.
//!
//! | family | lasts | amount | source |
//! | --- | --- | --- | --- |
//! | `open-files` | 500 ms – 20 s | 0 – 16 more | descriptors that leak against a soft limit of 1,024, the default of systemd and most distributions |
//! | `connections` | 500 ms – 20 s | 0 – 16 more | `nf_conntrack: table full, dropping packet`, until entries expire |
//! | `memory` | 500 ms – 20 s | 0 – 16 sockets more | `memory.max` of a control group, until a neighbour lets go |

use super::Window;
use super::family::{End, Family, Injection, Slot, Takes};
use super::log::{Parameter, Value};
use crate::node::{OBJECT, Resource, STANDARD};
use std::ops::RangeInclusive;
use std::time::Duration;

pub(super) const FAMILIES: &[&dyn Family] =
    &[&Limit(Resource::OpenFiles), &Limit(Resource::Connections), &Limit(Resource::Memory)];

/// How much more than it holds a node may get at least intensity.
const MORE: u64 = 16;

struct Limit(Resource);

impl Family for Limit {
    fn name(&self) -> &'static str {
        self.0.family()
    }
    fn weight(&self) -> u32 {
        5
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        Duration::from_millis(500)..=Duration::from_secs(20)
    }
    fn windows(&self) -> &'static [Window] {
        &[Window::Boot]
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let (held, more) = (node.holdings(), MORE - slot.amount(0..=MORE));
        let resource = self.0;
        // Who has none of it does not ask for more.
        let used = Resource::OpenFiles.of(held) > STANDARD && resource.of(held) > 0;
        let most = resource.of(held) + if resource == Resource::Memory { more * OBJECT } else { more };
        if !used {
            return None;
        }
        let begin = move |_| -> End {
            let limit = node.limit(resource, most);
            Box::new(move || drop(limit))
        };
        // Who gets nothing more can serve nobody new.
        let takes = Takes { down: vec![node.id()], ..Takes::default() };
        let injection = Injection::of_node(node, begin).taking(takes);
        Some(injection.with(Parameter::new("most", Value::Count(most))))
    }
}
