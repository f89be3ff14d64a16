//! The public keys built into this version. To add one, put the file that `atrion-license keygen`
//! wrote into `keys/` and name it here.

pub(super) const TEXTS: &[&str] =
    &[include_str!("../../keys/vendor.pub"), include_str!("../../keys/development.pub")];
