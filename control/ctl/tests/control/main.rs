//! `palierctl` against a control that answers what each test wants.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod certificate;
mod change;
mod check;
mod dataplane;
mod fake;
mod fixture;
mod man;
mod status;
mod top;
