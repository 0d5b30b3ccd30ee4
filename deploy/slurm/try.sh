#!/usr/bin/env bash
# Tries the array job on a real Slurm: four virtual nodes on this machine, eight shards, one node killed in the middle.
# The merge must be, byte for byte, the sweep without shards. Needs root on Debian or a relative of it; installs Slurm
# and munge from its packages, keeps everything else in one temporary directory, and stops what it started.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
chmod 755 "$work"
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    # Slurm's daemons leave their parent; each wrote its pid.
    for file in "$work"/*.pid; do [ -e "$file" ] && kill "$(cat "$file")" 2>/dev/null || true; done
    wait
    # The daemons may write a last state while they end.
    for _ in 1 2 3 4 5; do rm -rf "$work" 2>/dev/null && break || sleep 1; done
}
trap finish EXIT

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }

if ! command -v slurmctld slurmd sbatch munged >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends slurmctld slurmd slurm-client munge
fi

say "a crate with a test of 40,000 seeds"
CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo build -q --release -p sim-cli --manifest-path "$root/Cargo.toml"
target=${CARGO_TARGET_DIR:-$root/target}
export PATH="$target/release:$PATH"
crate=$work/crate
mkdir -p "$crate/src" "$crate/tests"
cat >"$crate/Cargo.toml" <<EOF
[package]
name = "shop"
version = "0.1.0"
edition = "2024"

[workspace]

[dev-dependencies]
sim = { path = "$root" }
EOF
: >"$crate/src/lib.rs"
cat >"$crate/tests/checkout.rs" <<'EOF'
use sim::prelude::*;

#[sim_test(seeds = 40_000)]
async fn some_are_lost(sim: Sim) {
    let node = sim.node("server");
    node.spawn(async { sim::time::sleep(Duration::from_secs(1)).await }).await.unwrap();
    assert!(sim.seed() % 1000 != 3, "lost");
    assert!(sim.seed() % 5000 != 7, "lost in another way");
}
EOF
cp "$root/Cargo.lock" "$crate/"
cd "$crate"
export CARGO_TARGET_DIR=$target/slurm
cargo test -q --no-run --release --offline

say "the sweep without shards"
code=0
cargo-sim sim sweep --release --offline --report-dir "$work/whole" >/dev/null || code=$?
[ "$code" = 100 ] || { say "it ended with $code instead of 100"; exit 1; }

say "a Slurm with four nodes"
host=$(hostname -s)
mkdir -p "$work/state"
dd if=/dev/urandom of="$work/munge.key" bs=1024 count=1 status=none
chmod 600 "$work/munge.key"
munged --foreground --force --socket="$work/munge.socket" --key-file="$work/munge.key" \
    --pid-file="$work/munge.pid" --seed-file="$work/munge.seed" --log-file="$work/munge.log" &
started+=($!)
cat >"$work/slurm.conf" <<EOF
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17100
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
JobRequeue=1
NodeName=n[0-3] NodeHostname=$host NodeAddr=127.0.0.1 Port=[17101-17104] CPUs=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
export SLURM_CONF=$work/slurm.conf
for node in n0 n1 n2 n3; do mkdir -p "$work/spool-$node"; done
slurmctld -f "$SLURM_CONF"
for node in n0 n1 n2 n3; do slurmd -N "$node" -f "$SLURM_CONF"; done

# Waits until a command says so, at most $1 seconds.
wait_for() {
    local left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { say "gave up waiting: $*"; squeue; sinfo; tail -n 20 "$work"/slurm*.log "$work"/shard-*.log; exit 1; }
        sleep 1
    done
}
ready() { [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 4 ]; }
wait_for 60 ready

say "eight shards"
mkdir -p "$work/shards"
job=$(REPORTS=$work/shards SEEDS=40_000 sbatch --parsable --array=0-7 --cpus-per-task=1 \
    --output="$work/shard-%a.log" --export=ALL "$root/deploy/slurm/sweep.sbatch")

say "job $job; a node is killed once it is at work and a shard is done"
at_work() {
    read -r lost id < <(squeue -h -t running -w n1 -o '%K %A') || return 1
    [ -n "$lost" ] && ls "$work"/shards/*.jsonl >/dev/null 2>&1 && [ ! -e "$work/shards/shard-$lost-of-8.jsonl" ]
}
wait_for 300 at_work
# The node as a whole: its daemon, the daemons of its steps before they can tell anybody, and what runs under them.
daemon=$(cat "$work/slurmd-n1.pid")
steps=$(pgrep -f "slurmstepd: \[($id|${job}_$lost)\." || true)
[ -n "$steps" ] || { say "no step of job $id was found"; exit 1; }
kill -9 $daemon $steps
for pid in $daemon $steps; do
    kill -9 $(pgrep -s "$pid" || true) "$pid" 2>/dev/null || true
done
for pid in $(pgrep -f "report-dir $work/shards" || true); do
    if grep -qz "^SLURM_ARRAY_TASK_ID=$lost\$" "/proc/$pid/environ" 2>/dev/null; then kill -9 "$pid" || true; fi
done
say "node n1 is gone with shard $lost"
[ ! -e "$work/shards/shard-$lost-of-8.jsonl" ] || { say "it was done already"; exit 1; }

done_all() { [ "$(ls "$work"/shards/shard-*-of-8.jsonl 2>/dev/null | wc -l)" = 8 ] && [ -z "$(squeue -h -j "$job" 2>/dev/null)" ]; }
wait_for 600 done_all

code=0
cargo-sim sim merge "$work/shards" --report-dir "$work/merged" || code=$?
[ "$code" = 100 ] || { say "the merge ended with $code instead of 100"; exit 1; }
cmp "$work/whole/sweep.jsonl" "$work/merged/sweep.jsonl"
say "eight shards, one of them on a node that died, are the sweep without shards"
