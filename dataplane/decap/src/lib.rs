//! decap.
