//! capsule.
