# Short names for what one does every day. `just` lists them.

_default:
    @just --list --unsorted

# The whole story on this machine, without any account
sandbox *flags:
    cargo run --release -- sandbox {{ flags }}

# The service, with settings from the environment or from flags
run *flags:
    cargo run --release -- serve {{ flags }}

# Everything that must be green before a change is taken
test:
    tests/run

# Only the Rust tests
unit *filter:
    cargo test --locked {{ filter }}

# Seeded worlds against the invariants, as many as one likes
worlds seeds="100000" from="1":
    cargo run --release --locked --example worlds -- --seeds {{ seeds }} --from {{ from }}

# Format, lints, licences
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo deny --locked check bans licenses sources
