//! What others see of control: the admin socket ([`socket`]), the metrics ([`metrics`]), and the
//! status that both tell ([`status`]).

pub mod metrics;
pub mod socket;
pub mod status;
