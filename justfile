# Everything that one runs on this project. `just --list`

# The tests.
test:
    cargo test

# All that must pass before a change lands.
ci:
    .ci/run

# The main job: the checkout under faults, looking for a planted bug.
checkout *ARGS="--bug double-charge":
    cargo run --release -p checkout -- {{ARGS}}

# One of the workloads.
workload NAME *ARGS:
    cargo run --release --example workloads -- {{NAME}} {{ARGS}}

# Formatting, lints and documentation.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
