//! The families of processes, CPUs and clocks.
//!
//! Their ranges at full intensity; at a lower one the amount is at most that share of the range. Shorter than the least
//! would not be noticed, and is not what happens.
//!
//! | family | lasts | amount | source |
//! | --- | --- | --- | --- |
//! | `kill` | 100 ms – 5 s | | a supervisor restarts at once (systemd's `RestartSec` is 100 ms) or backs off for seconds |
//! | `power-cut` | 1 – 15 s | | a virtual machine boots in seconds; longer would only be idle time |
//! | `wipe` | 1 – 15 s | | as a power cut; the replacement has the name and an empty disk |
//! | `pause` | 50 ms – 10 s | | full collections of large heaps, and live migration; Jepsen pauses for about 10 s |
//! | `slow-cpu` | 200 ms – 10 s | 20 µs – 1 ms a poll | a poll of a real task takes 1–100 µs; ten times that for a busy neighbour |
//! | `clock-offset` | 1 – 30 s | ±(1 ms – 60 s) | without NTP clocks are off by seconds a day; Jepsen's bumps reach minutes |
//! | `clock-drift` | 5 – 60 s | ±(10 – 500 ppm) | crystals keep within 100 ppm; ntpd gives up at 500 ppm |
//! | `clock-step` | to the end of the chaos | ±(10 ms – 5 s) | ntpd steps when it is off by more than 128 ms; leap seconds |
//! | `clock-strobe` | 200 ms – 5 s | ±(1 – 500 ms), each 1 – 20 ms | Jepsen's strobe: two sources of time that disagree |

use super::danger::Window;
use super::family::{End, Family, Injection, Slot, Takes, every, part};
use super::log::{Parameter, Value};
use crate::node::Node;
use crate::world;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What sim-core itself offers.
pub(super) const FAMILIES: &[&dyn Family] =
    &[&Kill, &PowerCut, &Wipe, &Pause, &SlowCpu, &ClockOffset, &ClockDrift, &ClockStep, &ClockStrobe];

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn down(node: Node) -> Takes {
    Takes { down: vec![node.id()], ..Takes::default() }
}

struct Kill;

impl Family for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }
    fn weight(&self) -> u32 {
        14
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(100)..=ms(5_000)
    }
    fn windows(&self) -> &'static [Window] {
        &[Window::Boot, Window::Sync, Window::Rename]
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let begin = move |_| -> End {
            node.kill();
            Box::new(move || node.start())
        };
        Some(Injection::of_node(node, begin).taking(down(node)))
    }
}

struct PowerCut;

fn cut_power(node: Node) -> Injection {
    let begin = move |_| -> End {
        node.power_cut();
        Box::new(move || node.start())
    };
    Injection::of_node(node, begin).taking(down(node))
}

impl Family for PowerCut {
    fn name(&self) -> &'static str {
        "power-cut"
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(1_000)..=ms(15_000)
    }
    fn windows(&self) -> &'static [Window] {
        &[Window::Sync, Window::Rename, Window::Boot]
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        slot.service().map(cut_power)
    }
}

struct Wipe;

impl Family for Wipe {
    fn name(&self) -> &'static str {
        "wipe"
    }
    fn weight(&self) -> u32 {
        4
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(1_000)..=ms(15_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let begin = move |_| -> End {
            node.wipe();
            Box::new(move || node.start())
        };
        let takes = Takes { wiped: vec![node.id()], ..down(node) };
        Some(Injection::of_node(node, begin).taking(takes))
    }
    fn weaker(&self, slot: &Slot<'_>) -> Option<Injection> {
        let kept = Parameter::word("disk", "kept");
        slot.service().map(|node| cut_power(node).with(kept))
    }
}

struct Pause;

impl Family for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(50)..=ms(10_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let begin = move |_| -> End {
            node.pause();
            Box::new(move || node.resume())
        };
        Some(Injection::of_node(node, begin).taking(down(node)))
    }
}

struct SlowCpu;

impl Family for SlowCpu {
    fn name(&self) -> &'static str {
        "slow-cpu"
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(200)..=ms(10_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let most = slot.amount_of_time(us(20)..=us(1_000));
        let begin = move |_| -> End {
            let before = world::with(|w| w.kernel().machine(node.id()).cpu.cost());
            node.poll_cost(most / 4..=most);
            Box::new(move || _ = node.poll_cost(before))
        };
        Some(Injection::of_node(node, begin).with(Parameter::time("poll cost up to", most)))
    }
}

/// Ahead or behind, as the manner says; the boring answer is ahead.
fn signed(slot: &Slot<'_>, range: RangeInclusive<Duration>) -> i64 {
    let nanos = slot.amount_of_time(range).as_nanos() as i64;
    if slot.pick(part::MANNER, 2) == 0 { nanos } else { -nanos }
}

fn skewed(node: Node) -> Takes {
    Takes { skewed: vec![node.id()], ..Takes::default() }
}

struct ClockOffset;

impl Family for ClockOffset {
    fn name(&self) -> &'static str {
        "clock-offset"
    }
    fn weight(&self) -> u32 {
        4
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(1_000)..=ms(30_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let by = signed(slot, ms(1)..=ms(60_000));
        let begin = move |_| -> End {
            node.clock().step(by);
            Box::new(move || _ = node.clock().step(-by))
        };
        let by = Parameter::new("by", Value::Nanos(by));
        Some(Injection::of_node(node, begin).with(by).taking(skewed(node)))
    }
}

struct ClockDrift;

impl Family for ClockDrift {
    fn name(&self) -> &'static str {
        "clock-drift"
    }
    fn weight(&self) -> u32 {
        4
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(5_000)..=ms(60_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let ppm = slot.amount(10..=500) as i64;
        let ppm = if slot.pick(part::MANNER, 2) == 0 { ppm } else { -ppm };
        let begin = move |_| -> End {
            let before = node.clock().drift();
            node.clock().drift_ppm(ppm);
            Box::new(move || _ = node.clock().drift_ppm(before))
        };
        let drift = Parameter::new("drift", Value::Ppm(ppm));
        Some(Injection::of_node(node, begin).with(drift).taking(skewed(node)))
    }
}

struct ClockStep;

impl Family for ClockStep {
    fn name(&self) -> &'static str {
        "clock-step"
    }
    fn weight(&self) -> u32 {
        4
    }
    /// The step itself takes no time; what it leaves stays until the end of the chaos.
    fn lasts(&self) -> RangeInclusive<Duration> {
        Duration::MAX..=Duration::MAX
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let by = signed(slot, ms(10)..=ms(5_000));
        let begin = move |_| -> End {
            node.clock().step(by);
            Box::new(move || _ = node.clock().step(-by))
        };
        let by = Parameter::new("by", Value::Nanos(by));
        Some(Injection::of_node(node, begin).with(by).taking(skewed(node)))
    }
}

struct ClockStrobe;

impl Family for ClockStrobe {
    fn name(&self) -> &'static str {
        "clock-strobe"
    }
    fn weight(&self) -> u32 {
        3
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(200)..=ms(5_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service()?;
        let by = signed(slot, ms(1)..=ms(500));
        let period = ms(1 + slot.pick(part::PEER, 20));
        let begin = move |name| -> End {
            let there = std::rc::Rc::new(std::cell::Cell::new(false));
            let is_there = there.clone();
            let stop = every(name, period, move |_| {
                node.clock().step(if is_there.replace(!is_there.get()) { -by } else { by });
            });
            Box::new(move || {
                stop();
                if there.get() {
                    node.clock().step(-by);
                }
            })
        };
        let parameters = [Parameter::new("by", Value::Nanos(by)), Parameter::time("each", period)];
        let injection = Injection::of_node(node, begin).taking(skewed(node));
        Some(parameters.into_iter().fold(injection, Injection::with))
    }
}
